#include "policy/rules/checks.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "policy/rules/matching.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

std::string in_quotes(std::string_view name) {
  return "\"" + shown(name, 256) + "\"";
}
std::string at(const Place& place) {
  return place.file + ":" + std::to_string(place.line);
}

// Nobody is two people: a user or principal stands under one person only, also across users and principals.
void check_people(const Mentions& mentions, Problems& problems) {
  std::map<std::string, const Mention*> owners;
  for (const auto* list : {&mentions.users, &mentions.principals}) {
    for (const Mention& mention : *list) {
      const auto [it, fresh] = owners.emplace(mention.name, &mention);
      if (fresh || it->second->owner == mention.owner) continue;
      problems.add(mention.place, mention.path,
                   in_quotes(mention.name) + " stands under " + in_quotes(it->second->owner) + " already, at " +
                       at(it->second->place) + "; nobody is two people");
    }
  }
}

void check_names(const Policy& policy, const Mentions& mentions, Problems& problems) {
  for (const Mention& mention : mentions.asked)
    if (!policy.approvers.contains(mention.name))
      problems.add(mention.place, mention.path, "there is no set " + in_quotes(mention.name) + " in [approvers]");
  for (const Mention& mention : mentions.opened)
    if (policy.gate(mention.name) == nullptr)
      problems.add(mention.place, mention.path, "there is no gate " + in_quotes(mention.name) + " in [[gates]]");
  for (const Mention& mention : mentions.given) {
    for (const Mention& except : mentions.excepted) {
      if (except.name != mention.name) continue;
      problems.add(mention.place, mention.path,
                   in_quotes(mention.name) + " is in `except` of gate " + in_quotes(except.owner) + " at " +
                       at(except.place) + ": the role would open that gate by the back door");
      break;
    }
  }
}

// The counts of a rule must be reachable by different people, all at once.
void check_reach(const Policy& policy, const Mentions& mentions, Problems& problems) {
  for (const Mention& mention : mentions.rules) {
    const Role* role = policy.role(mention.name);
    if (role == nullptr || mention.index >= role->rules.size()) continue;
    const std::vector<Approval>& approvals = role->rules[mention.index].approvals;
    std::set<PersonRef> everybody;
    bool known = true;
    for (const Approval& approval : approvals) {
      known = known && policy.approvers.contains(approval.by);
      everybody.merge(persons_of_set(policy, approval.by));
    }
    if (!known || approvals.empty()) continue;
    const Matching best = match(policy, approvals, {everybody.begin(), everybody.end()});
    if (best.complete) continue;
    std::vector<std::string> sizes;
    for (const Approval& approval : approvals) {
      const std::size_t size = persons_of_set(policy, approval.by).size();
      sizes.push_back(std::to_string(approval.count) + " of " + in_quotes(approval.by) + " (which has " +
                      std::to_string(size) + (size == 1 ? " person)" : " people)"));
    }
    problems.add(mention.place, mention.path, "can never be reached by different people: " + joined(sizes));
  }
}

// Each role's bound on the view of revocations; one that asks for one more approver must be able to find one.
void check_views(Policy& policy, const Mentions& mentions, Problems& problems) {
  for (const auto& [name, own] : mentions.views) {
    const auto it = policy.roles.find(name);
    if (it == policy.roles.end()) continue;
    Role& role = it->second;
    role.view = view_of_role(own, mentions.default_view, problems);
    if (!role.view || role.view->past != PastView::one_more) continue;
    const auto& said = own.past.value ? own.past : mentions.default_view.past;
    const std::set<PersonRef> approvers = approvers_of(policy, role);
    const std::string more = "\"one-more\" of role " + in_quotes(name);
    if (approvers.empty()) {
      problems.add(said.place, said.path, more + ": it has no approvers");
      continue;
    }
    for (std::size_t i = 0; i < role.rules.size(); ++i) {
      const std::vector<Approval>& approvals = role.rules[i].approvals;
      std::vector<Seats> seats = seats_of(policy, approvals);
      const bool reachable = match(seats, {approvers.begin(), approvers.end()}).complete;
      seats.push_back({approvers, 1});
      if (!reachable || match(seats, {approvers.begin(), approvers.end()}).complete) continue;
      problems.add(said.place, said.path,
                   more + ": its approvers are too few for rule " + std::to_string(i + 1) + " and one more");
    }
  }
}

void warn_of_sets(Policy& policy, const Mentions& mentions) {
  for (const Mention& set : mentions.sets) {
    const auto named = [&](const Mention& asked) { return asked.name == set.name; };
    if (set.name != "revokers" && std::none_of(mentions.asked.begin(), mentions.asked.end(), named))
      policy.warnings.push_back(at(set.place) + ": " + set.path + ": no rule asks for this set");
    if (persons_of_set(policy, set.name).size() < policy.approvers.at(set.name).size())
      policy.warnings.push_back(at(set.place) + ": " + set.path + ": names one person twice; persons count once");
  }
}

void warn_of_roles(Policy& policy) {
  for (const auto& [name, role] : policy.roles) {
    const std::string where = at(role.place) + ": role " + in_quotes(name) + ": ";
    if (role.rules.empty()) policy.warnings.push_back(where + "has no rules, so it is always denied");
    if (role.eligible.empty()) policy.warnings.push_back(where + "nobody is eligible for it");
    if (role.groups.empty() && role.opens.empty() && role.sudo.empty())
      policy.warnings.push_back(where + "gives nothing: no groups, no opens, no sudo");
    const bool gated = std::any_of(role.opens.begin(), role.opens.end(), [&](const std::string& gate_name) {
      const Gate* gate = policy.gate(gate_name);
      return gate != nullptr && gate->enforce && gate->guards_sudo();
    });
    if (!role.sudo.empty() && !gated)
      policy.warnings.push_back(where + "has sudo lines but opens no enforced gate on sudo; hosts will refuse it");
    for (std::size_t i = 0; i + 1 < role.rules.size(); ++i) {
      if (!role.rules[i].when.always()) continue;
      policy.warnings.push_back(at(role.rules[i + 1].place) + ": role " + in_quotes(name) + ": rule " +
                                std::to_string(i + 2) + " is never reached, since rule " + std::to_string(i + 1) +
                                " always matches");
      break;
    }
  }
}

void warn_of_gates(Policy& policy) {
  for (const Gate& gate : policy.gates)
    if (gate.enforce && gate.except.empty())
      policy.warnings.push_back(at(gate.place) + ": gate " + in_quotes(gate.name) +
                                ": enforces with nobody in `except`; keep a rescue account, root or a local group");
}

}  // namespace

void check_policy(Policy& policy, const Mentions& mentions, Problems& problems) {
  for (const Mention& mention : mentions.roles) {
    const auto it = policy.roles.find(mention.name);
    if (it == policy.roles.end() || it->second.max_duration > Seconds{0}) continue;
    it->second.max_duration = mentions.default_max_duration;
    if (it->second.max_duration == Seconds{0})
      problems.add(mention.place, mention.path, "has no max_duration, and [defaults] has none");
  }
  check_people(mentions, problems);
  check_names(policy, mentions, problems);
  check_reach(policy, mentions, problems);
  check_views(policy, mentions, problems);
  if (!problems.none()) return;
  warn_of_sets(policy, mentions);
  warn_of_roles(policy);
  warn_of_gates(policy);
}

}  // namespace jit
