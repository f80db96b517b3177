// After a start, whatever stopped the last run: all that is ours is taken away, then each grant that is not marked
// ended is decided again as a new activation would be, for what remains of it. Nothing that ended comes back (P4).
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit {

Result<void> EngineImpl::recover() {
  const Turn turn(*this);
  if (Result<void> loaded = audit_.load(); !loaded) return loaded;
  Result<std::vector<LockRecord>> locks = ports_.store.locks();
  if (!locks) return tl::unexpected<Error>(locks.error());
  locks_ = std::move(*locks);
  Result<std::vector<RevocationRecord>> revocations = ports_.store.revocations();
  if (!revocations) return tl::unexpected<Error>(revocations.error());
  revocations_ = std::move(*revocations);
  Result<std::vector<GrantRecord>> records = ports_.store.grants(std::numeric_limits<std::int64_t>::max());
  if (!records) return tl::unexpected<Error>(records.error());

  report(ports_.effector.reconcile({}));
  asking_->gifts_changed();
  publish();
  std::map<std::string, EndRecord> ends;
  bool ends_known = true;
  if (Result<std::vector<EndRecord>> read = ports_.effector.ends()) {
    for (EndRecord& record : *read) ends[record.grant] = std::move(record);
  } else {
    ends_known = false;
    start_warnings_.push_back("what ended before the last stop could not be read, so every grant is ended: " +
                              read.error().message);
    journal(3, start_warnings_.back(), nullptr, "start");
  }
  note("start", {{"boot_id", ports_.clock.boot_id()},
                 {"policy", digest_text(host_->policy.digest)},
                 {"mark", format_utc(WallTime(Seconds(guard_.mark_ms() / 1000)))}});

  for (GrantRecord& record : *records) {
    auto life = std::make_shared<Life>();
    life->record = std::move(record);
    lives_[life->record.digest] = life;
    if (!life->record.direct || life->in_force()) continue;
    Result<std::optional<StoredDocument>> stored = ports_.store.document(life->record.digest);
    if (!stored) return tl::unexpected<Error>(stored.error());
    if (!*stored) continue;
    Result<Envelope> envelope = parse_envelope((*stored)->text);
    if (!envelope) continue;
    Result<Document> document = parse_document(envelope->payload, "the database");
    if (document) {
      if (const GrantDocument* grant = std::get_if<GrantDocument>(&*document)) life->direct = *grant;
    }
  }
  const Instant at = now();
  end_due(at);
  for (const LifePtr& life : lives_where([](const Life& one) { return one.in_force(); })) {
    if (!ends_known) {
      life->resumed = life->on_host = true;
      end(life, "clock", "what ended before the last stop could not be read");
    } else {
      life->resuming = resumable(life, ends, at);
      if (life->resuming) ++resuming_;
    }
  }
  for (const LifePtr& life : lives_where([](const Life& one) { return one.resuming; })) try_activate(life);
  // Those that were decided but not begun.
  for (const LifePtr& life : lives_where([](const Life& one) { return one.record.state == GrantState::pending; })) {
    if (life->record.direct && !life->direct) {
      end(life, "failed", "its document is not in the database any more");
    } else {
      try_activate(life);
    }
  }
  save_or_queue();
  return {};
}

bool EngineImpl::resumable(const LifePtr& life, const std::map<std::string, EndRecord>& ends, Instant at) {
  GrantRecord& record = life->record;
  const auto over = [&](const std::string& word, const std::string& why) {
    end(life, word, why);
    return false;
  };
  const auto marked = ends.find(record.id);
  const bool begun = marked != ends.end();
  life->resumed = begun || record.state == GrantState::active;
  life->on_host = true;
  if (begun && !marked->second.active)
    return over(marked->second.reason, "ended before the last stop: " + marked->second.reason);
  if (!begun && record.state == GrantState::active) {
    return over("removed", "nothing on disk says that it was still in force at the last stop");
  }
  // What remains: the least of what was stored and of not_after - max(now, mark).
  const bool same_boot = record.boot_id == ports_.clock.boot_id();
  if (!same_boot && guard_.behind()) return over("clock", guard_.problem());
  std::int64_t not_after = record.not_after;
  if (begun) not_after = std::min(not_after, marked->second.not_after);
  std::int64_t remaining = not_after * 1000 - std::max(at.wall_ms, guard_.mark_ms());
  std::uint64_t deadline = record.boot_deadline_ms;
  if (begun && marked->second.boot_id == record.boot_id) deadline = std::min(deadline, marked->second.boot_ms);
  // The last time on that boot's clock that we know of; without one, all of its duration was stored.
  std::int64_t stored = std::chrono::duration_cast<std::chrono::milliseconds>(record.duration).count();
  if (same_boot) {
    stored = static_cast<std::int64_t>(deadline) - static_cast<std::int64_t>(at.boot_ms);
  } else if (last_mark_ && last_mark_->boot_id == record.boot_id) {
    stored = std::min(stored, static_cast<std::int64_t>(deadline) - static_cast<std::int64_t>(last_mark_->boot_ms));
  }
  remaining = std::min(remaining, stored);
  if (remaining <= 0) return over("expired", "expired");
  record.state = GrantState::activating;
  record.boot_id = ports_.clock.boot_id();
  record.boot_deadline_ms = at.boot_ms + static_cast<std::uint64_t>(remaining);
  record.not_after = std::min(not_after, (at.wall_ms + remaining + 999) / 1000);
  life->resumed = true;
  return true;
}

void EngineImpl::resumed(Life& life) {
  if (!std::exchange(life.resuming, false)) return;
  --resuming_;
}

}  // namespace jit
