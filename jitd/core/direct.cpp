// A grant that approvers issue without a request. Judged as a request would be, by the first rule that matches.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/names.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

std::int64_t seconds_of(WallTime time) {
  return time.time_since_epoch().count();
}

// Its last moment as a document: after it nothing can come of it.
WallTime last_of(const GrantDocument& grant) {
  if (grant.not_after) return *grant.not_after;
  return grant.activate_by.value_or(grant.created);
}

}  // namespace

void EngineImpl::on_direct(const Caller* caller, const Verified& verified, const GrantDocument& grant,
                           const Reply<Outcome>& reply) {
  const auto refuse = [&](std::string why) { reply(fail(Errc::refused, std::move(why))); };
  const HostConfig& config = host_->config;
  const std::int64_t at = wall();
  if (Result<void> ours = meant_for_us(grant.hosts, grant.segments); !ours) {
    return reply(tl::unexpected<Error>(ours.error()));
  }
  if (grant.host_key && *grant.host_key != host_->host_key) {
    return refuse("it names the host key " + shown(*grant.host_key, 100) + ", and this host's is " + host_->host_key);
  }
  if (Result<void> fine = made_lately(grant.created, true); !fine) return reply(tl::unexpected<Error>(fine.error()));
  if (last_of(grant) > grant.created + config.absolute_ceiling) {
    return refuse("it reaches further than " + format_duration(config.absolute_ceiling) + " from when it was made");
  }
  if (seconds_of(last_of(grant)) <= at) return refuse("it expired at " + format_utc(last_of(grant)));

  if (seconds_of(grant.created) <= memory_since_ + config.clock_tolerance.count()) {
    return refuse("this host has lost its database at " + format_utc(WallTime(Seconds(memory_since_))) +
                  " and does not know what became of grants signed before that; sign a new one" +
                  (at <= memory_since_ + config.clock_tolerance.count()
                       ? " in " + format_duration(config.clock_tolerance)
                       : ""));
  }
  const auto found = lives_.find(verified.digest);
  if (found == lives_.end()) {
    Result<std::optional<GrantRecord>> known = ports_.store.grant(verified.digest);
    if (!known) return reply(tl::unexpected<Error>(known.error()));
    if (*known) return refuse("this grant has been here before and is over: " + (*known)->why);
  } else if (found->second->over()) {
    return refuse("this grant has been here before and is over: " + found->second->record.why);
  } else if (found->second->in_force()) {
    return reply(outcome_of(*found->second));
  }

  std::string why;
  if (signed_by(verified, {person_of_user(host_->policy, grant.user)}, &why).empty()) {
    return refuse("this grant does not count: " + why);
  }
  if (guard_.behind() && found == lives_.end()) return refuse(guard_.problem());
  if (!host_->machine.unknown.empty()) return reply(fail(Errc::unavailable, host_->machine.unknown));
  // The user's uid is fixed when the grant arrives; it must be the same when it is activated.
  ports_.questions.account(
      grant.user,
      later<Account>([this, handed_in = who_handed_in(caller), verified, grant, reply](Result<Account> account) {
        if (!account) {
          return reply(fail(account.error().code == Errc::not_found ? Errc::refused : account.error().code,
                            "user " + shown(grant.user, 256) + ": " + account.error().message));
        }
        direct_for(handed_in, verified, grant, *account, reply);
      }));
}

