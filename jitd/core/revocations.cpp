// A signed end of what is. What its signers may end is fixed when it comes; it then ends that at once, with or
// without a database, and refuses later what was made before it.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

template <class T>
bool contains(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

std::string EngineImpl::ended_text(std::size_t count) {
  return "ended " + std::to_string(count) + (count == 1 ? " grant or request" : " grants and requests");
}

bool EngineImpl::names_user(const std::vector<std::string>& users, const GrantRecord& record) const {
  return std::any_of(users.begin(), users.end(), [&](const std::string& user) {
    const PersonRef person = person_of_user(host_->policy, user);
    return user == record.user ||
           std::any_of(record.requesters.begin(), record.requesters.end(),
                       [&](const PersonRef& one) { return same_person(host_->policy, one, person); });
  });
}

bool EngineImpl::names_person(const std::vector<std::string>& names, const PersonRef& person) const {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return same_person(host_->policy, person_of_name(host_->policy, name), person);
  });
}

std::string EngineImpl::revoked(const GrantRecord& record) const {
  for (const RevocationRecord& revocation : revocations_) {
    if (!revocation.revoker && !contains(revocation.roles, record.role)) continue;
    const bool older = record.created < revocation.created;
    const auto named = [&](const Digest& one) { return contains(revocation.documents, one); };
    if (named(record.digest) || std::any_of(record.extends.begin(), record.extends.end(), named) ||
        (older && (revocation.all || names_user(revocation.users, record)))) {
      return "revoked by " + revocation.by + ": " + shown(revocation.reason);
    }
  }
  return "";
}

void EngineImpl::on_revocation(const Caller* caller, const Verified& verified, const Revocation& revocation,
                               const Reply<Outcome>& reply) {
  const auto refuse = [&](std::string why) { reply(fail(Errc::refused, std::move(why))); };
  if (Result<void> ours = meant_for_us(revocation.hosts, revocation.segments); !ours) {
    return reply(tl::unexpected<Error>(ours.error()));
  }
  if (Result<void> fine = made_lately(revocation.created, true); !fine) {
    return reply(tl::unexpected<Error>(fine.error()));
  }
  const std::string id = id_of(verified.digest);
  const auto same = [&](const RevocationRecord& known) { return known.digest == verified.digest; };
  if (std::any_of(revocations_.begin(), revocations_.end(), same)) {
    // Once: a copy that comes again must not end what was granted since.
    return reply(in_force_now({id, GrantState::active, "this revocation has been here before"}));
  }
  std::string why;
  const std::vector<PersonRef> persons = signed_by(verified, {}, &why);
  if (persons.empty()) return refuse("this revocation does not count: " + why);

  RevocationRecord record;
  record.digest = verified.digest;
  record.created = revocation.created.time_since_epoch().count();
  record.documents = revocation.grants;
  record.documents.insert(record.documents.end(), revocation.requests.begin(), revocation.requests.end());
  record.users = revocation.users;
  record.approvers = revocation.approvers;
  record.all = revocation.all;
  record.reason = revocation.reason;
  const std::set<PersonRef> reserved = revokers(host_->policy);
  const auto is_revoker = [&](const PersonRef& person) { return reserved.contains(person); };
  record.revoker = std::any_of(persons.begin(), persons.end(), is_revoker);
  for (const auto& [name, role] : host_->policy.roles) {
    const std::set<PersonRef> approvers = approvers_of(host_->policy, role);
    if (std::any_of(persons.begin(), persons.end(), [&](const PersonRef& one) { return approvers.contains(one); })) {
      record.roles.push_back(name);
    }
  }
  record.by = names_of(persons);
  if (!record.revoker && record.roles.empty()) {
    return refuse(record.by + " approves no role here and is no revoker, so this revocation does not count");
  }

  if (revocation.number) {
    Result<void> fine = may_sign_list(record);
    if (fine) fine = lists_.check(*revocation.number, record.digest);
    if (!fine) return reply(tl::unexpected<Error>(fine.error()));
    end_due(now());  // what its coming would be too late for
  }

  // Touched: named by digest, user or approver, or all; active and pending alike, whenever made.
  std::vector<Ending> endings;
  std::set<std::string> beyond;
  const std::string said = "revoked by " + record.by + ": " + shown(record.reason);
  for (const auto& [digest, life] : lives_) {
    if (life->over()) continue;
    std::vector<PersonRef> consents = life->record.consents;
    if (!life->in_force()) {
      for (const Voice& voice : voices(*life)) {
        for (const PersonRef& person : counting_persons(host_->policy, host_->trust, voice.kind, voice.signers,
                                                        Locks{}, {}, time_range(), nullptr)) {
          consents.push_back(person);
        }
      }
    }
    const std::vector<Digest>& extends = life->record.extends;  // what goes on as this is named by it too
    const auto named = [&](const Digest& one) { return contains(record.documents, one); };
    const bool touched = record.all || named(digest) || std::any_of(extends.begin(), extends.end(), named) ||
                         names_user(record.users, life->record) ||
                         std::any_of(consents.begin(), consents.end(),
                                     [&](const PersonRef& one) { return names_person(record.approvers, one); });
    if (!touched) continue;
    if (!record.revoker && !contains(record.roles, life->record.role)) beyond.insert(life->record.role);
    endings.push_back({life, "revoked", said, {{"signed_by", record.by}}});
  }
  if (!beyond.empty()) {
    return refuse("it touches role " + joined({beyond.begin(), beyond.end()}) + ", which " + record.by +
                  " does not approve: name what to end, or ask a revoker");
  }

  const std::int64_t keep = record.created + (host_->config.absolute_ceiling + host_->config.clock_tolerance).count();
  const StoredDocument document{verified.digest, Kind::revocation, to_text(verified.envelope), wall(), keep, {}};
  revocations_.push_back(record);
  writes_.emplace_back([document](Store& store) { return store.put(document); });
  writes_.emplace_back([record](Store& store) { return store.put(record); });
  Fields fields = who_handed_in(caller);
  fields.emplace("signed_by", record.by);
  fields.emplace("reason", record.reason);
  fields.emplace("document", digest_text(record.digest));
  fields.emplace("ends", std::to_string(endings.size()));
  const std::string ended = ended_text(endings.size());
  const bool new_view = revocation.number && take_list(record.digest, revocation, fields);
  audit_.note(tell(event_of("revoke", nullptr, std::move(fields)), "revoked", nullptr,
                   {verified.digest, ended + ": " + record.reason, record.by}));
  journal(5, "revoked by " + record.by + ", " + std::to_string(endings.size()) + " here: " + record.reason, nullptr,
          "revoke");
  end(std::move(endings));
  if (new_view) view_changed();
  // What an approver signed before it counts no more, also where others' consents are enough without it.
  if (!record.approvers.empty()) {
    for (const LifePtr& life : lives_where([](const Life& one) { return one.record.state == GrantState::pending; })) {
      try_activate(life);
    }
  }
  save_or_queue();
  changed();
  const std::string view = revocation.number ? "; " + said_of_view() : "";
  reply(in_force_now({id, GrantState::active, ended + view}));
}

}  // namespace jit
