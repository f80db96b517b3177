// Who may see what (P8): their own requests and grants; approvers those of roles that they approve; revokers and root
// all. What may not be seen is answered as what is not there.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/document/envelope.hpp"
#include "policy/rules/people.hpp"
#include "policy/rules/view.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr Seconds kEndedShown = std::chrono::days(30);

}  // namespace

void EngineImpl::viewer(const Caller& caller, std::function<void(const Viewer&)> then) {
  Viewer who;
  who.root = caller.root();
  who.uid = caller.uid;
  if (who.root) return then(who);
  ports_.questions.account(caller.uid,
                           later<Account>([this, who, then = std::move(then)](const Result<Account>& account) {
                             Viewer named = who;
                             if (account && account->uid == who.uid) {
                               named.user = account->name;
                               named.person = person_of_user(host_->policy, account->name);
                               named.groups = own_groups(*account);
                             }
                             then(named);
                           }));
}

bool EngineImpl::own(const Viewer& viewer, const GrantRecord& record) const {
  // Without an answer of the name service the uid alone: to see and release one's own never waits for it.
  return !viewer.root && record.uid == viewer.uid && (viewer.user.empty() || record.user == viewer.user);
}

bool EngineImpl::visible(const Viewer& viewer, const GrantRecord& record) const {
  if (viewer.root || own(viewer, record)) return true;
  if (!viewer.person) return false;
  if (revokers(host_->policy).contains(*viewer.person)) return true;
  const Role* role = host_->policy.role(record.role);
  return role != nullptr && approvers_of(host_->policy, *role).contains(*viewer.person);
}

std::vector<EngineImpl::LifePtr> EngineImpl::ended_lives() {
  std::vector<LifePtr> ended;
  Result<std::vector<GrantRecord>> records = ports_.store.grants(wall() - kEndedShown.count());
  if (!records) return ended;
  for (GrantRecord& record : *records) {
    if (lives_.contains(record.digest)) continue;
    auto life = std::make_shared<Life>();
    life->record = std::move(record);
    ended.push_back(std::move(life));
  }
  return ended;
}

Result<EngineImpl::LifePtr> EngineImpl::the_one(std::vector<LifePtr> found, const std::string& prefix,
                                                const std::string& to_do) {
  if (found.empty()) {
    return fail(Errc::not_found, "there is no request or grant " + prefix + " that is yours to " + to_do + " here");
  }
  if (found.size() > 1) {
    std::vector<std::string> ids;
    ids.reserve(found.size());
    for (const LifePtr& life : found) ids.push_back(life->record.id);
    return fail(Errc::invalid, prefix + " is the start of " + joined(ids) + "; give more of it");
  }
  return std::move(found.front());
}

Result<EngineImpl::LifePtr> EngineImpl::find_own(const Viewer& viewer, const std::string& id_prefix,
                                                 const std::string& to_do) const {
  Result<std::string> prefix = parse_id_prefix(id_prefix);
  if (!prefix) return tl::unexpected<Error>(prefix.error());
  std::vector<LifePtr> found;
  for (const auto& [digest, life] : lives_) {
    const GrantRecord& record = life->record;
    if (life->over() || !(viewer.root || own(viewer, record))) continue;
    // Who knows a grant by its first id finds what it goes on as.
    const bool named =
        record.id.starts_with(*prefix) ||
        (life->in_force() && std::any_of(record.extends.begin(), record.extends.end(),
                                         [&](const Digest& one) { return id_of(one).starts_with(*prefix); }));
    if (named) found.push_back(life);
  }
  return the_one(std::move(found), *prefix, to_do);
}

Result<EngineImpl::LifePtr> EngineImpl::find_visible(const Viewer& viewer, const std::string& id_prefix) {
  Result<std::string> prefix = parse_id_prefix(id_prefix);
  if (!prefix) return tl::unexpected<Error>(prefix.error());
  std::vector<LifePtr> found;
  const auto look_at = [&](const LifePtr& life) {
    if (life->record.id.starts_with(*prefix) && visible(viewer, life->record)) found.push_back(life);
  };
  for (const auto& [digest, life] : lives_) look_at(life);
  if (found.empty()) {
    for (const LifePtr& life : ended_lives()) look_at(life);
  }
  return the_one(std::move(found), *prefix, "see");
}

