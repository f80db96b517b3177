// After a start, whatever stopped the last run: all that is ours is taken away, then each grant that is not marked
// ended is decided again as a new activation would be, for what remains of it. Nothing that ended comes back (P4).
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "jitd/core/open_store.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kAskedAtOnce = 8;  // keeps the helper's children busy, and lets others' questions through
constexpr std::size_t kTogether = 2000;
constexpr std::size_t kDropinsTogether = 32;
constexpr std::uint64_t kBringBackMs = 20;
constexpr std::uint64_t kBusyMs = 50;

}  // namespace

Result<void> EngineImpl::recover() {
  const Turn turn(*this);
  if (Result<void> loaded = audit_.load(); !loaded) return loaded;
  if (told_before_) {
    if (Result<void> loaded = events_.listen(true, *told_before_); !loaded) return loaded;
  }
  Result<std::vector<LockRecord>> locks = ports_.store.locks();
  if (!locks) return tl::unexpected<Error>(locks.error());
  locks_ = std::move(*locks);
  Result<std::vector<RevocationRecord>> revocations = ports_.store.revocations();
  if (!revocations) return tl::unexpected<Error>(revocations.error());
  revocations_ = std::move(*revocations);
  Result<std::vector<ListRecord>> lists = ports_.store.lists();
  if (!lists) return tl::unexpected<Error>(lists.error());
  read_lists(*lists);
  Result<std::optional<std::string>> since = ports_.store.value(kMemorySince);
  if (!since) return tl::unexpected<Error>(since.error());
  if (*since) {
    Result<std::uint64_t> seconds = parse_number(**since, INT64_MAX / 1000);
    if (!seconds) return within("the database's start", seconds.error());
    memory_since_ = static_cast<std::int64_t>(*seconds);
  }
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
  AuditEvent started = event_of("start", nullptr,
                                {{"boot_id", ports_.clock.boot_id()},
                                 {"policy", digest_text(host_->policy.digest)},
                                 {"mark", format_utc(WallTime(Seconds(guard_.mark_ms() / 1000)))}});
  audit_.note(tell(std::move(started), "started", nullptr, {std::nullopt, lost_}));

  if (!lost_.empty()) {
    note("lost", {{"why", lost_}});
    journal(2, lost_, nullptr, "database");
  }
  if (Result<void> read = read_again(); !read) return read;
  if (Result<void> read = read_waiting_parts(); !read) return read;

  for (GrantRecord& record : *records) {
    auto life = std::make_shared<Life>();
    life->record = std::move(record);
    lives_[life->record.digest] = life;
    life->on_host = life->in_force();  // what runs under it may be there still
    // Active is what is on the board, and nothing is put there before it is decided again.
    life->resumed = life->record.state == GrantState::active;
    life->told = life->resumed;
    if (life->resumed) life->record.state = GrantState::activating;
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
    if (life->direct && life->direct->not_before)  // which an older release did not keep in the record
      life->record.start = life->direct->not_before->time_since_epoch().count();
  }
  if (ends_known) follow_up(ends);
  const Instant at = now();
  std::vector<Ending> endings;
  for (const LifePtr& life : lives_where([](const Life& one) { return one.in_force(); })) {
    if (!ends_known) {
      life->resumed = life->on_host = true;
      endings.push_back({life, "clock", "what ended before the last stop could not be read", {}});
    } else if (std::optional<Ending> over = over_meanwhile(life, ends, at)) {
      endings.push_back(std::move(*over));
    } else {
      life->resuming = true;
      ++resuming_;
      to_decide_.push_back(life);
    }
  }
  end(std::move(endings));
  end_due(at);
  decide_more();
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

// Locks and revocations of a database that was lost, from their files: before anything is decided.
Result<void> EngineImpl::read_again() {
  Result<std::vector<std::string>> texts = ports_.store.unread_files();
  if (!texts) return tl::unexpected<Error>(texts.error());
  reading_again_ = true;
  for (std::string& text : *texts) {
    submit(nullptr, std::move(text), [this](const Result<Outcome>& outcome) {
      // An unlock is kept too; the lock that it lifted is not there any more.
      if (outcome || outcome.error().code == Errc::not_found) return;
      start_warnings_.push_back("a lock or revocation of before counts no more: " + outcome.error().message);
    });
  }
  reading_again_ = false;
  return {};
}

std::optional<EngineImpl::Ending> EngineImpl::over_meanwhile(const LifePtr& life,
                                                             const std::map<std::string, EndRecord>& ends,
                                                             Instant at) {
  GrantRecord& record = life->record;
  const auto over = [&](const std::string& word, const std::string& why) { return Ending{life, word, why, {}}; };
  const auto marked = ends.find(entitlement_id(record));
  const bool begun = marked != ends.end();
  const bool was_active = life->resumed;
  life->resumed = begun || was_active;
  life->on_host = true;
  const bool by_view = ends_with_view(record);
  if (begun && !marked->second.active) {
    const bool early = by_view && marked->second.reason == "expired" && marked->second.not_after < record.not_after;
    if (early) return over("view", "ended before the last stop: " + why_past_its_view(record));
    return over(marked->second.reason, "ended before the last stop: " + marked->second.reason);
  }
  // What was given was given on another machine.
  if (!host_->machine.unknown.empty()) return over("machine", host_->machine.unknown);
  if (!begun && was_active) {
    return over("removed", "nothing on disk says that it was still in force at the last stop");
  }
  // What remains: the least of what was stored and of not_after - max(now, mark).
  const bool same_boot = record.boot_id == ports_.clock.boot_id();
  if (!same_boot && !record.session.empty()) return over("once", "the one session that it was for is over");
  if (!same_boot && guard_.behind()) return over("clock", guard_.problem());
  std::int64_t not_after = record.not_after;
  // An end by the view stands in `ends` as well, and moves on with each list: what is left of its own time does not
  // follow from it.
  if (begun && !by_view) not_after = std::min(not_after, marked->second.not_after);
  std::int64_t remaining = not_after * 1000 - std::max(at.wall_ms, guard_.mark_ms());
  std::uint64_t deadline = record.boot_deadline_ms;
  if (begun && !by_view && marked->second.boot_id == record.boot_id)
    deadline = std::min(deadline, marked->second.boot_ms);
  // The last time on that boot's clock that we know of; without one, all of its duration was stored.
  std::int64_t stored = std::chrono::duration_cast<std::chrono::milliseconds>(record.duration).count();
  if (same_boot) {
    stored = static_cast<std::int64_t>(deadline) - static_cast<std::int64_t>(at.boot_ms);
  } else if (last_mark_ && last_mark_->boot_id == record.boot_id) {
    stored = std::min(stored, static_cast<std::int64_t>(deadline) - static_cast<std::int64_t>(last_mark_->boot_ms));
  }
  remaining = std::min(remaining, stored);
  if (remaining <= 0) return over("expired", "expired");
  record.boot_id = ports_.clock.boot_id();
  record.boot_deadline_ms = at.boot_ms + static_cast<std::uint64_t>(remaining);
  record.not_after = std::min(not_after, (at.wall_ms + remaining + 999) / 1000);
  life->resumed = true;
  return std::nullopt;
}

void EngineImpl::decide_more() {
  if (to_decide_.empty() || std::exchange(deciding_more_, true)) return;
  while (deciding_ < kAskedAtOnce && !to_decide_.empty()) {
    const LifePtr life = std::move(to_decide_.front());
    to_decide_.pop_front();
    if (!life->resuming || life->step != Life::Step::idle) continue;
    ++deciding_;
    life->deciding = true;
    try_activate(life);
  }
  deciding_more_ = false;
  if (deciding_ == 0) bring_back();
}

void EngineImpl::decided(Life& life) {
  if (!std::exchange(life.deciding, false)) return;
  --deciding_;
  if (deciding_more_) return;  // it goes on there
  if (!to_decide_.empty()) decide_more();
  const std::size_t waiting = to_give_.size() + to_end_.size();
  if ((deciding_ == 0 && to_decide_.empty()) || waiting >= kTogether) return bring_back();
  if (waiting == 0 || bring_back_boot_ms_ != 0) return;
  // The more it takes, the more come together for it.
  bring_back_boot_ms_ = now().boot_ms + std::max(kBringBackMs, 4 * bring_back_took_ms_);
  changed();
}

void EngineImpl::bring_back() {
  const std::uint64_t began = now().boot_ms;
  bring_back_boot_ms_ = 0;
  effects_of_role_.clear();
  end(std::exchange(to_end_, {}));
  std::vector<LifePtr> lives;
  std::vector<Entitlement> entitlements;
  auto with_sudo = static_cast<std::size_t>(std::ranges::count_if(lives_, [this](const auto& entry) {
    return entry.second->step == Life::Step::proving && !entitlement_of(*entry.second).effects.sudo.empty();
  }));
  for (const LifePtr& life : std::exchange(to_give_, {})) {
    if (!life->in_force() || life->step != Life::Step::preparing) continue;
    Entitlement one = entitlement_of(*life);
    // sudo's own check of a drop-in takes its time, the loop has other things to do, and so have the helpers: no more
    // than these are being proven at once.
    if (!one.effects.sudo.empty() && ++with_sudo > kDropinsTogether) {
      life->give_up_boot_ms = began + kBusyGiveUpMs;  // its turn has not come
      to_give_.push_back(life);
      continue;
    }
    lives.push_back(life);
    entitlements.push_back(std::move(one));
  }
  if (!to_give_.empty()) {
    bring_back_boot_ms_ = began + (lives.empty() ? kBringBackMs : 1);
    changed();
  }
  if (lives.empty()) return;
  for (const LifePtr& life : lives) life->on_host = true;
  Result<void> done = ports_.effector.prepare_all(entitlements);
  if (done) done = announce(lives);
  if (done) done = ports_.effector.give_all(entitlements);
  if (!done)
    for (const LifePtr& life : lives) life->step = Life::Step::preparing;
  asking_->gifts_changed();
  if (!done && done.error().code == Errc::busy && began < lives.front()->give_up_boot_ms) {
    to_give_.insert(to_give_.end(), lives.begin(), lives.end());
    bring_back_boot_ms_ = began + kBusyMs;
    return changed();
  }
  for (const LifePtr& life : lives) {
    if (done) {
      prove(life);
    } else {
      give(life);  // one of them cannot be given: each for itself
    }
  }
  if (!proven_.empty()) come_into_force();
  bring_back_took_ms_ = now().boot_ms - began;
}

void EngineImpl::resumed(Life& life) {
  if (std::exchange(life.resuming, false)) --resuming_;
  if (!std::exchange(life.deciding, false)) return;
  --deciding_;  // ended while it was asked about: the others go on at the next tick, not within this end
  bring_back_boot_ms_ = std::max<std::uint64_t>(ports_.clock.now().boot_ms, 1);
}

}  // namespace jit
