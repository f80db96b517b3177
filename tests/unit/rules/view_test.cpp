// The view of revocations in a policy: what it may say, and what it makes of a decision.
#include <rapidcheck.h>

#include <algorithm>

#include "policy/rules/decision.hpp"
#include "policy/rules/view.hpp"
#include "tests/unit/rules/policies.hpp"

using namespace jit;
using test::loaded;
using test::problems;

namespace {

const WallTime kNow{Seconds(1'800'000'000)};
const Seconds kDay = std::chrono::hours(24);

// A role "r" of alice with these keys, and a rule that approves or one that asks for one of the leads.
std::string role(const std::string& keys, bool review, const std::string& before = "") {
  const std::string rule = review ? "then = \"review\"\napprovals = [{ by = \"leads\" }]\n" : "then = \"approve\"\n";
  return before +
         "[approvers]\nleads = [\"carol\", \"dave\"]\n[roles.r]\neligible = [\"alice\"]\nmax_duration = \"4h\"\n" +
         keys + "[[roles.r.rules]]\n" + rule;
}

Facts alice(std::optional<Seconds> age, std::optional<Seconds> hosts_own = std::nullopt) {
  Facts facts;
  facts.user = "alice";
  facts.uid = 1000;
  facts.view_age = age;
  facts.max_view_age = hosts_own;
  return facts;
}

std::vector<PersonRef> users(const std::vector<std::string>& names) {
  std::vector<PersonRef> persons;
  for (const std::string& name : names) persons.push_back({name, false});
  return persons;
}

Decision judge(const Policy& policy, const Facts& facts, const std::vector<std::string>& consents = {},
               bool direct = false) {
  return decide(policy, {"r", Seconds(0), "", direct}, facts, users(consents), kDay, kNow);
}

void first_problem(const std::string& text, const std::string& error) {
  INFO(text);
  const auto got = problems(text);
  REQUIRE(!got.empty());
  CHECK(got.front() == error);
}

}  // namespace

TEST_CASE("what a policy may say of the view of revocations", "[rules][view]") {
  CHECK_FALSE(loaded(role("", true)).role("r")->view);
  const auto own = loaded(role("max_view_age = \"1h\"\n", true)).role("r")->view;
  REQUIRE(own);
  CHECK(own->most == std::chrono::hours(1));
  CHECK(own->past == PastView::refuse);
  CHECK_FALSE(own->end);

  SECTION("[defaults] says it for roles that do not, key by key") {
    const std::string defaults =
        "[defaults]\nmax_view_age = \"2h\"\npast_view_age = \"shorten\"\npast_view_duration = \"15m\"\n"
        "end_past_view_age = true\n";
    const auto inherited = loaded(role("", true, defaults)).role("r")->view;
    REQUIRE(inherited);
    CHECK(inherited->most == std::chrono::hours(2));
    CHECK(inherited->past == PastView::shorten);
    CHECK(inherited->duration == std::chrono::minutes(15));
    CHECK(inherited->end);
    const auto mixed =
        loaded(role("past_view_age = \"refuse\"\nend_past_view_age = false\n", true, defaults)).role("r")->view;
    REQUIRE(mixed);
    CHECK(mixed->most == std::chrono::hours(2));
    CHECK(mixed->past == PastView::refuse);
    CHECK_FALSE(mixed->end);
  }
  SECTION("what cannot be meant is an error with file, line and key") {
    first_problem(role("past_view_age = \"shorten\"\npast_view_duration = \"1m\"\n", true),
                  "p.toml:6: roles.r.past_view_age: has no meaning without max_view_age, here or in [defaults]");
    first_problem(role("end_past_view_age = true\n", true),
                  "p.toml:6: roles.r.end_past_view_age: has no meaning without max_view_age, here or in [defaults]");
    first_problem(role("max_view_age = \"1h\"\npast_view_age = \"ask\"\n", true),
                  R"(p.toml:7: roles.r.past_view_age: must be "refuse", "shorten" or "one-more")");
    first_problem(role("max_view_age = \"1h\"\npast_view_age = \"shorten\"\n", true),
                  "p.toml:7: roles.r.past_view_age: \"shorten\" needs past_view_duration, here or in [defaults]");
    first_problem(role("max_view_age = \"1h\"\npast_view_duration = \"1m\"\n", true),
                  "p.toml:7: roles.r.past_view_duration: has a meaning only with past_view_age = \"shorten\"");
    first_problem(role("max_view_age = \"soon\"\n", true),
                  "p.toml:6: roles.r.max_view_age: " + parse_duration("soon").error().message);
    first_problem(role("max_view_age = \"1h\"\nend_past_view_age = \"yes\"\n", true),
                  "p.toml:7: roles.r.end_past_view_age: must be true or false, not a string");
    first_problem("[defaults]\nmax_view_age = \"1h\"\n[defaults.more]\n",
                  "p.toml:3: defaults.more: unknown key; known here: end_past_view_age, max_duration, max_view_age, "
                  "past_view_age and past_view_duration");
  }
  SECTION("one more approver has to be there") {
    first_problem(role("max_view_age = \"1h\"\npast_view_age = \"one-more\"\n", false),
                  "p.toml:7: roles.r.past_view_age: \"one-more\" of role \"r\": it has no approvers");
    first_problem(role("", false, "[defaults]\nmax_view_age = \"1h\"\npast_view_age = \"one-more\"\n"),
                  "p.toml:3: defaults.past_view_age: \"one-more\" of role \"r\": it has no approvers");
    CHECK(problems(role("max_view_age = \"1h\"\npast_view_age = \"one-more\"\n", true)).empty());
    std::string two = role("max_view_age = \"1h\"\npast_view_age = \"one-more\"\n", true);
    two.replace(two.find("{ by = \"leads\" }"), 16, "{ by = \"leads\", count = 2 }");
    first_problem(two,
                  "p.toml:7: roles.r.past_view_age: \"one-more\" of role \"r\": its approvers are too few for rule 1 "
                  "and one more");
  }
  SECTION("a default that two files say names both") {
    std::vector<std::string> all;
    static_cast<void>(load_policy(
        {{"a.toml", "[defaults]\nmax_view_age = \"1h\"\n"}, {"b.toml", "[defaults]\nmax_view_age = \"2h\"\n"}},
        &all));
    REQUIRE(all.size() == 1);
    CHECK(all.front() == "b.toml:2: defaults.max_view_age: is defined already at a.toml:2; keep one of them");
  }
}

TEST_CASE("refuse: nothing is given past the age, or where no list ever came", "[rules][view]") {
  const bool review = GENERATE(false, true);
  const Policy policy = loaded(role("max_view_age = \"1h\"\n", review));
  const std::vector<std::string> enough = review ? std::vector<std::string>{"carol"} : std::vector<std::string>{};
  CHECK(judge(policy, alice(Seconds(3599)), enough).verdict == Verdict::approve);
  for (const auto age : {std::optional<Seconds>{}, std::optional(Seconds(3600)), std::optional(Seconds(7300))}) {
    const Decision decision = judge(policy, alice(age), enough);
    CHECK(decision.verdict == Verdict::deny);
    CHECK(decision.view_denies);
    CHECK(decision.message == decision.past_view);
  }
  CHECK(judge(policy, alice(Seconds(7300))).message ==
        "the view of revocations is 2h old, and has to be younger than 1h");
  CHECK(judge(policy, alice(std::nullopt)).message ==
        "this host has no list of revocations to go by, and its view of them has to be younger than 1h");
  // whom it still waits for is known all the same
  CHECK(judge(policy, alice(std::nullopt)).needs.size() == (review ? 1 : 0));
}

TEST_CASE("shorten: at most so long, whatever was asked for", "[rules][view]") {
  const Policy policy =
      loaded(role("max_view_age = \"1h\"\npast_view_age = \"shorten\"\npast_view_duration = \"15m\"\n", false));
  CHECK(judge(policy, alice(Seconds(0))).duration == std::chrono::hours(1));
  const Decision decision = judge(policy, alice(std::nullopt));
  CHECK(decision.verdict == Verdict::approve);
  CHECK(decision.duration == std::chrono::minutes(15));
  CHECK(decision.unshortened == std::chrono::hours(1));
  CHECK(at_most(decision) == "this role is given for at most 15m here, since " + decision.past_view);
}

TEST_CASE("one-more: an approver beside everybody that the rule asks for", "[rules][view]") {
  const std::string keys = "max_view_age = \"1h\"\npast_view_age = \"one-more\"\n";
  SECTION("a review") {
    const Policy policy = loaded(role(keys, true));
    CHECK(judge(policy, alice(Seconds(0)), {"carol"}).verdict == Verdict::approve);
    const Decision one = judge(policy, alice(std::nullopt), {"carol"});
    CHECK(one.verdict == Verdict::review);
    REQUIRE(one.needs.size() == 2);
    CHECK(one.needs[1].by == "one more approver");
    CHECK(one.needs[1].have == 0);
    CHECK(one.needs[1].candidates == std::vector<std::string>{"dave"});
    CHECK(judge(policy, alice(std::nullopt), {"carol", "mallory"}).verdict == Verdict::review);
    CHECK(judge(policy, alice(std::nullopt), {"carol", "dave"}).verdict == Verdict::approve);
  }
  SECTION("a rule that approves by itself; never the one who asks") {
    std::string text = role(keys, false);
    text += "[[roles.r.rules]]\nthen = \"review\"\napprovals = [{ by = \"leads\" }]\n";
    text.replace(text.find("\"carol\""), 7, "\"alice\", \"carol\"");
    const Policy policy = loaded(text);
    CHECK(judge(policy, alice(Seconds(0))).verdict == Verdict::approve);
    CHECK(judge(policy, alice(std::nullopt)).verdict == Verdict::review);
    CHECK(judge(policy, alice(std::nullopt), {"alice"}).verdict == Verdict::review);
    CHECK(judge(policy, alice(std::nullopt), {"dave"}).verdict == Verdict::approve);
    // a direct grant has its own approver to begin with
    CHECK(judge(policy, alice(Seconds(0)), {"dave"}, true).verdict == Verdict::approve);
    CHECK(judge(policy, alice(std::nullopt), {"dave"}, true).verdict == Verdict::review);
    CHECK(judge(policy, alice(std::nullopt), {"dave", "carol"}, true).verdict == Verdict::approve);
    CHECK(judge(policy, alice(std::nullopt), {}, true).verdict == Verdict::deny);
  }
}

TEST_CASE("the host's own bound is for roles that say nothing", "[rules][view]") {
  const Policy silent = loaded(role("", false));
  CHECK(judge(silent, alice(std::nullopt)).verdict == Verdict::approve);
  CHECK(judge(silent, alice(Seconds(60), Seconds(60))).verdict == Verdict::deny);
  CHECK(judge(silent, alice(Seconds(59), Seconds(60))).verdict == Verdict::approve);
  const Policy says = loaded(role("max_view_age = \"1h\"\n", false));
  CHECK(judge(says, alice(Seconds(600), Seconds(60))).verdict == Verdict::approve);
}

TEST_CASE("P1: no view of revocations, old, new or none, gives more than the newest would", "[rules][view]") {
  CHECK(rc::check([] {
    const std::vector<std::string> names = {"alice", "carol", "dave", "erin", "mallory"};
    std::string text =
        "[approvers]\nleads = [\"carol\", \"dave\", \"erin\"]\n[roles.r]\neligible = [\"*\"]\nmax_duration = "
        "\"4h\"\nmax_view_age = \"1h\"\n";
    const std::string past = *rc::gen::element<std::string>("refuse", "shorten", "one-more");
    text += "past_view_age = \"" + past + "\"\n";
    if (past == "shorten") text += "past_view_duration = \"20m\"\n";
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i)
      text += *rc::gen::element<std::string>("[[roles.r.rules]]\nthen = \"approve\"\n",
                                             "[[roles.r.rules]]\nthen = \"deny\"\n",
                                             "[[roles.r.rules]]\nwhen = { ticket = \"T\" }\nthen = \"approve\"\n");
    text += "[[roles.r.rules]]\nthen = \"review\"\napprovals = [{ by = \"leads\", count = " +
            std::to_string(*rc::gen::inRange(1, 3)) + " }]\n";
    const Result<Policy> policy = load_policy({{"p.toml", text}});
    RC_ASSERT(policy.has_value());
    Wish wish{"r", Seconds(*rc::gen::inRange(0, 20000)), *rc::gen::element<std::string>("", "T"),
              *rc::gen::arbitrary<bool>()};
    std::vector<std::string> signers;
    for (const std::string& name : names)
      if (*rc::gen::arbitrary<bool>()) signers.push_back(name);
    Facts facts = alice(Seconds(0));
    const Decision newest = decide(*policy, wish, facts, users(signers), kDay, kNow);
    RC_ASSERT(newest.past_view.empty());
    facts.view_age.reset();
    if (*rc::gen::arbitrary<bool>()) facts.view_age = Seconds(*rc::gen::inRange(0, 10000));
    const Decision now = decide(*policy, wish, facts, users(signers), kDay, kNow);
    RC_ASSERT(now.verdict != Verdict::approve || newest.verdict == Verdict::approve);
    RC_ASSERT(now.duration <= newest.duration);
    const bool stale = !facts.view_age || *facts.view_age >= std::chrono::hours(1);
    if (!stale) {
      RC_ASSERT(now.verdict == newest.verdict);
      RC_ASSERT(now.duration == newest.duration);
      return;
    }
    if (past == "refuse") RC_ASSERT(now.verdict == Verdict::deny);
    if (past == "shorten") {
      RC_ASSERT(now.verdict == newest.verdict);
      RC_ASSERT(now.verdict == Verdict::deny || now.duration <= std::chrono::minutes(20));
    }
    if (past == "one-more" && now.verdict == Verdict::approve) {
      // Without any one of those who signed it would not have been, or there was one more than enough.
      const std::set<std::string> leads = {"carol", "dave", "erin"};
      std::vector<std::string> counted;
      for (const std::string& name : signers)
        if (leads.contains(name)) counted.push_back(name);
      RC_ASSERT(!counted.empty());
      for (const std::string& left_out : counted) {
        std::vector<std::string> fewer = counted;
        std::erase(fewer, left_out);
        Facts fresh = facts;
        fresh.view_age = Seconds(0);
        RC_ASSERT(decide(*policy, wish, fresh, users(fewer), kDay, kNow).verdict == Verdict::approve);
      }
    }
  }));
}