GrantView EngineImpl::view_of(Life& life, const Viewer& viewer) {
  GrantView view;
  view.record = life.record;
  view.host = host_->config.host;
  for (const Voice& voice : voices(life)) {
    std::vector<std::string> names;
    for (const Signer& signer : voice.signers) {
      const std::optional<PersonRef> person = person_of_principal(host_->policy, signer.principal);
      names.push_back(shown(person ? person->name : signer.principal, 256));
    }
    if (names.empty()) continue;
    const std::string did = voice.kind == Kind::grant ? " granted " : voice.approve ? " approved " : " denied ";
    const bool comments = voice.kind != Kind::grant && !voice.comment.empty();
    view.signers.push_back(joined(names) + did + format_utc(WallTime(Seconds(voice.created))) +
                           (comments ? ": " + voice.comment : ""));
  }
  if (life.record.state == GrantState::pending) {
    // For show, with the groups of when the request came; they are asked again at activation.
    const std::set<std::string> groups(life.record.facts_groups.begin(), life.record.facts_groups.end());
    view.waiting_for = judge(life, groups, When::activation).waiting_for;
    view.reviewable = !life.record.direct && viewer.person && may_review(*viewer.person, life.record);
  }
  if (life.record.state == GrantState::active) {
    if (const auto end = view_end(life.record); end && end->wall_s < life.record.not_after)
      view.record.why += "; ends at " + format_utc(WallTime(Seconds(end->wall_s))) +
                         " unless a newer list of revocations comes before";
  }
  Result<std::optional<StoredDocument>> document = ports_.store.document(life.record.digest);
  if (document && *document) view.document = (*document)->text;
  return view;
}

void EngineImpl::list(const Caller& caller, bool all, bool ended, Reply<std::vector<GrantView>> reply) {
  const Turn turn(*this);
  viewer(caller, [this, all, ended, reply](const Viewer& who) {
    std::vector<LifePtr> lives;
    for (const auto& [digest, life] : lives_) {
      if (ended || !life->over()) lives.push_back(life);
    }
    if (ended) {
      for (LifePtr& life : ended_lives()) lives.push_back(std::move(life));
    }
    std::vector<GrantView> views;
    for (const LifePtr& life : lives) {
      const bool wanted = who.root || (all ? visible(who, life->record) : own(who, life->record));
      if (wanted) views.push_back(view_of(*life, who));
    }
    std::stable_sort(views.begin(), views.end(),
                     [](const GrantView& a, const GrantView& b) { return a.record.created < b.record.created; });
    answer<std::vector<GrantView>>(reply, std::move(views));
  });
}

void EngineImpl::pending(const Caller& caller, Reply<std::vector<GrantView>> reply) {
  const Turn turn(*this);
  viewer(caller, [this, reply](const Viewer& who) {
    std::vector<GrantView> views;
    for (const LifePtr& life : lives_where([](const Life& one) { return one.record.state == GrantState::pending; })) {
      const bool reviewable = !life->record.direct && who.person && may_review(*who.person, life->record);
      if (reviewable || who.root) views.push_back(view_of(*life, who));
    }
    std::stable_sort(views.begin(), views.end(),
                     [](const GrantView& a, const GrantView& b) { return a.record.created < b.record.created; });
    answer<std::vector<GrantView>>(reply, std::move(views));
  });
}

void EngineImpl::barred(const Caller& caller, Reply<std::string> reply) {
  const Turn turn(*this);
  viewer(caller, [this, reply](const Viewer& who) {
    GrantRecord theirs;
    theirs.user = who.user;
    theirs.uid = who.uid;
    std::string why;
    if (!who.root) (void)locked_user(theirs, &why);
    answer<std::string>(reply, std::move(why));
  });
}

void EngineImpl::show(const Caller& caller, const std::string& id_prefix, Reply<GrantView> reply) {
  const Turn turn(*this);
  viewer(caller, [this, id_prefix, reply](const Viewer& who) {
    Result<LifePtr> found = find_visible(who, id_prefix);
    if (!found) return answer<GrantView>(reply, tl::unexpected<Error>(found.error()));
    answer<GrantView>(reply, view_of(**found, who));
  });
}

