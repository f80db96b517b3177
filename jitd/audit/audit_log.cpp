#include "jitd/audit/audit_log.hpp"

#include <algorithm>

namespace jit {

Result<void> AuditLog::load() {
  Result<std::optional<ChainEntry>> head = store_.audit_head();
  if (!head) return tl::unexpected<Error>(head.error());
  if (*head) {
    sequence_ = (*head)->sequence;
    head_ = (*head)->hash;
  }
  return {};
}

void AuditLog::note(AuditEvent event) {
  if (queue_.size() >= kMaxWaiting) {
    ++dropped_;
    return;
  }
  queue_.push_back(std::move(event));
}

void AuditLog::withdraw(std::size_t count) {
  queue_.resize(queue_.size() - std::min(count, queue_.size()));
  if (queue_.empty()) late_since_ = 0;
}

Result<void> AuditLog::append(const AuditEvent& event) {
  ChainEntry entry;
  entry.sequence = written_sequence_ + 1;
  entry.time = event.time;
  entry.event = event.event;
  entry.fields = event.fields;
  entry.previous = written_head_;
  entry.hash = chain_hash(entry);
  if (Result<void> done = store_.append(entry); !done) return done;
  written_sequence_ = entry.sequence;
  written_head_ = entry.hash;
  if (event.told) told_.push_back({entry.sequence, entry.time, entry.hash, *event.told});
  return {};
}

Result<void> AuditLog::write() {
  written_sequence_ = sequence_;
  written_head_ = head_;
  told_.clear();
  if (dropped_ > 0 || late_since_ > 0) {
    AuditEvent gap;
    gap.time = queue_.empty() ? late_since_ : queue_.back().time;
    gap.event = "gap";
    gap.fields = {{"late_since", std::to_string(late_since_)},
                  {"late", std::to_string(queue_.size())},
                  {"lost", std::to_string(dropped_)},
                  {"why", "the database did not take entries when they happened"}};
    if (Result<void> done = append(gap); !done) return done;
  }
  for (const AuditEvent& event : queue_) {
    if (Result<void> done = append(event); !done) return done;
  }
  return {};
}

void AuditLog::committed() {
  sequence_ = written_sequence_;
  head_ = written_head_;
  queue_.clear();
  told_.clear();
  dropped_ = 0;
  late_since_ = 0;
}

void AuditLog::cancelled() {
  if (late_since_ == 0 && !queue_.empty()) late_since_ = queue_.front().time;
}

}  // namespace jit
