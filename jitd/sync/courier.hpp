// Carries documents between one source and this host: what lies in the host's boxes there into jitd's inbox, and
// jitd's outbox into the host's box there. It judges nothing; a courier that is taken over can delay and drop.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "jitd/sync/backoff.hpp"
#include "jitd/sync/mailbox.hpp"
#include "jitd/sync/outbox.hpp"
#include "jitd/sync/seen.hpp"
#include "jitd/sys/clock.hpp"

namespace jit {

class Courier {
 public:
  // Bounds, so that a source that is flooded buries neither jitd nor us.
  struct Limits {
    std::size_t undelivered = 256;  // files of ours in the inbox that jitd has not taken in
    std::size_t per_minute = 600;   // new documents, that many at once
    std::size_t fetched = 1024;     // items of one box in a pass
    std::size_t posted = 64;        // files in a pass
    std::size_t removed = 1024;     // files, from the source in a pass
  };
  struct Config {
    OutboxHost host;
    std::string inbox, outbox;  // folders; opened anew in each pass
    bool post = true;
    // How often what the source has of us is looked at when nothing says that it may have lost some.
    std::chrono::milliseconds compare_each = std::chrono::minutes(5);
    Limits limits = {};
  };

  Courier(Config config, Mailbox& mailbox, Seen& seen, const Clock& clock);

  struct Pass {
    unsigned taken = 0, posted = 0, removed = 0, refused = 0;  // refused: no documents
    std::optional<Error> error;  // the source cannot be read, or documents cannot be delivered here
    // There is more to do than one pass may, or than jitd has taken in: the next is to come after so long.
    std::optional<std::chrono::milliseconds> again;
    bool pending = false;                // a request in the outbox waits for an answer
    std::optional<Error> post_error;     // why what is in the outbox is not posted
    std::optional<std::string> trouble;  // of this machine: what was seen cannot be kept
  };
  // First everything in, then everything out. A box that cannot be read does not stop the others, and what cannot be
  // posted stops nothing else.
  [[nodiscard]] Pass pass();

  // The boxes that this host reads.
  [[nodiscard]] const std::vector<Box>& boxes() const { return boxes_; }
  // Files in the inbox that jitd has not taken in yet.
  [[nodiscard]] std::size_t undelivered() const { return undelivered_.size(); }

 private:
  struct Found {
    Item item;
    std::uint64_t key = 0;
    std::size_t position = 0;
  };
  // What was looked at and need not be fetched again: by hash, a few in each place, where a new one drives out the
  // oldest.
  class Stamps {
   public:
    Stamps();
    [[nodiscard]] std::uint64_t key(const Box& box, const Item& item) const;
    [[nodiscard]] bool contains(std::uint64_t key) const;
    void add(std::uint64_t key);

   private:
    using Place = std::array<std::uint64_t, 4>;
    std::string secret_;  // nobody can make an item that is taken for another
    std::vector<Place> places_;
  };
  struct Posted {
    std::uint64_t inode = 0;
    std::int64_t changed = 0;  // ns
    std::int64_t size = 0;
    bool operator==(const Posted&) const = default;
  };
  struct Outgoing {
    Posted now;
    WallTime written{};
    std::optional<Item> there;  // what the source has of that name
  };
  // By name, requests first: somebody waits for them. Events follow in their order.
  struct Urgency {
    bool operator()(const std::string& a, const std::string& b) const {
      const OutboxKind first = outbox_kind(a), second = outbox_kind(b);
      return first != second ? first < second : a < b;
    }
  };
  using Outbox = std::map<std::string, Outgoing, Urgency>;
  [[nodiscard]] static Result<Outbox> read_outbox(int folder);

  [[nodiscard]] Result<void> pull(const Box& box, Pass& pass);
  [[nodiscard]] Result<std::vector<Found>> unknown(const Box& box, Pass& pass);
  [[nodiscard]] Result<void> take(const Box& box, const Found& found, Pass& pass);
  [[nodiscard]] Result<void> deliver(std::string_view bytes);
  void count_undelivered();
  [[nodiscard]] bool may_deliver(Pass& pass);

  void push(Pass& pass);
  void forget_posted();
  [[nodiscard]] Result<void> mirror(int folder, Outbox outbox, Pass& pass);
  [[nodiscard]] Result<void> compare(int folder, Outbox& outbox);
  [[nodiscard]] Result<void> adopt(int folder, const Outbox& outbox);
  [[nodiscard]] Result<void> post(int folder, const std::string& name, const Outgoing& file, Pass& pass);

  Config config_;
  Mailbox& mailbox_;
  Seen& seen_;
  const Clock& clock_;
  std::vector<Box> boxes_;
  Box from_;

  Stamps stamps_;
  std::map<std::string, std::size_t> resume_;  // where a box's list goes on that was too long for one pass
  std::set<std::string> undelivered_;          // names of ours in the inbox
  double allowance_ = 0;                       // documents that may be delivered now
  std::uint64_t allowed_at_ = 0;               // boot-time clock, ms

  std::map<std::string, Posted> posted_;  // what the source has of us
  std::set<std::string> gone_;            // and should not have
  std::uint64_t compare_at_ = 0;          // boot-time clock, ms: what it has is to be looked at
  bool compared_ = false;                 // since it was last gone
  Backoff post_backoff_;
  std::uint64_t post_at_ = 0;  // boot-time clock, ms: not before
  std::optional<Error> post_error_;
};

}  // namespace jit
