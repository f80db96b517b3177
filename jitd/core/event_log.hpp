// What others are told of this host: signed events, one for each entry of the audit that concerns anybody elsewhere.
// They are made in the transaction that appends those entries, so each exactly once, and the outbox shows them
// (server/outbox.hpp). Where nobody carries them away, none are made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jitd/audit/audit_log.hpp"
#include "jitd/core/host.hpp"
#include "jitd/store/store.hpp"
#include "policy/result.hpp"

namespace jit {

// What every event says of its host.
struct EventStamp {
  const HostView& host;
  std::optional<std::uint64_t> view = {};  // number of the newest revocation list that is here with all before it
  std::optional<WallTime> viewed = {};     // when that was made
};

class EventLog {
 public:
  static constexpr std::uint64_t kKept = 4096;

  explicit EventLog(Store& store) : store_(store) {}

  // Takes over where the database ends.
  [[nodiscard]] Result<void> load();
  // Whether there is somebody to tell. `told`: the highest sequence that is known elsewhere, which a database that
  // was lost does not know: no number is ever used for something else.
  [[nodiscard]] Result<void> listen(bool there, std::uint64_t told);
  [[nodiscard]] bool on() const { return on_; }

  // Signs what is to be told of those entries and puts it into the caller's transaction, and drops what is kept no
  // longer at `now` (seconds, wall). An error: the transaction is to be given up. Then exactly one of committed(),
  // cancelled().
  [[nodiscard]] Result<void> write(const std::vector<Told>& told, const EventStamp& stamp, std::int64_t now);
  void committed() { told_ = writing_; }
  void cancelled() { writing_ = told_; }

  // Drops those that are kept no longer, outside of any transaction.
  [[nodiscard]] Result<void> forget(std::int64_t now);

  // Those that are durable and kept.
  [[nodiscard]] EventRange range() const { return told_; }

  // "alive", signed: nothing happened. It has the last event's sequence, and is kept nowhere.
  [[nodiscard]] Result<std::string> alive(const EventStamp& stamp, std::int64_t now, std::uint64_t entry,
                                          const Digest& head) const;

 private:
  [[nodiscard]] Result<void> drop(std::uint64_t below, std::int64_t now);

  Store& store_;
  bool on_ = false;
  EventRange told_, writing_;
};

}  // namespace jit
