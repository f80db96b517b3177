// The decision, case by case.
#include <algorithm>

#include "policy/rules/decision.hpp"
#include "tests/unit/rules/policies.hpp"

using namespace jit;
using test::loaded;

namespace {

const WallTime kNow{Seconds(1'800'000'000)};
const Seconds kCeiling = std::chrono::hours(24);

PersonRef person(const std::string& name) {
  return {name, true};
}
PersonRef user(const std::string& name) {
  return {name, false};
}

Facts alice() {
  return {"alice", 1000, {"alice", "dba"}, {"pci-db"}};
}

Wish wish(const std::string& ticket = "", Seconds duration = Seconds(0)) {
  return {"r", duration, ticket, false};
}

// A role "r" for alice with these rules.
Policy with_rules(const std::string& rules, const std::string& more = "") {
  return loaded(R"(
[people.carol]
users = ["carol", "carol-adm"]
[people.alice]
users = ["alice", "alice-adm"]
[approvers]
leads = ["carol", "dave", "alice"]
security = ["erin", "dave"]
[roles.r]
eligible = ["alice"]
max_duration = "4h"
)" + more + rules);
}

std::string rule(const std::string& text) {
  return "[[roles.r.rules]]\n" + text + "\n";
}
const std::string kApprove = rule("then = \"approve\"");
const std::string kReview = rule("then = \"review\"\napprovals = [{ by = \"leads\" }]");

Decision judge(const Policy& policy, const Wish& w = wish(), const std::vector<PersonRef>& consents = {},
               const Facts& facts = alice(), Seconds ceiling = kCeiling) {
  return decide(policy, w, facts, consents, ceiling, kNow);
}

bool says(const Decision& decision, const std::string& reason) {
  return std::find(decision.reasons.begin(), decision.reasons.end(), reason) != decision.reasons.end();
}

}  // namespace

TEST_CASE("a role nobody defined, another segment, nobody eligible: denied with the reason", "[rules]") {
  const Policy policy = with_rules(kApprove, "segments = [\"pci-db\", \"pci-web\"]\n");
  CHECK(judge(policy).verdict == Verdict::approve);

  Wish other = wish();
  other.role = "x\x1b";
  CHECK(judge(policy, other).verdict == Verdict::deny);
  CHECK(says(judge(policy, other), "there is no role \"x\\x1b\""));

  Facts elsewhere = alice();
  elsewhere.segments = {"dev"};
  CHECK(judge(policy, wish(), {}, elsewhere).verdict == Verdict::deny);
  CHECK(
      says(judge(policy, wish(), {}, elsewhere), "the role exists in pci-db or pci-web, and this host is not in it"));
  elsewhere.segments = {};
  CHECK(judge(policy, wish(), {}, elsewhere).verdict == Verdict::deny);

  Facts bob = alice();
  bob.user = "bob";
  CHECK(judge(policy, wish(), {}, bob).verdict == Verdict::deny);
  CHECK(says(judge(policy, wish(), {}, bob), "bob is not eligible for the role"));
  bob.user = "";
  CHECK(judge(policy, wish(), {}, bob).verdict == Verdict::deny);
}

TEST_CASE("eligibility by user, group and everybody", "[rules]") {
  const Facts facts = alice();
  CHECK(covers({Subject::Kind::user, "alice"}, facts));
  CHECK_FALSE(covers({Subject::Kind::user, "Alice"}, facts));
  CHECK_FALSE(covers({Subject::Kind::user, "dba"}, facts));
  CHECK(covers({Subject::Kind::group, "dba"}, facts));
  CHECK_FALSE(covers({Subject::Kind::group, "wheel"}, facts));
  CHECK(covers({Subject::Kind::everybody, ""}, facts));
  CHECK_FALSE(covers({static_cast<Subject::Kind>(77), "alice"}, facts));
}

TEST_CASE("the first rule that matches decides, and none is a denial", "[rules]") {
  CHECK(judge(with_rules("")).verdict == Verdict::deny);
  CHECK(says(judge(with_rules("")), "no rule of the role matches"));
  const std::string deny = rule("name = \"freeze\"\nthen = \"deny\"\nmessage = \"Call the duty manager.\"");
  const Decision denied = judge(with_rules(deny + kApprove));
  CHECK(denied.verdict == Verdict::deny);
  CHECK(denied.rule == "rule 1 (freeze)");
  CHECK(denied.message == "Call the duty manager.");
  CHECK(judge(with_rules(kApprove + deny)).verdict == Verdict::approve);
  CHECK(judge(with_rules(kApprove + deny)).rule == "rule 1");

  const auto when = [](const std::string& condition) {
    return judge(with_rules(rule("when = { " + condition + " }\nthen = \"approve\"")), wish("INC-7", Seconds(3600)))
        .verdict;
  };
  CHECK(when("users = [\"bob\", \"alice\"]") == Verdict::approve);
  CHECK(when("users = [\"bob\"]") == Verdict::deny);
  CHECK(when("groups = [\"dba\"]") == Verdict::approve);
  CHECK(when("groups = [\"wheel\"]") == Verdict::deny);
  CHECK(when("duration = \"1h\"") == Verdict::approve);
  CHECK(when("duration = \"59m\"") == Verdict::deny);
  CHECK(when("ticket = \"INC-[0-9]\"") == Verdict::approve);
  CHECK(when("ticket = \"CHG-[0-9]\"") == Verdict::deny);
  CHECK(when("users = [\"alice\"], groups = [\"wheel\"]") == Verdict::deny);
}

TEST_CASE("what is not known counts as true in a deny rule and as false in every other", "[rules]") {
  const std::string ticket = "when = { ticket = \"INC-[0-9]+\" }\n";
  CHECK(judge(with_rules(rule(ticket + "then = \"approve\""))).verdict == Verdict::deny);
  CHECK(judge(with_rules(rule(ticket + "then = \"review\"\napprovals = [{ by = \"leads\" }]")), wish(),
              {person("carol")})
            .verdict == Verdict::deny);
  const std::string deny = rule(ticket + "then = \"deny\"");
  CHECK(judge(with_rules(deny + kApprove)).verdict == Verdict::deny);
  CHECK(says(judge(with_rules(deny + kApprove)), "rule 1 denies, since what it asks for is not known"));
  CHECK(judge(with_rules(deny + kApprove), wish("CHG-1")).verdict == Verdict::approve);
  CHECK(judge(with_rules(deny + kApprove), wish("INC-1")).verdict == Verdict::deny);
  // False and unknown is false: the deny rule is not about this user at all.
  const std::string about_bob = rule("when = { users = [\"bob\"], ticket = \"INC-[0-9]+\" }\nthen = \"deny\"");
  CHECK(judge(with_rules(about_bob + kApprove)).verdict == Verdict::approve);
}

TEST_CASE("the duration is the least of wish, role, rule and ceiling", "[rules]") {
  using std::chrono::hours;
  using std::chrono::minutes;
  const Policy policy = with_rules(kApprove);
  CHECK(judge(policy).duration == hours(1));  // the default
  CHECK(judge(policy, wish("", hours(2))).duration == hours(2));
  CHECK(judge(policy, wish("", hours(9))).duration == hours(4));
  CHECK(judge(policy, wish("", hours(9)), {}, alice(), hours(3)).duration == hours(3));
  CHECK(judge(policy, wish(), {}, alice(), minutes(10)).duration == minutes(10));
  const Policy limited = with_rules(rule("then = \"approve\"\nlimits = { duration = \"30m\" }"));
  CHECK(judge(limited, wish("", hours(2))).duration == minutes(30));
  CHECK(judge(limited, wish("", minutes(20))).duration == minutes(20));
  CHECK(judge(policy, wish("", Seconds(-1))).verdict == Verdict::deny);
  CHECK(judge(policy, wish(), {}, alice(), Seconds(0)).verdict == Verdict::deny);
  CHECK(judge(policy, wish(), {}, alice(), Seconds(-5)).verdict == Verdict::deny);
  // A short maximum is the default too.
  CHECK(judge(loaded("[roles.r]\neligible = [\"*\"]\nmax_duration = \"10m\"\n" + kApprove)).duration == minutes(10));
}

TEST_CASE("a review asks for people and says how far it is", "[rules]") {
  const Policy policy = with_rules(kReview);
  const Decision open = judge(policy);
  CHECK(open.verdict == Verdict::review);
  REQUIRE(open.needs.size() == 1);
  CHECK(open.needs[0].by == "leads");
  CHECK(open.needs[0].count == 1);
  CHECK(open.needs[0].have == 0);
  CHECK(open.needs[0].candidates == std::vector<std::string>{"carol", "dave"});  // not alice, who asks
  CHECK(says(open, "leads: 0 of 1"));

  CHECK(judge(policy, wish(), {person("carol")}).verdict == Verdict::approve);
  CHECK(judge(policy, wish(), {user("dave")}).verdict == Verdict::approve);
  CHECK(judge(policy, wish(), {user("erin")}).verdict == Verdict::review);    // of another set
  CHECK(judge(policy, wish(), {user("carol")}).verdict == Verdict::approve);  // recorded before [people] had her
  CHECK(says(judge(policy, wish(), {person("carol")}), "consent of carol"));
}

TEST_CASE("P1: the user who would get the role is never counted, under any account", "[rules]") {
  const Policy policy = with_rules(kReview);
  for (const PersonRef& own : {person("alice"), user("alice"), user("alice-adm")})
    CHECK(judge(policy, wish(), {own}).verdict == Verdict::review);
  const Policy two = with_rules(rule("then = \"review\"\napprovals = [{ by = \"leads\", count = 3 }]"));
  const Decision never = judge(two, wish(), {person("carol"), user("dave"), person("alice")});
  CHECK(never.verdict == Verdict::review);
  CHECK(never.needs.at(0).have == 2);
  CHECK(says(never, "leads has not enough other people to reach 3"));
}

TEST_CASE("several sets are satisfied at once by different people only", "[rules]") {
  const Policy policy =
      with_rules(rule("then = \"review\"\napprovals = [{ by = \"leads\" }, { by = \"security\" }]"));
  CHECK(judge(policy, wish(), {user("dave")}).verdict == Verdict::review);  // in both sets, but one person
  CHECK(judge(policy, wish(), {user("dave"), user("dave")}).verdict == Verdict::review);
  // dave must stand for security here, although leads would take him first.
  CHECK(judge(policy, wish(), {user("dave"), person("carol")}).verdict == Verdict::approve);
  CHECK(judge(policy, wish(), {person("carol"), user("dave")}).verdict == Verdict::approve);
  CHECK(judge(policy, wish(), {user("dave"), user("erin")}).verdict == Verdict::approve);
  CHECK(judge(policy, wish(), {person("carol"), user("carol")}).verdict == Verdict::review);  // one person twice
}

TEST_CASE("a direct grant is signed by an approver even where the rule asks nobody", "[rules]") {
  Wish direct = wish();
  direct.direct = true;
  const Policy policy = with_rules(rule("when = { users = [\"alice\"] }\nthen = \"approve\"") + kReview);
  CHECK(judge(policy, direct).verdict == Verdict::deny);
  CHECK(says(judge(policy, direct), "a direct grant needs the signature of an approver of the role"));
  CHECK(judge(policy, direct, {user("erin")}).verdict == Verdict::deny);
  CHECK(judge(policy, direct, {person("alice")}).verdict == Verdict::deny);
  CHECK(judge(policy, direct, {person("carol")}).verdict == Verdict::approve);
  CHECK(says(judge(policy, direct, {person("carol")}), "a direct grant signed by carol, an approver of the role"));

  SECTION("a role without approvers takes it from revokers alone") {
    Policy bare = with_rules(kApprove);
    CHECK(judge(bare, direct, {person("carol")}).verdict == Verdict::deny);
    bare.approvers["revokers"] = {"erin"};
    CHECK(judge(bare, direct, {person("carol")}).verdict == Verdict::deny);
    CHECK(judge(bare, direct, {user("erin")}).verdict == Verdict::approve);
  }
  SECTION("a rule that asks for reviews is satisfied as for a request") {
    CHECK(judge(with_rules(kReview), direct).verdict == Verdict::review);
    CHECK(judge(with_rules(kReview), direct, {user("dave")}).verdict == Verdict::approve);
  }
  SECTION("a rule that denies denies") {
    CHECK(judge(with_rules(rule("then = \"deny\"") + kReview), direct, {user("dave")}).verdict == Verdict::deny);
  }
}

TEST_CASE("values that no code ever stored deny (CVE-2023-42465)", "[rules]") {
  Policy policy = with_rules(kApprove);
  const auto stored = static_cast<std::uint32_t>(Rule::Then::approve);
  for (unsigned bit = 0; bit < 32; ++bit) {
    policy.roles.at("r").rules[0].then = static_cast<Rule::Then>(stored ^ (1U << bit));
    CHECK(judge(policy, wish(), {person("carol"), user("dave")}).verdict == Verdict::deny);
  }
  for (const std::uint32_t value : {0U, 1U, 2U, 0xffffffffU}) {
    policy.roles.at("r").rules[0].then = static_cast<Rule::Then>(value);
    CHECK(judge(policy).verdict == Verdict::deny);
  }
  // Turning one verdict into another takes many bits.
  const auto far = [](auto a, auto b) {
    return __builtin_popcount(static_cast<std::uint32_t>(a) ^ static_cast<std::uint32_t>(b));
  };
  CHECK(far(Verdict::deny, Verdict::approve) >= 12);
  CHECK(far(Verdict::deny, Verdict::review) >= 12);
  CHECK(far(Verdict::review, Verdict::approve) >= 12);
  CHECK(far(Rule::Then::deny, Rule::Then::approve) >= 12);
  CHECK(far(Rule::Then::review, Rule::Then::approve) >= 12);
  // A review rule that asks for nobody cannot be loaded, and approves nothing should it ever stand in memory.
  policy.roles.at("r").rules[0].then = Rule::Then::review;
  policy.roles.at("r").rules[0].approvals.clear();
  CHECK(judge(policy, wish(), {person("carol")}).verdict == Verdict::review);
  policy.roles.at("r").rules[0].approvals = {{"leads", 4000000000U}};
  CHECK(judge(policy, wish(), {person("carol")}).verdict == Verdict::review);
}

TEST_CASE("a rule that approves by itself gives no more than its total", "[rules]") {
  const std::string bounded = rule("then = \"approve\"\nlimits = { duration = \"2h\", total = \"4h\" }");
  const Policy policy = with_rules(bounded);
  Facts facts = alice();
  const auto given = [&](std::optional<Seconds> so_far, const Policy& by, Seconds wanted, bool direct = false) {
    facts.given = so_far;
    Wish one = wish();
    one.duration = wanted;
    one.direct = direct;
    return judge(by, one, {}, facts);
  };
  constexpr Seconds hour{3600};
  CHECK(given(hour * 2, policy, hour * 2).verdict == Verdict::approve);
  CHECK(given(hour * 2, policy, hour * 3).verdict == Verdict::approve);  // of which the rule gives two
  const Decision past = given(hour * 2 + Seconds(1), policy, hour * 2);
  CHECK(past.verdict == Verdict::deny);
  CHECK(past.message == "rule 1 gives 4h in 24 hours by itself, of which 7199s is left");
  CHECK(given(hour * 9, policy, Seconds(1)).verdict == Verdict::deny);
  CHECK(given(std::nullopt, policy, Seconds(1)).verdict == Verdict::deny);
  // The next rule decides, and what a person signs is not bounded by it.
  const Policy then_ask = with_rules(bounded + kReview);
  CHECK(given(hour * 4, then_ask, hour).verdict == Verdict::review);
  CHECK(given(hour * 4, policy, hour, true).reasons.back().find("needs the signature") != std::string::npos);
  // A rule that denies is not passed over because the one before it is spent.
  const Policy then_deny = with_rules(bounded + rule("then = \"deny\"") + kReview);
  CHECK(given(hour * 4, then_deny, hour).verdict == Verdict::deny);
}
