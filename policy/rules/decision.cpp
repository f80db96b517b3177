#include "policy/rules/decision.hpp"

#include <algorithm>

#include "policy/rules/matching.hpp"
#include "policy/rules/pattern.hpp"
#include "policy/rules/view.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

// Three-valued: what is not known counts as true in a deny rule and as false in every other.
enum class Truth : std::uint8_t { no, unknown, yes };

Truth both(Truth a, Truth b) {
  return std::min(a, b);
}

Truth ticket_matches(const std::string& pattern, const std::string& ticket) {
  if (ticket.empty()) return Truth::unknown;
  const Result<Pattern> parsed = Pattern::parse(pattern);
  if (!parsed) return Truth::unknown;
  return parsed->matches(ticket) ? Truth::yes : Truth::no;
}

Truth holds(const When& when, const Wish& wish, const Facts& facts, Seconds asked) {
  Truth result = Truth::yes;
  if (!when.users.empty()) {
    const bool named = std::find(when.users.begin(), when.users.end(), facts.user) != when.users.end();
    result = both(result, named ? Truth::yes : Truth::no);
  }
  if (!when.groups.empty()) {
    const bool member = std::any_of(when.groups.begin(), when.groups.end(),
                                    [&](const std::string& group) { return facts.groups.contains(group); });
    result = both(result, member ? Truth::yes : Truth::no);
  }
  if (when.duration) result = both(result, asked <= *when.duration ? Truth::yes : Truth::no);
  if (when.ticket) result = both(result, ticket_matches(*when.ticket, wish.ticket));
  return result;
}

// Why a rule that approves by itself does not give this much more; empty: it does.
std::string past_total(const Rule& rule, const Facts& facts, Seconds wanted) {
  if (!rule.limit_total) return "";
  const std::string most = " gives " + format_duration(*rule.limit_total) + " in 24 hours by itself";
  if (!facts.given) return most + ", and what it gave is not known now";
  if (*facts.given + wanted <= *rule.limit_total) return "";
  const Seconds left = *rule.limit_total - std::min(*facts.given, *rule.limit_total);
  return most + ", of which " + (left == Seconds{0} ? "nothing" : format_duration(left)) + " is left";
}

std::string rule_text(const Role& role, std::size_t index) {
  const std::string& name = role.rules[index].name;
  return "rule " + std::to_string(index + 1) + (name.empty() ? "" : " (" + name + ")");
}

Decision denied(std::string why) {
  Decision decision;
  decision.reasons.push_back(std::move(why));
  return decision;
}

// Consents that may count: each person once, under today's name, and never the user who would be given the role.
std::vector<PersonRef> counted(const Policy& policy, const std::vector<PersonRef>& consents, const Facts& facts) {
  const PersonRef user = person_of_user(policy, facts.user);
  std::set<PersonRef> result;
  for (const PersonRef& person : consents) {
    if (same_person(policy, person, user)) continue;
    const bool listed = person.listed && policy.people.contains(person.name);
    result.insert(listed ? person : person_of_user(policy, person.name));
  }
  return {result.begin(), result.end()};
}

// One place more than what is asked for otherwise, for any approver of the role.
constexpr const char* kOneMore = "one more approver";

// Lists a place that is still to be filled, or is, and whom that could be.
void add_need(const Policy& policy, const std::string& by, const Seats& seats, unsigned have,
              const std::vector<PersonRef>& consents, const Facts& facts, Decision& decision) {
  const PersonRef user = person_of_user(policy, facts.user);
  Need need{by, seats.count, have, {}};
  for (const PersonRef& person : seats.who) {
    if (std::find(consents.begin(), consents.end(), person) != consents.end()) continue;
    if (!same_person(policy, person, user)) need.candidates.push_back(person.name);
  }
  decision.reasons.push_back(by + ": " + std::to_string(have) + " of " + std::to_string(seats.count));
  if (have < seats.count && need.candidates.size() < seats.count - have)
    decision.reasons.push_back(by + " has not enough other people to reach " + std::to_string(seats.count));
  decision.needs.push_back(std::move(need));
}

