// Hears of news in the boxes of an etcd mailbox, and never for long of nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/sync/etcd_client.hpp"
#include "jitd/sync/mailbox.hpp"

namespace jit::etcd {

// The keys of a box, and what its documents are called. A name with a slash in it is somebody else's.
[[nodiscard]] KeyRange keys_of(const SourceSpec& spec, const Box& box);
[[nodiscard]] std::string key_of(const SourceSpec& spec, const Box& box, const std::string& name);

// One watch for each box, all on one connection that stays open between calls, each from the revision at which its
// box was last listed: what changed since is told, also after a reconnect. What could have been missed all the same
// (the history was compacted, the cluster restored from a backup, a line makes no sense, a proxy holds lines back)
// counts as news. Every ten seconds the watched member is asked a question that it can answer only with most of the
// cluster behind it, about one box in turn; without an answer within five, the next member is watched.
class Watcher {
 public:
  Watcher(Client& client, const Clock& clock) : client_(client), clock_(clock) {}

  // The box was read as it is at this revision.
  void listed(const Box& box, Revision revision);

  // As Mailbox::wait. In boxes that are written to by others (to/) what goes away is no news: hosts would all
  // wake when a lease ends.
  [[nodiscard]] Result<void> wait(const std::vector<Box>& boxes, int other, std::chrono::milliseconds at_most);

 private:
  struct State {
    Revision listed = 0;
    bool news = true;  // something may have changed since
  };
  [[nodiscard]] bool news_in(const std::vector<Box>& boxes) const;
  [[nodiscard]] Result<void> open(const std::vector<Box>& boxes);
  void take(std::string_view line);
  void take_change(const Box& box, const WatchLine::Change& change);
  void note(State& state) { state.news = heard_ = true; }
  void all_news();
  // The stream is of no more use.
  enum class Fault : std::uint8_t { none, member, ended, history, refused };
  void give_up(Fault fault, std::string why);
  // Gets over that, a little later (or when `other` is readable) where the server ended it: a restart ends
  // everybody's. Errors: streams end one after the other, or we may not watch.
  [[nodiscard]] Result<void> recover(int other);
  [[nodiscard]] Result<void> find_refusal();
  void probe();
  [[nodiscard]] std::uint64_t now() const { return clock_.now().boot_ms; }

  Client& client_;
  const Clock& clock_;
  std::map<Box, State> states_;
  bool heard_ = false;  // news since the stream was read last: an approver has a box for each host of a fleet

  std::vector<Box> watched_;  // by the stream, in the order of their watches' numbers, from 1
  std::unique_ptr<HttpStream> stream_;
  std::size_t member_ = 0;  // that it is of
  Fault fault_ = Fault::none;
  std::string why_;              // of the fault
  std::uint64_t opened_at_ = 0;  // boot_ms
  std::uint64_t probe_at_ = 0;
  std::size_t turn_ = 0;         // whose box is asked about next
  std::size_t short_lived_ = 0;  // streams in a row that were lost soon
  bool checked_ = false;         // we may read all boxes, and still were refused
};

}  // namespace jit::etcd
