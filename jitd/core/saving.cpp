// What is durable. Everything that changes goes into one queue and from there into one transaction with the audit
// entries of it. An activation insists on that transaction; ends, denials, revocations and locks take effect whether
// or not the database takes them, and are written as soon as it does (P6, P9).
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "jitd/core/open_store.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kSaveRetryMs = 1000;

}  // namespace

AuditEvent EngineImpl::event_of(const std::string& event, const Life* life, Fields fields) {
  if (life != nullptr) {
    fields.emplace("id", life->record.id);
    fields.emplace("user", life->record.user);
    fields.emplace("uid", std::to_string(life->record.uid));
    fields.emplace("role", life->record.role);
  }
  return {wall(), event, std::move(fields)};
}

void EngineImpl::note(const std::string& event, Fields fields) {
  audit_.note(event_of(event, nullptr, std::move(fields)));
}

void EngineImpl::note(const std::string& event, const Life& life, Fields fields) {
  audit_.note(event_of(event, &life, std::move(fields)));
}

Result<void> EngineImpl::save() {
  if (writes_.empty() && unsaved_.empty() && audit_.waiting() == 0 && guard_.mark_ms() == saved_mark_ms_) return {};
  const ClockMark mark = guard_.mark();
  const auto write_all = [&]() -> Result<void> {
    Result<std::unique_ptr<Store::Transaction>> transaction = ports_.store.begin();
    if (!transaction) return tl::unexpected<Error>(transaction.error());
    for (const Write& write : writes_) {
      if (Result<void> done = write(ports_.store); !done) return done;
    }
    for (const auto& [digest, life] : unsaved_) {
      if (Result<void> done = ports_.store.put(life->record); !done) return done;
    }
    if (Result<void> done = audit_.write(); !done) return done;
    if (Result<void> done = events_.write(audit_.told(), stamp(), sure_ms() / 1000); !done) return done;
    if (Result<void> done = ports_.store.set_value(kClockMark, to_text(mark)); !done) return done;
    return (*transaction)->commit();
  };
  if (Result<void> done = write_all(); !done) {
    audit_.cancelled();
    events_.cancelled();
    if (save_problem_.empty()) {
      journal(3, "the database does not take what happened; trying again: " + done.error().message, nullptr,
              "database");
    }
    save_problem_ = done.error().message;
    save_retry_boot_ms_ = ports_.clock.now().boot_ms + kSaveRetryMs;
    return done;
  }
  if (!writes_.empty() || !unsaved_.empty() || !audit_.told().empty()) {
    ++news_;
    changed();
  }
  audit_.committed();
  events_.committed();
  writes_.clear();
  saved_mark_ms_ = mark.wall_ms;
  save_retry_boot_ms_ = 0;
  if (!save_problem_.empty()) journal(5, "the database takes entries again", nullptr, "database");
  save_problem_.clear();
  std::vector<std::string> settled;
  for (const auto& [digest, life] : unsaved_) {
    if (!life->over()) continue;
    if (life->on_host) settled.push_back(entitlement_id(life->record));
    lives_.erase(digest);
  }
  unsaved_.clear();
  if (!settled.empty()) ports_.effector.settled(settled);
  return {};
}

Outcome EngineImpl::in_force_now(Outcome outcome) const {
  if (save_problem_.empty()) return outcome;
  outcome.durable = false;
  outcome.message +=
      "; in force, but not on disk yet: hand it in again if jitd restarts before the database takes it";
  return outcome;
}

Result<void> EngineImpl::save_or_drop(std::vector<Write> writes, const std::vector<AuditEvent>& events) {
  if (audit_.waiting() + events.size() > AuditLog::kMaxWaiting) {
    if (Result<void> done = save(); !done) return done;
  }
  const auto kept = static_cast<std::ptrdiff_t>(writes_.size());
  for (Write& write : writes) writes_.push_back(std::move(write));
  for (const AuditEvent& event : events) audit_.note(event);
  Result<void> done = save();
  if (!done) {
    writes_.erase(writes_.begin() + kept, writes_.end());
    audit_.withdraw(events.size());
    for (const AuditEvent& event : events)
      if (event.told && event.told->document) told_of_.erase(*event.told->document);
  }
  return done;
}

void EngineImpl::save_or_queue(std::vector<Write> writes) {
  for (Write& write : writes) writes_.push_back(std::move(write));
  // A failure is kept, shown in health and tried again by tick().
  static_cast<void>(save().has_value());
}

}  // namespace jit
