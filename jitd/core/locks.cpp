// A signed refusal of what comes, and its lifting.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

bool holds(const LockRecord& lock, std::int64_t at) {
  return !lock.lifted && (lock.until == 0 || lock.until > at);
}

}  // namespace

Locks EngineImpl::locks_now() const {
  const std::int64_t at = sure_ms() / 1000;
  Locks locks;
  for (const LockRecord& lock : locks_) {
    if (!holds(lock, at)) continue;
    locks.users.insert(lock.users.begin(), lock.users.end());
    locks.keys.insert(lock.keys.begin(), lock.keys.end());
    locks.approvers.insert(lock.approvers.begin(), lock.approvers.end());
  }
  return locks;
}

bool EngineImpl::locked_user(const GrantRecord& record, std::string* why) const {
  const std::int64_t at = sure_ms() / 1000;
  for (const LockRecord& lock : locks_) {
    if (!holds(lock, at) || !names_user(lock.users, record)) continue;
    *why = "locked by " + lock.by + ": " + shown(lock.reason);
    return true;
  }
  return false;
}

void EngineImpl::on_lock(const Caller* caller, const Verified& verified, const Lock& lock,
                         const Reply<Outcome>& reply) {
  if (Result<void> ours = meant_for_us(lock.hosts, lock.segments); !ours) {
    return reply(tl::unexpected<Error>(ours.error()));
  }
  if (Result<void> fine = made_lately(lock.created, true); !fine) return reply(tl::unexpected<Error>(fine.error()));
  const std::string id = id_of(verified.digest);
  const auto same = [&](const LockRecord& known) { return known.digest == verified.digest; };
  if (std::any_of(locks_.begin(), locks_.end(), same)) {
    return reply(in_force_now({id, GrantState::active, "this lock has been here before"}));
  }
  std::string why;
  std::vector<PersonRef> persons = signed_by(verified, {}, &why);
  const std::set<PersonRef> entitled = lockers(host_->policy);
  std::erase_if(persons, [&](const PersonRef& person) { return !entitled.contains(person); });
  if (persons.empty()) {
    if (!signed_by(verified, {}, nullptr).empty()) why = "its signer may not lock here";
    return reply(fail(Errc::refused, "this lock does not count: " + why));
  }
  LockRecord record;
  record.digest = verified.digest;
  record.users = lock.users;
  record.keys = lock.keys;
  record.approvers = lock.approvers;
  record.created = lock.created.time_since_epoch().count();
  record.until = lock.until ? lock.until->time_since_epoch().count() : 0;
  record.reason = lock.reason;
  record.by = names_of(persons);
  const std::int64_t at = wall();
  if (record.until != 0 && record.until <= at) {
    return reply(fail(Errc::refused, "this lock ended at " + format_utc(*lock.until)));
  }
  const std::int64_t keep = std::max(
      record.created +
          static_cast<std::int64_t>((host_->config.absolute_ceiling + host_->config.clock_tolerance).count()),
      record.until);
  const StoredDocument document{verified.digest, Kind::lock, to_text(verified.envelope), at, keep, {}};
  locks_.push_back(record);
  writes_.emplace_back([document](Store& store) { return store.put(document); });
  writes_.emplace_back([record](Store& store) { return store.put(record); });
  std::vector<std::string> targets = record.users;
  targets.insert(targets.end(), record.approvers.begin(), record.approvers.end());
  targets.insert(targets.end(), record.keys.begin(), record.keys.end());
  Fields fields = who_handed_in(caller);
  fields.emplace("signed_by", record.by);
  fields.emplace("reason", record.reason);
  fields.emplace("targets", joined(targets));
  fields.emplace("document", digest_text(record.digest));
  if (record.until != 0) fields.emplace("until", std::to_string(record.until));
  journal(5, record.by + " locks " + joined(targets) + ": " + record.reason, nullptr, "lock");
  decide_again([&](std::size_t ends) {
    fields.emplace("ends", std::to_string(ends));
    audit_.note(tell(event_of("lock", nullptr, std::move(fields)), "locked", nullptr,
                     {record.digest, ended_text(ends) + ": " + record.reason, record.by}));
  });
  save_or_queue();
  changed();
  reply(in_force_now({id, GrantState::active, "locked " + shown(joined(targets), 1024)}));
}