void EngineImpl::direct_for(const Fields& handed_in, const Verified& verified, const GrantDocument& grant,
                            const Account& account, const Reply<Outcome>& reply) {
  const auto refuse = [&](std::string why) { reply(fail(Errc::refused, std::move(why))); };
  const std::int64_t at = wall();
  if (account.name != grant.user || account.uid == 0 || !usable_id(account.uid) || dynamic_id(account.uid)) {
    return refuse("nothing is granted to " + shown(grant.user, 256) + " (uid " + std::to_string(account.uid) + ")");
  }
  Result<Merged> document = merged(verified, seconds_of(last_of(grant)) + host_->config.clock_tolerance.count());
  if (!document) return reply(tl::unexpected<Error>(document.error()));

  const auto found = lives_.find(verified.digest);  // again: a second copy may have come while we asked
  const bool fresh = found == lives_.end();
  const LifePtr life = fresh ? std::make_shared<Life>() : found->second;
  if (life->over()) return refuse("this grant is over: " + life->record.why);
  if (life->in_force()) return reply(outcome_of(*life));
  GrantRecord& record = life->record;
  if (fresh) {
    const Role* role = host_->policy.role(grant.role);
    if (role == nullptr) return refuse("there is no role " + shown(grant.role, 100) + " here");
    const std::int64_t from = std::max(at, grant.not_before ? seconds_of(*grant.not_before) : at);
    record.asked =
        grant.duration ? *grant.duration : Seconds(seconds_of(grant.not_after.value_or(grant.created)) - from);
    const Seconds most = std::min(role->max_duration, host_->config.grant_ceiling);
    if (record.asked <= Seconds(0)) return refuse("it would end before it begins");
    const auto waiting = std::count_if(lives_.begin(), lives_.end(), [&](const auto& entry) {
      const Life& other = *entry.second;
      return other.record.direct && other.record.state == GrantState::pending && other.record.user == account.name;
    });
    if (static_cast<std::size_t>(waiting) >= host_->config.pending_per_user) {
      return reply(fail(Errc::busy, std::to_string(waiting) + " grants for " + account.name +
                                        " wait here already, and no more are taken until one is over"));
    }
    if (record.asked > most) return refuse(at_most(most));
    record.digest = verified.digest;
    record.id = id_of(verified.digest);
    record.direct = true;
    record.user = account.name;
    record.uid = account.uid;
    record.role = grant.role;
    record.reason = grant.reason;
    record.ticket = grant.ticket;
    record.requesters = {person_of_user(host_->policy, account.name)};
    record.duration = record.asked;
    record.created = seconds_of(grant.created);
    record.expires = seconds_of(last_of(grant));
    if (grant.not_before) record.start = seconds_of(*grant.not_before);
    record.once = grant.once;
    life->direct = grant;
    Result<Effects> effects = make_effects(host_->policy, *role, ports_.facts);
    if (!effects) return refuse(effects.error().message);
    record.effects = to_text(*effects);  // for show; they are made again at activation
    if (const std::string why = revoked(record); !why.empty()) return refuse(why);
    if (std::string why; locked_user(record, &why)) return refuse(why);
  } else if (record.uid != account.uid) {
    return refuse("user " + record.user + " had uid " + std::to_string(record.uid) + " when this grant came");
  }
  if (!fresh && !document->news) {  // a copy: nothing to keep, nothing to chain
    life->waiters.emplace_back([reply](const Result<Outcome>& outcome) { reply(outcome); });
    return try_activate(life);
  }
  record.facts_groups.clear();
  for (const std::string& group : own_groups(account)) record.facts_groups.push_back(group);
  life->voices.emplace();
  if (std::optional<Voice> voice = voice_of(document->document)) life->voices->push_back(std::move(*voice));
  const Judged judged = judge(*life, own_groups(account), When::activation);
  const Decision& decision = judged.decision;
  if (fresh && decision.verdict != Verdict::approve && decision.verdict != Verdict::review) {
    const std::string said = decision.message.empty() ? joined(decision.reasons, "; ") : decision.message;
    return refuse(said);
  }
  if (fresh && record.asked > decision.unshortened) {
    return refuse(at_most(decision.unshortened, decision.rule));
  }
  const std::string by = names_of(judged.consents);
  record.why = judged.waiting_for.empty() ? "" : "waiting for " + joined(judged.waiting_for);
  Fields fields = handed_in;
  fields.emplace("signed_by", by);
  fields.emplace("reason", record.reason);
  fields.emplace("duration", format_duration(record.asked));
  fields.emplace("document", digest_text(record.digest));
  Result<void> saved =
      save_or_drop({[stored = document->document](Store& store) { return store.put(stored); },
                    [stored = record](Store& store) { return store.put(stored); }},
                   {tell(event_of("grant", life.get(), std::move(fields)), fresh ? "filed" : "reviewed", life.get(),
                         {record.digest, record.why, by})});
  if (!saved) {
    life->voices.reset();
    return reply(within("the grant could not be stored, so it does not stand", saved.error()));
  }
  lives_[record.digest] = life;
  journal(6, "a grant of " + record.role + " to " + record.user + " came in, signed by " + by, life.get(), "grant");
  changed();
  life->waiters.push_back([reply](const Result<Outcome>& outcome) { reply(outcome); });
  try_activate(life);
}

}  // namespace jit
