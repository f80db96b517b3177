// What holds of every decision, whatever the policy (RapidCheck).
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

#include "policy/rules/decision.hpp"
#include "policy/rules/matching.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

const std::vector<std::string> kNames = {"a", "b", "c", "d", "e", "f"};
const std::vector<std::string> kSets = {"s1", "s2", "s3"};
const WallTime kNow{Seconds(1'800'000'000)};

template <class T>
std::vector<T> some_of(const std::vector<T>& all) {
  std::vector<T> result;
  for (const T& one : all)
    if (*rc::gen::arbitrary<bool>()) result.push_back(one);
  return result;
}

// Some of the names are persons with a second account, the others are users of no person.
Policy any_policy() {
  Policy policy;
  for (const std::string& name : some_of(kNames)) policy.people[name].users = {name, name + "2"};
  for (const std::string& set : kSets) policy.approvers[set] = some_of(kNames);
  Role role;
  role.name = "r";
  role.eligible = {{Subject::Kind::group, "g"}};
  role.max_duration = std::chrono::hours(4);
  const int rules = *rc::gen::inRange(1, 4);
  for (int i = 0; i < rules; ++i) {
    Rule rule;
    rule.then = *rc::gen::element(Rule::Then::approve, Rule::Then::deny, Rule::Then::review, Rule::Then::review);
    if (*rc::gen::arbitrary<bool>()) rule.when.groups = {"h"};
    if (*rc::gen::arbitrary<bool>()) rule.when.ticket = "T[0-9]";
    if (rule.then == Rule::Then::review)
      for (const std::string& set : kSets)
        if (*rc::gen::arbitrary<bool>()) rule.approvals.push_back({set, *rc::gen::inRange(1U, 3U)});
    role.rules.push_back(rule);
  }
  policy.roles["r"] = role;
  return policy;
}

std::vector<PersonRef> any_consents(const Policy& policy) {
  std::vector<PersonRef> result;
  for (const std::string& name : some_of(kNames)) result.push_back(person_of_user(policy, name));
  return result;
}

Facts any_facts() {
  Facts facts;
  facts.user = *rc::gen::elementOf(kNames);
  facts.groups = {"g"};
  if (*rc::gen::arbitrary<bool>()) facts.groups.insert("h");
  return facts;
}

Wish any_wish() {
  Wish wish;
  wish.role = "r";
  wish.ticket = *rc::gen::element<std::string>("", "T1", "other");
  wish.direct = *rc::gen::arbitrary<bool>();
  return wish;
}

Decision judge(const Policy& policy, const Wish& wish, const Facts& facts, const std::vector<PersonRef>& consents) {
  return decide(policy, wish, facts, consents, std::chrono::hours(24), kNow);
}

template <class T>
std::vector<T> shuffled(std::vector<T> values) {
  for (std::size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[*rc::gen::inRange<std::size_t>(0, i)]);
  return values;
}

// By trying every way to seat the persons: what `match` has to agree with.
bool seated(const Policy& policy, const std::vector<std::string>& places, std::vector<PersonRef> persons) {
  if (places.empty()) return true;
  const std::set<PersonRef> set = persons_of_set(policy, places.back());
  const std::vector<std::string> rest(places.begin(), places.end() - 1);
  for (std::size_t i = 0; i < persons.size(); ++i) {
    if (!set.contains(persons[i])) continue;
    std::vector<PersonRef> others = persons;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    if (seated(policy, rest, others)) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("P1: no order of consents, sets or approvals matters", "[rules]") {
  CHECK(rc::check([] {
    const Policy policy = any_policy();
    const Wish wish = any_wish();
    const Facts facts = any_facts();
    const std::vector<PersonRef> consents = any_consents(policy);
    Policy other = policy;
    for (auto& [name, members] : other.approvers) members = shuffled(members);
    for (Rule& rule : other.roles.at("r").rules) rule.approvals = shuffled(rule.approvals);
    std::vector<PersonRef> twice = shuffled(consents);
    twice.insert(twice.end(), consents.begin(), consents.end());
    const Decision a = judge(policy, wish, facts, consents);
    const Decision b = judge(other, wish, facts, twice);
    RC_ASSERT(a.verdict == b.verdict);
    RC_ASSERT(a.duration == b.duration);
    RC_ASSERT(a.rule == b.rule);
  }));
}

TEST_CASE("P1: another consent never takes an approval back", "[rules]") {
  CHECK(rc::check([] {
    const Policy policy = any_policy();
    const Wish wish = any_wish();
    const Facts facts = any_facts();
    std::vector<PersonRef> consents = any_consents(policy);
    const Decision before = judge(policy, wish, facts, consents);
    consents.push_back(person_of_user(policy, *rc::gen::elementOf(kNames)));
    const Decision after = judge(policy, wish, facts, consents);
    RC_ASSERT(before.verdict != Verdict::approve || after.verdict == Verdict::approve);
    RC_ASSERT(before.verdict != Verdict::deny || wish.direct || after.verdict == Verdict::deny);
  }));
}

TEST_CASE("P1: whoever is not eligible gets nothing, whoever consents", "[rules]") {
  CHECK(rc::check([] {
    const Policy policy = any_policy();
    Facts facts = any_facts();
    facts.groups.erase("g");
    RC_ASSERT(judge(policy, any_wish(), facts, any_consents(policy)).verdict == Verdict::deny);
  }));
}

TEST_CASE("P1: the consent of the user changes nothing, by either account", "[rules]") {
  CHECK(rc::check([] {
    const Policy policy = any_policy();
    const Wish wish = any_wish();
    Facts facts = any_facts();
    std::vector<PersonRef> consents = any_consents(policy);
    const PersonRef own = person_of_user(policy, facts.user);
    std::erase(consents, own);
    const Decision without = judge(policy, wish, facts, consents);
    consents.push_back(own);
    consents.push_back({facts.user, false});
    RC_ASSERT(judge(policy, wish, facts, consents).verdict == without.verdict);
    if (own.listed) facts.user += "2";
    RC_ASSERT(judge(policy, wish, facts, consents).verdict == without.verdict);
  }));
}

TEST_CASE("P1: a review is approved exactly when everybody asked for can be a different person", "[rules]") {
  CHECK(rc::check([] {
    const Policy policy = any_policy();
    const std::vector<PersonRef> persons = any_consents(policy);
    std::vector<Approval> approvals;
    std::vector<std::string> places;
    for (const std::string& set : kSets) {
      const unsigned count = *rc::gen::inRange(0U, 3U);
      if (count > 0) approvals.push_back({set, count});
      places.insert(places.end(), count, set);
    }
    const Matching matching = match(policy, approvals, persons);
    RC_ASSERT(matching.complete == seated(policy, places, persons));
    const unsigned have = std::accumulate(matching.have.begin(), matching.have.end(), 0U);
    RC_ASSERT(have <= persons.size());
    for (std::size_t i = 0; i < approvals.size(); ++i) RC_ASSERT(matching.have[i] <= approvals[i].count);
  }));
}

TEST_CASE("P1: no grant is ever longer than the wish, the role, the rule or the ceiling", "[rules]") {
  CHECK(rc::check([] {
    const Policy policy = any_policy();
    Wish wish = any_wish();
    wish.duration = Seconds(*rc::gen::inRange(1, 100000));
    const Seconds ceiling(*rc::gen::inRange(1, 100000));
    const Facts facts = any_facts();
    const Decision decision = decide(policy, wish, facts, any_consents(policy), ceiling, kNow);
    RC_ASSERT(decision.duration <= wish.duration);
    RC_ASSERT(decision.duration <= ceiling);
    RC_ASSERT(decision.duration <= policy.roles.at("r").max_duration);
    RC_ASSERT(decision.verdict != Verdict::approve || decision.duration > Seconds(0));
  }));
}