void EngineImpl::on_unlock(const Caller* caller, const Verified& verified, const Lock& lock,
                           const Reply<Outcome>& reply) {
  if (Result<void> ours = meant_for_us(lock.hosts, lock.segments); !ours) {
    return reply(tl::unexpected<Error>(ours.error()));
  }
  if (Result<void> fine = made_lately(lock.created, true); !fine) return reply(tl::unexpected<Error>(fine.error()));
  std::vector<LockRecord*> lifted;
  std::vector<PersonRef> targets;  // nobody unlocks themselves, with whatever key
  for (const Digest& digest : lock.lifts) {
    for (LockRecord& record : locks_) {
      if (record.digest != digest) continue;
      lifted.push_back(&record);
      for (const std::string& user : record.users) targets.push_back(person_of_user(host_->policy, user));
      for (const std::string& name : record.approvers) targets.push_back(person_of_name(host_->policy, name));
      for (const TrustLine& line : host_->trust.approvers.lines) {
        const bool named =
            std::find(record.keys.begin(), record.keys.end(), fingerprint(line.key)) != record.keys.end();
        const std::optional<PersonRef> owner = person_of_principal(host_->policy, line.principal);
        if (named && owner) targets.push_back(*owner);
      }
    }
  }
  if (lifted.empty()) return reply(fail(Errc::not_found, "there is no such lock on this host"));
  std::string why;
  std::vector<PersonRef> persons = signed_by(verified, targets, &why);
  const std::set<PersonRef> entitled = lockers(host_->policy);
  std::erase_if(persons, [&](const PersonRef& person) { return !entitled.contains(person); });
  if (persons.empty()) {
    if (!signed_by(verified, targets, nullptr).empty()) why = "its signer may not unlock here";
    return reply(fail(Errc::refused, "this unlock does not count (nobody unlocks themselves): " + why));
  }
  const std::string by = names_of(persons);
  const std::string id = id_of(verified.digest);
  if (std::all_of(lifted.begin(), lifted.end(), [](const LockRecord* record) { return record->lifted; })) {
    return reply(in_force_now({id, GrantState::active, "what this lifts has been lifted before"}));
  }
  std::vector<std::string> ids;
  for (LockRecord* record : lifted) {
    ids.push_back(id_of(record->digest));
    record->lifted = true;
    writes_.emplace_back([stored = *record](Store& store) { return store.put(stored); });
  }
  const std::int64_t keep =
      lock.created.time_since_epoch().count() +
      static_cast<std::int64_t>((host_->config.absolute_ceiling + host_->config.clock_tolerance).count());
  const StoredDocument document{verified.digest, Kind::lock, to_text(verified.envelope), wall(), keep, {}};
  writes_.emplace_back([document](Store& store) { return store.put(document); });
  Fields fields = who_handed_in(caller);
  fields.emplace("signed_by", by);
  fields.emplace("reason", lock.reason);
  fields.emplace("locks", joined(ids, " "));
  fields.emplace("document", digest_text(verified.digest));
  audit_.note(tell(event_of("unlock", nullptr, std::move(fields)), "unlocked", nullptr,
                   {verified.digest, "lock " + joined(ids) + ": " + lock.reason, by}));
  journal(5, by + " lifts lock " + joined(ids) + ": " + lock.reason, nullptr, "unlock");
  decide_again();
  save_or_queue();
  changed();
  reply(in_force_now({id, GrantState::active, "lifted " + joined(ids)}));
}

void EngineImpl::lift(const Caller& caller, const std::string& user, Reply<Outcome> reply) {
  const Turn turn(*this);
  const std::int64_t at = sure_ms() / 1000;
  std::size_t count = 0;
  for (LockRecord& lock : locks_) {
    if (!holds(lock, at)) continue;
    const std::size_t before = lock.users.size() + lock.approvers.size() + lock.keys.size();
    std::erase(lock.users, user);
    std::erase(lock.approvers, user);
    std::erase(lock.keys, user);
    const std::size_t left = lock.users.size() + lock.approvers.size() + lock.keys.size();
    if (left == before) continue;
    ++count;
    lock.lifted = left == 0;
    writes_.emplace_back([stored = lock](Store& store) { return store.put(stored); });
  }
  if (count == 0) {
    return answer<Outcome>(reply,
                           fail(Errc::not_found, "nothing of the name " + shown(user, 256) + " is locked here"));
  }
  Fields fields = who_handed_in(&caller);
  fields.emplace("targets", user);
  audit_.note(tell(event_of("lift", nullptr, std::move(fields)), "unlocked", nullptr,
                   {std::nullopt, "the lock on " + user, "local root"}));
  journal(4, "local root lifts the lock on " + user, nullptr, "lift");
  decide_again();
  save_or_queue();
  changed();
  answer<Outcome>(reply, in_force_now({"", GrantState::active, "the lock on " + shown(user, 256) + " is lifted"}));
}

}  // namespace jit
