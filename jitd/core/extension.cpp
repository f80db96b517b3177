// One grant follows another without a gap. The extension takes over what the host holds under the id of the first: no
// effect is taken away and given again, and what runs under the one runs on under the other and ends with it.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

// A chain has to end: then somebody looks at a request anew.
constexpr std::size_t kMostExtensions = 32;

}  // namespace

std::string entitlement_id(const GrantRecord& record) {
  return record.extends.empty() ? record.id : id_of(record.extends.back());
}

std::int64_t EngineImpl::began(const GrantRecord& record) const {
  if (record.extends.empty()) return record.activated;
  const auto first = ports_.store.grant(record.extends.back());
  return first && *first && (*first)->activated > 0 ? (*first)->activated : record.activated;
}

Result<EngineImpl::LifePtr> EngineImpl::extendable(const Account& account, const std::string& id_prefix) const {
  Viewer who;
  who.uid = account.uid;
  who.user = account.name;
  Result<LifePtr> found = find_own(who, id_prefix, "extend");
  if (!found) return found;
  const Life& life = **found;
  if (life.record.state != GrantState::active)
    return fail(Errc::refused, life.record.id + " is not in force; it cannot be extended");
  if (life.record.once) return fail(Errc::refused, life.record.id + " is for one session, and is not extended");
  if (life.record.extends.size() >= kMostExtensions) {
    return fail(Errc::refused, life.record.id + " has been extended " + std::to_string(kMostExtensions) +
                                   " times, and no more; ask anew with 'jitctl request'");
  }
  return found;
}

EngineImpl::LifePtr EngineImpl::extended_by(const GrantRecord& record) const {
  if (record.extends.empty()) return nullptr;
  const auto found = lives_.find(record.extends.front());
  return found == lives_.end() || found->second->over() ? nullptr : found->second;
}

bool EngineImpl::waits_for_extended(const LifePtr& life) {
  const LifePtr before = extended_by(life->record);
  return before != nullptr && before->record.state == GrantState::activating;
}

bool EngineImpl::extends_active(const Life& life) const {
  const LifePtr before = extended_by(life.record);
  return before != nullptr && before->record.state == GrantState::active;
}

EngineImpl::LifePtr EngineImpl::shares_with(const Life& life) const {
  if (life.record.extends.empty()) return nullptr;
  const LifePtr other = in_force_as(entitlement_id(life.record));
  return other.get() == &life ? nullptr : other;
}

bool EngineImpl::other_extends(const Life& life) const {
  return std::ranges::any_of(lives_, [&](const auto& entry) {
    const GrantRecord& other = entry.second->record;
    return entry.second.get() != &life && other.state == GrantState::activating && !other.extends.empty() &&
           other.extends.front() == life.record.extends.front();
  });
}

std::string EngineImpl::cannot_extend(const Life& life, const Judged& judged) {
  const GrantRecord& record = life.record;
  const LifePtr before = extended_by(record);
  if (!before || before->record.state != GrantState::active) return "the grant that it extends has ended; ask anew";
  const GrantRecord& old = before->record;
  if (old.user != record.user || old.uid != record.uid) return "it extends a grant of somebody else";
  if (old.role != record.role || old.effects != record.effects) return "it extends a grant of something else";
  const Seconds given = std::min(judged.decision.duration, judged.narrowed.value_or(judged.decision.duration));
  if (wall() + given.count() <= old.not_after) {
    return "it would not end later than the grant that it extends, which ends at " +
           format_utc(WallTime(Seconds(old.not_after)));
  }
  return "";
}

void EngineImpl::followed(const LifePtr& life, const Life& by) {
  GrantRecord& record = life->record;
  ++life->attempt;
  life->step = Life::Step::idle;
  life->retry_boot_ms = 0;
  life->on_host = false;  // what it gave is the other's by now
  resumed(*life);
  record.state = GrantState::ended;
  record.ended = wall();
  record.why = "extended by " + by.record.id;
  audit_.note(tell(event_of("end", life.get(), {{"end", "extended"}, {"why", record.why}}), "ended", life.get(),
                   {std::nullopt, record.why}));
  journal(5, record.user + " keeps " + record.role + ": " + record.id + " is " + record.why, life.get(), "end",
          {{"JIT_END", "extended"}});
  touch(life);
  settle(*life);
  std::vector<Ending> others;
  for (const auto& [digest, other] : lives_) {
    if (other.get() == &by || other->over() || other->record.extends.empty()) continue;
    if (other->record.extends.front() != record.digest) continue;
    others.push_back({other, "policy", "the grant that it extends was extended already, by " + by.record.id, {}});
  }
  end(std::move(others));
}

void EngineImpl::follow_up(const std::map<std::string, EndRecord>& ends) {
  std::vector<LifePtr> begun;
  for (const LifePtr& life :
       lives_where([](const Life& one) { return one.in_force() && !one.record.extends.empty(); })) {
    const LifePtr before = extended_by(life->record);
    if (!before || !before->in_force()) continue;
    GrantRecord& record = life->record;
    const auto marked = ends.find(entitlement_id(record));
    if (life->resumed || (marked != ends.end() && marked->second.digest == digest_text(record.digest))) {
      begun.push_back(life);
      continue;
    }
    record.state = GrantState::pending;
    record.activated = record.not_after = 0;
    record.why = "waits for the grant that it extends";
    life->on_host = false;
    touch(life);
  }
  // When what the others would have is known to be nobody's: of two that extend the same one ends the other.
  for (const LifePtr& life : begun)
    if (const LifePtr before = extended_by(life->record); before && !life->over()) followed(before, *life);
}

void EngineImpl::keep_extended(const LifePtr& life) {
  const Entitlement entitlement = entitlement_of(*life);
  ++gives_[life->record.uid];
  Result<void> done = ports_.effector.prepare(entitlement);
  if (done) done = ports_.effector.give(entitlement);
  if (done) return;
  journal(4, "what an extension changed is put back by the next round: " + done.error().message, life.get(),
          "effect");
  reconcile_boot_ms_ = std::max<std::uint64_t>(now().boot_ms, 1);
}

}  // namespace jit