void EngineImpl::document(const Caller& caller, const std::string& id_prefix, Reply<std::string> reply) {
  const Turn turn(*this);
  viewer(caller, [this, id_prefix, reply](const Viewer& who) {
    Result<LifePtr> found = find_visible(who, id_prefix);
    if (!found) return answer<std::string>(reply, tl::unexpected<Error>(found.error()));
    Result<std::optional<StoredDocument>> stored = ports_.store.document((*found)->record.digest);
    if (!stored) return answer<std::string>(reply, tl::unexpected<Error>(stored.error()));
    if (!*stored) return answer<std::string>(reply, fail(Errc::not_found, "its document is kept no longer"));
    answer<std::string>(reply, std::move((*stored)->text));
  });
}

RoleView EngineImpl::role_view(const Role& role, const Viewer& viewer) {
  RoleView view;
  view.name = role.name;
  view.description = role.description;
  view.limit = std::min(role.max_duration, host_->config.grant_ceiling);
  view.groups = role.groups;
  view.opens = role.opens;
  view.terminate_on_end = role.terminate_on_end;
  for (const SudoRule& rule : role.sudo) {
    const std::string flag = rule.record == Recording::required      ? " [record]"
                             : rule.record == Recording::best_effort ? " [record-best-effort]"
                                                                     : "";
    for (const Command& command : rule.commands) view.commands.push_back(rule.as + ": " + to_text(command) + flag);
  }
  GrantRecord theirs;
  theirs.user = viewer.user;
  theirs.uid = viewer.uid;
  theirs.role = role.name;
  const Facts facts = facts_of(theirs, viewer.groups, When::activation);
  view.eligible = !viewer.user.empty() && std::any_of(role.eligible.begin(), role.eligible.end(),
                                                      [&](const Subject& one) { return covers(one, facts); });
  const Decision decision =
      decide(host_->policy, {role.name, Seconds(0), "", false}, facts, {}, host_->config.grant_ceiling, wall_time());
  if (decision.verdict == Verdict::approve) {
    view.rule = "approved by itself";
  } else if (decision.verdict == Verdict::review) {
    std::vector<std::string> needs;
    for (const Need& need : decision.needs) needs.push_back(need.by + " (" + std::to_string(need.count) + ")");
    view.rule = "needs " + joined(needs);
  } else {
    view.rule = "denied: " + (decision.message.empty() ? joined(decision.reasons, "; ") : decision.message);
  }
  const auto by_ticket = [](const Rule& rule) { return rule.when.ticket && rule.then == Rule::Then::approve; };
  if (decision.verdict != Verdict::approve && std::any_of(role.rules.begin(), role.rules.end(), by_ticket))
    view.rule += "; a ticket may do (-t)";
  if (const auto bound = view_bound(role, host_->config.max_view_age)) {
    view.rule += "; view of revocations " + in_words(*bound);
    if (!decision.past_view.empty() && !decision.view_denies) view.rule += " (now: " + decision.past_view + ")";
  }
  for (const auto& [digest, life] : lives_) {
    if (life->record.state == GrantState::active && life->record.role == role.name && own(viewer, life->record)) {
      view.grant = life->record.id;
    }
  }
  return view;
}

void EngineImpl::roles(const Caller& caller, Reply<std::vector<RoleView>> reply) {
  const Turn turn(*this);
  viewer(caller, [this, reply](const Viewer& who) {
    std::vector<RoleView> views;
    for (const auto& [name, role] : host_->policy.roles) {
      const bool here = role.segments.empty() ||
                        std::any_of(role.segments.begin(), role.segments.end(), [&](const std::string& segment) {
                          const std::vector<std::string>& ours = host_->config.segments;
                          return std::find(ours.begin(), ours.end(), segment) != ours.end();
                        });
      if (!here) continue;
      RoleView view = role_view(role, who);
      if (view.eligible || who.root) views.push_back(std::move(view));
    }
    answer<std::vector<RoleView>>(reply, std::move(views));
  });
}

}  // namespace jit
