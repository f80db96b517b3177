// The audit chain as jitd writes it: entries wait in a queue and go to the store in somebody else's transaction, so
// that an activation can insist on a durable one while ends and denials never wait (P9).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jitd/store/store.hpp"
#include "policy/document/chain.hpp"
#include "policy/document/kinds.hpp"
#include "policy/result.hpp"

namespace jit {

// What happened, not yet in the chain.
struct AuditEvent {
  std::int64_t time = 0;  // seconds, wall clock, of the event and not of its writing
  std::string event;      // one word, see ChainEntry
  std::map<std::string, std::string> fields;
  std::optional<EventDocument> told = {};  // to others, but for what the host fills in (core/event_log.hpp)
};

// An entry that is in the chain, and what others are told of it.
struct Told {
  std::uint64_t sequence = 0;  // of the entry
  std::int64_t time = 0;
  Digest hash;
  EventDocument event;
};

class AuditLog {
 public:
  explicit AuditLog(Store& store) : store_(store) {}

  // Takes over where the chain in the store ends.
  [[nodiscard]] Result<void> load();

  // Puts an event into the queue. A full queue (the store has refused for long) drops it and counts; the chain gets a
  // `gap` entry that says how many.
  void note(AuditEvent event);
  // Takes back the `count` events noted last.
  void withdraw(std::size_t count);

  // Appends the queue to the chain, inside the caller's transaction. Then exactly one of committed(), cancelled().
  [[nodiscard]] Result<void> write();
  void committed();
  void cancelled();
  // Of the entries that write() appended, in their order.
  [[nodiscard]] const std::vector<Told>& told() const { return told_; }

  [[nodiscard]] std::size_t waiting() const { return queue_.size(); }
  // Of what is durable.
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }
  [[nodiscard]] const Digest& head() const { return head_; }

  static constexpr std::size_t kMaxWaiting = 10000;

 private:
  [[nodiscard]] Result<void> append(const AuditEvent& event);

  Store& store_;
  std::deque<AuditEvent> queue_;
  std::vector<Told> told_;
  std::uint64_t dropped_ = 0;
  std::int64_t late_since_ = 0;  // time of the first event that could not be written when it happened; 0: none
  std::uint64_t sequence_ = 0, written_sequence_ = 0;
  Digest head_, written_head_;
};

}  // namespace jit
