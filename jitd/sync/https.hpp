// The mailbox on plain files behind HTTP: any static server or object store to read from, and to post to where it
// takes PUT. Each box has a file `index` (https_index.hpp), which alone says what is in it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/sync/http.hpp"
#include "jitd/sync/https_index.hpp"
#include "jitd/sync/mailbox.hpp"

namespace jit {

// The time that a mailbox goes by, how it waits, and its chance; tests have their own.
struct Pace {
  std::function<std::chrono::steady_clock::time_point()> now;
  std::function<void(std::chrono::milliseconds)> sleep;
  unsigned seed = 1;
  static Pace real();
};

class HttpsMailbox final : public Mailbox {
 public:
  HttpsMailbox(SourceSpec spec, std::unique_ptr<Http> http, Pace pace = Pace::real());

  // Asks for the index with what is known of the last one: unchanged, it costs one answer without a body. One that
  // broke off goes on where it was the next time, if the server gave it a strong ETag.
  [[nodiscard]] Result<void> list(const Box& box, const Visit& visit) override;

  // Errc::not_found also for bytes that are not those the index speaks of (they were replaced, or a cache is late)
  // and for a file that the server keeps from us: both may be had later. So may everything from a server that is not
  // who it should be, for which list() has the error: here it is Errc::unavailable.
  [[nodiscard]] Result<std::string> get(const Box& box, const Item& item) override;

  // The file first, then its line in the index. Others may write the index at the same moment, and many servers heed
  // no conditions: in a box that many write to (to/), put() goes on until the line has stayed for a second, which is
  // what it takes at least. Errc::busy: it was overwritten again and again for 15 seconds.
  [[nodiscard]] Result<void> put(const Box& box, const std::string& name, std::string_view bytes,
                                 WallTime until) override;
  [[nodiscard]] Result<void> remove(const Box& box, const std::string& name) override;

  [[nodiscard]] Result<void> wait(const std::vector<Box>& boxes, int other, std::chrono::milliseconds at_most,
                                  bool eager) override;

 private:
  using Items = std::shared_ptr<const std::vector<Item>>;
  // What was last seen of a box's index.
  struct Known {
    Items items = std::make_shared<const std::vector<Item>>();
    bool there = false;                                  // not a 404
    std::string etag, modified;                          // to ask whether it changed; empty: it cannot be asked
    std::string match;                                   // to write it only if it did not; a strong ETag or empty
    std::string part, part_etag;                         // as far as it came when it broke off
    std::chrono::steady_clock::time_point ours_until{};  // we wrote it, and nobody else is to
  };
  using Change = std::function<bool(std::vector<Item>&)>;

  [[nodiscard]] std::string url(const Box& box, std::string_view name) const;
  [[nodiscard]] Result<void> refresh(const Box& box);
  [[nodiscard]] Result<void> take_index(const Box& box, HttpResponse response);
  // Makes the change to the index unless it is made already. `settle`: sees to it that it stays.
  [[nodiscard]] Result<void> edit(const Box& box, const Change& change, bool settle);
  // Writes it in place of the one that is known. False: somebody was faster.
  [[nodiscard]] Result<bool> write_index_of(const Box& box, std::vector<Item> items);
  [[nodiscard]] Result<HttpResponse> send(const Box& box, HttpRequest request);
  [[nodiscard]] Result<void> make_folders(const Box& box);
  [[nodiscard]] std::chrono::milliseconds jittered(std::chrono::milliseconds about, double by);

  SourceSpec spec_;
  std::unique_ptr<Http> http_;
  Pace pace_;
  std::minstd_rand random_;
  std::map<Box, Known> known_;
  std::optional<std::chrono::steady_clock::time_point> listed_;  // the last time
};

[[nodiscard]] Result<std::unique_ptr<Mailbox>> make_https_mailbox(const SourceSpec& spec);

}  // namespace jit