// A rule that approves by itself, where the view of revocations is too old to leave it at that. A direct grant has
// its own signature to begin with.
void judge_one_more(const Policy& policy, const Role& role, const Wish& wish, const std::vector<PersonRef>& consents,
                    const Facts& facts, Decision& decision) {
  const std::set<PersonRef> approvers = approvers_of(policy, role);
  std::vector<Seats> seats{{approvers, 1}};
  if (wish.direct) seats.push_back({approvers, 1});
  const Matching best = match(seats, consents);
  add_need(policy, kOneMore, seats.back(), best.have.back(), consents, facts, decision);
  decision.verdict = best.complete ? Verdict::approve : Verdict::review;
}

void judge_approve(const Policy& policy, const Role& role, const Wish& wish, const std::vector<PersonRef>& consents,
                   Decision& decision) {
  if (!wish.direct) {
    decision.verdict = Verdict::approve;
    decision.reasons.push_back(decision.rule + " approves by itself");
    return;
  }
  const std::set<PersonRef> approvers = approvers_of(policy, role);
  const std::set<PersonRef> entitled = approvers.empty() ? revokers(policy) : approvers;
  for (const PersonRef& person : consents) {
    if (!entitled.contains(person)) continue;
    decision.verdict = Verdict::approve;
    decision.reasons.push_back("a direct grant signed by " + shown(person.name, 256) +
                               (approvers.empty() ? ", a revoker" : ", an approver of the role"));
    return;
  }
  decision.reasons.push_back(approvers.empty()
                                 ? "a direct grant of a role without approvers needs the signature of a revoker"
                                 : "a direct grant needs the signature of an approver of the role");
}

void judge_review(const Policy& policy, const Role& role, const Rule& rule, bool one_more,
                  const std::vector<PersonRef>& consents, const Facts& facts, Decision& decision) {
  std::vector<Seats> seats = seats_of(policy, rule.approvals);
  if (one_more) seats.push_back({approvers_of(policy, role), 1});
  const Matching best = match(seats, consents);
  for (std::size_t i = 0; i < seats.size(); ++i) {
    const std::string by = i < rule.approvals.size() ? rule.approvals[i].by : kOneMore;
    add_need(policy, by, seats[i], best.have[i], consents, facts, decision);
  }
  if (!consents.empty()) decision.reasons.push_back("consent of " + names_of(consents));
  // A review rule that asks for nobody cannot be loaded; should one ever stand here, it approves nothing.
  const bool satisfied = best.complete && !rule.approvals.empty();
  decision.verdict = satisfied ? Verdict::approve : Verdict::review;
}

// What a host whose view of revocations is too old for the role makes of what a rule would grant.
void apply_past_view(const ViewBound& bound, const Facts& facts, Decision& decision) {
  decision.past_view = why_past(bound, facts.view_age);
  switch (bound.past) {
    case PastView::one_more:
      decision.reasons.push_back(decision.past_view + ": one more approver is needed");
      return;
    case PastView::shorten:
      decision.duration = std::min(decision.duration, bound.duration);
      decision.reasons.push_back(decision.past_view + ": for at most " + format_duration(bound.duration));
      return;
    default:
      decision.view_denies = decision.verdict == Verdict::approve || decision.verdict == Verdict::review;
      decision.verdict = Verdict::deny;
      decision.message = decision.past_view;
      decision.reasons.push_back(decision.past_view);
  }
}

}  // namespace

bool covers(const Subject& subject, const Facts& facts) {
  switch (subject.kind) {
    case Subject::Kind::user:
      return !facts.user.empty() && subject.name == facts.user;
    case Subject::Kind::group:
      return facts.groups.contains(subject.name);
    case Subject::Kind::everybody:
      return true;
  }
  return false;
}

