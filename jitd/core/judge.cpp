// The decision with the facts and consents of now. The policy decides (rules/decision.hpp); here stands whose
// signatures it gets to see.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/document/envelope.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {

std::optional<Voice> EngineImpl::voice_of(const StoredDocument& document) const {
  Result<Envelope> envelope = parse_envelope(document.text);
  if (!envelope) return std::nullopt;
  Result<Verified> verified = verify_document(std::move(*envelope), host_->trust, "the database");
  // No key of it is trusted any more: it says nothing.
  if (!verified || verified->digest != document.digest) return std::nullopt;
  Voice voice;
  voice.document = verified->digest;
  voice.kind = verified->kind;
  if (const Review* review = std::get_if<Review>(&verified->document)) {
    voice.approve = review->approve;
    voice.duration = review->duration;
    voice.start = review->start;
    voice.created = review->created.time_since_epoch().count();
    voice.expires = review->expires.time_since_epoch().count();
    voice.comment = review->comment;
  } else if (const GrantDocument* grant = std::get_if<GrantDocument>(&verified->document)) {
    voice.created = grant->created.time_since_epoch().count();
    voice.expires = std::numeric_limits<std::int64_t>::max();  // its own times are the life's
    voice.comment = grant->reason;
  } else {
    return std::nullopt;
  }
  for (Signer& signer : verified->signers) {
    const std::string print = fingerprint(signer.key);
    const bool is_void =
        std::find(document.void_keys.begin(), document.void_keys.end(), print) != document.void_keys.end();
    if (!is_void) voice.signers.push_back(std::move(signer));
  }
  return voice;
}

const std::vector<Voice>& EngineImpl::voices(Life& life) {
  if (life.voices) return *life.voices;
  std::vector<Voice>& found = life.voices.emplace();
  std::vector<StoredDocument> documents;
  if (life.record.direct) {
    Result<std::optional<StoredDocument>> own = ports_.store.document(life.record.digest);
    if (own && *own) documents.push_back(std::move(**own));
  } else if (Result<std::vector<StoredDocument>> reviews = ports_.store.reviews_of(life.record.digest)) {
    documents = std::move(*reviews);
  }
  for (const StoredDocument& document : documents) {
    if (std::optional<Voice> voice = voice_of(document)) found.push_back(std::move(*voice));
  }
  return found;
}

std::set<std::string> EngineImpl::own_groups(const Account& account) {
  return {account.groups.begin(), account.groups.end()};
}

Facts EngineImpl::facts_of(const GrantRecord& record, std::set<std::string> groups, When when) const {
  // What is in force was bounded when it was activated.
  const bool bounded = when == When::in_force;
  const std::optional<Seconds> given = bounded ? Seconds{0} : given_by_rules(record);
  return {record.user,
          record.uid,
          std::move(groups),
          host_->config.segments,
          given,
          bounded ? Seconds{0} : view_age(),
          host_->config.max_view_age};
}

std::optional<Seconds> EngineImpl::given_by_rules(const GrantRecord& record) const {
  const Role* role = host_->policy.role(record.role);
  const auto bounds = [](const Rule& rule) { return rule.limit_total.has_value(); };
  if (role == nullptr || std::none_of(role->rules.begin(), role->rules.end(), bounds)) return Seconds{0};
  const std::int64_t at = ports_.clock.now().wall_ms / 1000;
  // By the time that has surely come: a clock set ahead makes nobody's account clean.
  const std::int64_t since = std::max(sure_ms() / 1000, record.start) - Seconds(std::chrono::hours(24)).count();
  Result<std::vector<GrantRecord>> stored = ports_.store.given_by_rules(record.uid, record.role, since);
  if (!stored) return std::nullopt;
  std::map<Digest, GrantRecord> given;
  for (GrantRecord& one : *stored) given[one.digest] = std::move(one);
  for (const auto& [digest, life] : lives_) given[digest] = life->record;  // newer than what the database knows
  Seconds sum{0};
  for (const auto& [digest, one] : given) {
    if (one.uid != record.uid || one.role != record.role || one.direct || !one.consents.empty()) continue;
    if (digest == record.digest || one.activated == 0 || one.state == GrantState::refused) continue;
    const bool goes_on = !record.extends.empty() && digest == record.extends.front();
    std::int64_t until = one.state == GrantState::ended ? one.ended : one.not_after;
    if (goes_on) until = std::min(until, at);  // from then on it is this one
    if (until >= since) sum += Seconds(std::max<std::int64_t>(until - std::max(one.activated, since), 1));
  }
  return sum;
}