Decision decide(const Policy& policy, const Wish& wish, const Facts& facts, const std::vector<PersonRef>& consents,
                Seconds ceiling, WallTime /*now*/) {
  const Role* role = policy.role(wish.role);
  if (role == nullptr) return denied("there is no role \"" + shown(wish.role, 100) + "\"");
  const bool here = role->segments.empty() ||
                    std::any_of(role->segments.begin(), role->segments.end(), [&](const std::string& segment) {
                      return std::find(facts.segments.begin(), facts.segments.end(), segment) != facts.segments.end();
                    });
  if (!here) return denied("the role exists in " + joined(role->segments, " or ") + ", and this host is not in it");

  const auto eligible = std::find_if(role->eligible.begin(), role->eligible.end(),
                                     [&](const Subject& subject) { return covers(subject, facts); });
  if (eligible == role->eligible.end()) return denied(shown(facts.user, 256) + " is not eligible for the role");
  if (wish.duration < Seconds{0}) return denied("the duration is negative");

  const Seconds most = std::min(role->max_duration, ceiling);
  const Seconds asked = std::min(wish.duration == Seconds{0} ? kDefaultDuration : wish.duration, most);
  if (asked <= Seconds{0}) return denied("the role or this host allows no time at all");

  Decision decision;
  const std::optional<ViewBound> bound = view_bound(*role, facts.max_view_age);
  const bool past = bound && past_view(*bound, facts.view_age);
  const bool one_more = past && bound->past == PastView::one_more;
  const Seconds shortened = past && bound->past == PastView::shorten ? bound->duration : most;
  std::string spent;  // of rules that have given what they may
  decision.reasons.push_back(shown(facts.user, 256) + " is eligible through " + to_text(*eligible));
  for (std::size_t i = 0; i < role->rules.size(); ++i) {
    const Rule& rule = role->rules[i];
    const Truth truth = holds(rule.when, wish, facts, asked);
    const bool grants = rule.then == Rule::Then::approve || rule.then == Rule::Then::review;
    if (truth == Truth::no || (truth == Truth::unknown && grants)) continue;
    if (rule.then == Rule::Then::approve && !wish.direct) {
      if (std::string why =
              past_total(rule, facts, std::min({asked, shortened, rule.limit_duration.value_or(asked)}));
          !why.empty()) {
        spent = rule_text(*role, i) + why;
        decision.reasons.push_back(spent);
        continue;
      }
    }

    decision.rule = rule_text(*role, i);
    decision.message = rule.message;
    decision.duration = decision.unshortened = std::min(asked, rule.limit_duration.value_or(asked));
    const std::vector<PersonRef> counting = counted(policy, consents, facts);
    if (rule.then == Rule::Then::approve) {
      judge_approve(policy, *role, wish, counting, decision);
      if (one_more && decision.verdict == Verdict::approve)
        judge_one_more(policy, *role, wish, counting, facts, decision);
    } else if (rule.then == Rule::Then::review) {
      judge_review(policy, *role, rule, one_more, counting, facts, decision);
    } else {
      decision.reasons.push_back(decision.rule + " denies" +
                                 (truth == Truth::unknown ? ", since what it asks for is not known" : ""));
    }
    if (past && grants) apply_past_view(*bound, facts, decision);
    return decision;
  }
  decision.message = spent;
  decision.reasons.emplace_back("no rule of the role matches");
  return decision;
}

std::string at_most(const Decision& decision) {
  if (decision.duration == decision.unshortened) return at_most(decision.duration, decision.rule);
  return at_most(decision.duration) + ", since " + decision.past_view;
}

std::string at_most(Seconds most, const std::string& rule) {
  const std::string whose = rule.empty() ? "this role is given" : rule + " gives this role";
  return whose + " for at most " + format_duration(most) + (rule.empty() ? " here" : "");
}

}  // namespace jit