EngineImpl::Judged EngineImpl::judge(Life& life, const std::set<std::string>& groups, When when) {
  const GrantRecord& record = life.record;
  const Policy& policy = host_->policy;
  const std::int64_t at = wall();
  // What was valid when the grant was activated stays so; whether a key is trusted at all, locked or void counts now.
  const WallTime activated = WallTime(Seconds(record.activated));
  const TimeRange judged_at = when == When::in_force ? TimeRange{activated, activated} : time_range();
  const Locks locks = locks_now();
  const Role* role = policy.role(record.role);
  const std::set<PersonRef> approvers = role == nullptr ? std::set<PersonRef>{} : approvers_of(policy, *role);
  Judged judged;
  judged.start = record.start;
  std::set<PersonRef> consents;
  for (const Voice& voice : voices(life)) {
    if (!voice.approve) continue;
    if (when == When::activation && !life.resumed && voice.expires <= at) {
      judged.refused.push_back("a review has expired at " + format_utc(WallTime(Seconds(voice.expires))));
      continue;
    }
    bool counts = false;
    for (const PersonRef& person : counting_persons(policy, host_->trust, voice.kind, voice.signers, locks,
                                                    record.requesters, judged_at, &judged.refused)) {
      const bool taken_back =
          std::any_of(revocations_.begin(), revocations_.end(), [&](const RevocationRecord& revoked) {
            const bool reaches = revoked.revoker || std::find(revoked.roles.begin(), revoked.roles.end(),
                                                              record.role) != revoked.roles.end();
            return reaches && voice.created < revoked.created && names_person(revoked.approvers, person);
          });
      if (taken_back) {
        judged.refused.push_back("what " + shown(person.name, 256) + " signed before has been revoked");
        continue;
      }
      consents.insert(person);
      // Whoever may approve this role may narrow it; a bystander's signature says nothing either way.
      counts = counts || approvers.contains(person) || voice.kind == Kind::grant;
    }
    if (counts && voice.duration)
      judged.narrowed = std::min(judged.narrowed.value_or(*voice.duration), *voice.duration);
    if (counts && voice.start)
      judged.start = std::max<std::int64_t>(judged.start, voice.start->time_since_epoch().count());
  }
  judged.consents.assign(consents.begin(), consents.end());
  const Wish wish{record.role, record.asked, record.ticket, record.direct};
  judged.decision = decide(policy, wish, facts_of(record, groups, life.resumed ? When::in_force : when),
                           judged.consents, host_->config.grant_ceiling, WallTime(Seconds(at)));
  judged.waiting_for = waiting_for(judged.decision, record.requesters);
  if (judged.decision.view_denies)
    judged.waiting_for.push_back("a newer list of revocations, since " + judged.decision.past_view);
  return judged;
}

std::vector<std::string> EngineImpl::waiting_for(const Decision& decision,
                                                 const std::vector<PersonRef>& requesters) const {
  std::vector<std::string> lines;
  for (const Need& need : decision.needs) {
    if (need.have >= need.count) continue;
    std::vector<std::string> names;
    for (const std::string& name : need.candidates) {
      const PersonRef person = person_of_name(host_->policy, name);
      const bool behind = std::any_of(requesters.begin(), requesters.end(), [&](const PersonRef& requester) {
        return same_person(host_->policy, requester, person);
      });
      if (!behind) names.push_back(shown(name, 256));
    }
    lines.push_back(need.by + ": " + std::to_string(need.count - need.have) + " of " +
                    (names.empty() ? "nobody who is left" : joined(names, ", ")));
  }
  return lines;
}

bool EngineImpl::may_review(const PersonRef& person, const GrantRecord& record) const {
  const Role* role = host_->policy.role(record.role);
  if (role == nullptr || !approvers_of(host_->policy, *role).contains(person)) return false;
  return std::none_of(record.requesters.begin(), record.requesters.end(),
                      [&](const PersonRef& requester) { return same_person(host_->policy, requester, person); });
}

}  // namespace jit
