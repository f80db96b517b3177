// P1 and P7: who may consent to what, and what a signature is good for.
#include <algorithm>

#include "policy/document/envelope.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("P1: nobody approves their own request, through no account, key or person", "[core][engine]") {
  World world;
  SECTION("an approver who is eligible, by their own key") {
    const Outcome asked = world.asked(kDave, "dba");
    CHECK(says(world.refused(world.review(asked.id, "dave")), "nobody reviews their own request"));
    CHECK(world.host.nothing_held());
    CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::active);
  }
  SECTION("through a second account of the same person") {
    const Outcome asked = world.asked(kCarolAdm, "dba");
    CHECK(says(world.refused(world.review(asked.id, "carol")), "nobody reviews their own request"));
    CHECK(asked.message == "waiting for dba-leads: 1 of dave");
  }
  SECTION("through a second key of the same person") {
    world.trust("carol-adm", "carol-second");
    world.reload();
    const Outcome asked = world.asked(kCarolAdm, "dba");
    CHECK(says(world.refused(world.review(asked.id, "carol-second")), "nobody reviews their own request"));
  }
  SECTION("through sudo -u deploy: the login behind it counts") {
    const std::optional<Result<Outcome>> answer = world.ask(kDeploy, "dba", std::nullopt, "why", kCarol);
    REQUIRE((answer && *answer));
    const std::string id = (*answer)->id;
    CHECK(world.record(id).requesters == std::vector<PersonRef>{{"deploy", false}, {"carol", true}});
    CHECK(says(world.refused(world.review(id, "carol")), "nobody reviews their own request"));
    CHECK(world.submitted(world.review(id, "dave")).state == GrantState::active);
  }
  SECTION("through the mapping: whoever [people] maps to a requester now") {
    const Outcome asked = world.asked(kDeploy, "dba");
    const std::string::size_type at = world.policy_text.find("\"carol-adm\"]");
    world.policy_text.insert(at, "\"deploy\", ");
    world.reload();
    CHECK(says(world.refused(world.review(asked.id, "carol")), "nobody reviews their own request"));
  }
  SECTION("through the mapping, after the review was taken in") {
    const Outcome asked = world.asked(kDeploy, "both");
    world.submitted(world.review(asked.id, "carol"));
    world.policy_text.insert(world.policy_text.find("\"carol-adm\"]"), "\"deploy\", ");
    world.reload();
    CHECK(world.submitted(world.review(asked.id, "erin")).state == GrantState::pending);
    CHECK(world.submitted(world.review(asked.id, "dave")).state == GrantState::active);
    return;
  }
  SECTION("in the company of others: one file, two signatures, one that counts") {
    const std::optional<Result<Outcome>> answer = world.ask(kDeploy, "both", std::nullopt, "why", kCarol);
    REQUIRE((answer && *answer));
    const Review review = world.review_of((*answer)->id);
    CHECK(world.submitted(world.sign(review, {"carol", "erin"})).state == GrantState::pending);
    CHECK(world.host.nothing_held());
  }
  SECTION("through a direct grant for oneself") {
    CHECK(says(world.refused(world.sign(world.grant_of("carol-adm", "dba"), {"carol"})), "nobody reviews"));
    CHECK(world.host.nothing_held());
  }
  SECTION("a denial of one's own is not counted either") {
    const Outcome asked = world.asked(kDave, "dba");
    CHECK(says(world.refused(world.review(asked.id, "dave", false)), "nobody reviews their own request"));
    CHECK(world.state(asked.id) == GrantState::pending);
  }
}

TEST_CASE("P1: only signatures of the role's approvers count", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kBob, "dba");
  CHECK(says(world.refused(world.review(asked.id, "erin")),
             "does not approve role dba"));  // an approver of another role
  CHECK(says(world.refused(world.review(asked.id, "alice")), "does not approve role dba"));  // trusted, no approver
  CHECK_FALSE(world.refused(world.review(asked.id, "mallory")).empty());                     // not trusted at all
  CHECK(world.state(asked.id) == GrantState::pending);
  CHECK(world.host.nothing_held());
  SECTION("one person with two keys is one person") {
    const Outcome both = world.asked(kBob, "both");
    world.trust("carol", "carol-second");
    world.reload();
    CHECK(world.submitted(world.sign(world.review_of(both.id), {"carol", "carol-second"})).state ==
          GrantState::pending);
  }
  SECTION("a key under two persons is void") {
    world.trust("frank", "carol");
    world.reload();
    CHECK(says(world.refused(world.review(asked.id, "carol")), "void"));
  }
}

TEST_CASE("P1: an approver taken out of trust counts no more, at once", "[core][engine]") {
  World world;
  SECTION("before anything was signed") {
    const Outcome asked = world.asked(kAlice, "dba");
    world.distrust("carol@example.org");
    world.reload();
    CHECK_FALSE(world.refused(world.review(asked.id, "carol")).empty());
  }
  SECTION("while the request waits for another") {
    const Outcome asked = world.asked(kAlice, "both");
    world.submitted(world.review(asked.id, "carol"));
    world.distrust("carol@example.org");
    world.reload();
    CHECK(world.submitted(world.review(asked.id, "erin")).state == GrantState::pending);
    CHECK(world.host.nothing_held());
    CHECK(world.submitted(world.review(asked.id, "dave")).state == GrantState::active);
  }
  SECTION("while the grant is active") {
    const Outcome granted = world.active(kAlice, "dba");
    world.distrust("carol@example.org");
    world.reload();
    CHECK(world.state(granted.id) == GrantState::ended);
    CHECK(world.host.nothing_held());
  }
  SECTION("the same across a restart") {
    const Outcome granted = world.active(kAlice, "dba");
    world.stop();
    world.distrust("carol@example.org");
    world.start();
    CHECK(world.state(granted.id) == GrantState::ended);
    CHECK(world.host.nothing_held());
  }
  SECTION("a key whose time runs out judged at activation: what was given stays") {
    world.distrust("dave");
    world.trust("dave", "dave", "valid-before=\"20270115083000Z\"");
    world.reload();
    const Outcome asked = world.asked(kAlice, "dba");
    CHECK(world.submitted(world.review(asked.id, "dave")).state == GrantState::active);
    world.pass(1801);
    world.reload();
    CHECK(world.state(asked.id) == GrantState::active);
    const Outcome late = world.asked(kBob, "dba");
    CHECK(says(world.refused(world.review(late.id, "dave")), "not valid at this time"));
  }
}

TEST_CASE("P7: a review counts for its host, its request and its time alone", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba");
  const Outcome other = world.asked(kBob, "dba");
  Review review = world.review_of(asked.id);
  SECTION("another host") {
    review.host = "db2";
    CHECK(says(world.refused(world.sign(review, {"carol"})), "is for host db2, and this host is db1"));
  }
  SECTION("another digest") {
    review.request = sha256("something else");
    CHECK(says(world.refused(world.sign(review, {"carol"})), "there is no request"));
  }
  SECTION("of one request for the other") {
    CHECK(world.submitted(world.sign(review, {"carol"})).id == asked.id);
    CHECK(world.state(other.id) == GrantState::pending);
  }
  SECTION("expired") {
    review.expires = world.now() + kMinute;
    world.pass(60);
    CHECK(says(world.refused(world.sign(review, {"carol"})), "expired"));
  }
  SECTION("made in the future, by more than the tolerance") {
    review.created = world.now() + kMinute * 6;
    CHECK(says(world.refused(world.sign(review, {"carol"})), "one of the clocks is wrong"));
    review.created = world.now() + kMinute * 4;
    CHECK(world.submitted(world.sign(review, {"carol"})).state == GrantState::active);
    return;
  }
  SECTION("one that expired while others were awaited") {
    const Outcome both = world.asked(kAlice, "both");
    Review brief = world.review_of(both.id);
    brief.expires = world.now() + kMinute;
    CHECK(world.submitted(world.sign(brief, {"carol"})).state == GrantState::pending);
    world.pass(120);
    CHECK(world.submitted(world.review(both.id, "erin")).state == GrantState::pending);
  }
  SECTION("the payload changed after it was signed") {
    std::string text = world.sign(review, {"carol"});
    text.replace(text.find("approve"), 7, "Approve");
    CHECK_FALSE(world.refused(text).empty());
  }
  CHECK(world.state(other.id) == GrantState::pending);
  CHECK_FALSE(world.host.member("bob", "postgres"));
}

TEST_CASE("P7: a request makes one grant, ever, whatever is handed in again", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba", kMinute);
  const std::string review = world.review(asked.id, "carol");
  CHECK(world.submitted(review).state == GrantState::active);
  CHECK(world.submitted(review).state == GrantState::active);  // the same again: no second, no longer
  CHECK(world.record(asked.id).not_after == kStart + 60);
  world.pass(60);
  CHECK(says(world.refused(review), "is over"));
  CHECK(says(world.refused(world.review(asked.id, "dave")), "is over"));
  world.restart();
  CHECK(says(world.refused(review), "is over"));
  CHECK(world.host.nothing_held());
}

TEST_CASE("P7: a request handed in, or a document of no known kind, is refused with words", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba");
  std::string text;
  world.engine->document({0, std::nullopt, 1}, asked.id, [&](Result<std::string> got) { text = *got; });
  CHECK(says(world.refused(text), "goes to an approver"));
  CHECK_FALSE(world.refused("").empty());
  CHECK_FALSE(world.refused("kind = \"ask\"\n").empty());
  // A review signed in the namespace of another kind.
  const std::string payload = to_payload(world.review_of(asked.id));
  Envelope envelope{payload, {*world.key("carol").sign(payload, "jit-grant")}};
  CHECK_FALSE(world.refused(to_text(envelope)).empty());
  CHECK(world.state(asked.id) == GrantState::pending);
}

TEST_CASE("P7: the user of another uid, or no user, gets nothing", "[core][engine]") {
  World world;
  SECTION("renumbered while it waits") {
    const Outcome asked = world.asked(kAlice, "dba");
    world.questions.accounts["alice"].uid = 2001;
    CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::refused);
    CHECK(says(world.record(asked.id).why, "renumbered"));
  }
  SECTION("deleted while it waits") {
    const Outcome asked = world.asked(kAlice, "dba");
    world.questions.accounts.erase("alice");
    CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::refused);
  }
  SECTION("renumbered while it is active") {
    const Outcome granted = world.active(kAlice, "dba");
    world.questions.accounts["alice"].uid = 2001;
    world.engine->accounts_changed();
    CHECK(says(world.record(granted.id).why, "renumbered"));
  }
  SECTION("name services that hang end nothing") {
    const Outcome granted = world.active(kAlice, "dba");
    world.questions.silent = true;
    world.engine->accounts_changed();
    CHECK(world.state(granted.id) == GrantState::active);
    return;
  }
  SECTION("a group that got another gid while it is active") {
    const Outcome granted = world.active(kAlice, "dba");
    world.facts.gids["postgres"] = 999;
    world.engine->groups_changed();
    CHECK(world.state(granted.id) == GrantState::ended);
  }
  SECTION("a group that got another gid while it waits") {
    const Outcome asked = world.asked(kAlice, "dba");
    world.facts.gids["postgres"] = 999;
    const Outcome refused = world.submitted(world.review(asked.id, "carol"));
    CHECK(refused.state == GrantState::refused);
    CHECK(says(refused.message, "has changed since it was approved"));
  }
  CHECK(world.host.nothing_held());
}

TEST_CASE("the policy decides again at activation, and on every change", "[core][engine]") {
  World world;
  const auto replace = [&](const std::string& what, const std::string& with) {
    world.policy_text.replace(world.policy_text.find(what), what.size(), with);
    world.reload();
  };
  SECTION("not eligible any more while it waits") {
    const Outcome asked = world.asked(kBob, "dba");
    replace("\"alice\", \"bob\", \"deploy\"", "\"alice\", \"deploy\"");
    CHECK(world.state(asked.id) == GrantState::refused);
  }
  SECTION("not eligible any more while it is active") {
    const Outcome granted = world.active(kBob, "dba");
    replace("\"alice\", \"bob\", \"deploy\"", "\"alice\", \"deploy\"");
    CHECK(world.state(granted.id) == GrantState::ended);
    CHECK(says(world.record(granted.id).why, "not eligible"));
  }
  SECTION("other effects while it waits: what was signed is not what would be given") {
    const Outcome asked = world.asked(kBob, "dba");
    replace("groups = [\"postgres\"]", "groups = [\"postgres\", \"backup\"]");
    CHECK(says(world.submitted(world.review(asked.id, "carol")).message, "has changed since it was approved"));
  }
  SECTION("other effects while it is active") {
    const Outcome granted = world.active(kBob, "dba");
    replace("groups = [\"postgres\"]", "groups = [\"postgres\", \"backup\"]");
    CHECK(world.state(granted.id) == GrantState::ended);
  }
  SECTION("more signatures needed while it is active") {
    const Outcome granted = world.active(kBob, "dba");
    replace("count = 1 } ]", "count = 2 } ]");
    CHECK(world.state(granted.id) == GrantState::ended);
  }
  SECTION("the role is gone") {
    const Outcome granted = world.asked(kBob, "auto");
    const std::string::size_type from = world.policy_text.find("[roles.auto]");
    world.policy_text.erase(from, world.policy_text.find("[roles.shell]") - from);
    world.reload();
    CHECK(says(world.record(granted.id).why, "no role auto any more"));
  }
  SECTION("what does not touch the grant leaves it") {
    const Outcome granted = world.active(kBob, "dba");
    replace("security = [\"erin\"]", "security = [\"erin\", \"frank\"]");
    CHECK(world.state(granted.id) == GrantState::active);
    CHECK(world.inconsistency().empty());
    return;
  }
  CHECK(world.host.nothing_held());
}

TEST_CASE("memberships that we gave make nobody eligible; one of before does", "[core][engine]") {
  World world;
  // dba is for members of @www, which we give with auto.
  const std::string::size_type at = world.policy_text.find("eligible = [\"@dba\"");
  world.policy_text.replace(at, world.policy_text.find('\n', at) - at, "eligible = [\"@www\"]");
  world.reload();
  CHECK(says(world.request_refused(kBob, "dba"), "may ask for here"));
  Account& bob = world.questions.accounts["bob"];
  SECTION("given by us") {
    CHECK(world.asked(kBob, "auto").state == GrantState::active);
    bob.groups.push_back("www");  // as name services now say
    CHECK(world.request_refused(kBob, "dba").find("may ask for here") != std::string::npos);
  }
  SECTION("given by us, and taken away while name services answer") {
    CHECK(world.asked(kBob, "auto", kMinute).state == GrantState::active);
    bob.groups.push_back("www");
    world.questions.late = true;
    const std::size_t requests = world.audit("request").size();
    CHECK_FALSE(world.ask(kBob, "dba"));
    world.pass(60);
    CHECK(world.host.nothing_held());
    world.questions.answer_all();
    CHECK(world.audit("request").size() == requests);
  }
  SECTION("there before") {
    world.host.before.insert({"bob", "www"});
    bob.groups.push_back("www");
    CHECK(world.asked(kBob, "auto").state == GrantState::active);
    CHECK(world.asked(kBob, "dba").state == GrantState::pending);
  }
}

TEST_CASE("P3: two grants for one group end apart, and what was there before stays", "[core][engine]") {
  World world;
  const Outcome first = world.asked(kAlice, "auto", kMinute);
  const Outcome both = world.asked(kAlice, "both", kMinute * 2);
  world.submitted(world.sign(world.review_of(both.id), {"carol", "erin"}));
  CHECK(world.host.given.size() == 2);
  world.pass(60);
  CHECK(world.state(first.id) == GrantState::ended);
  CHECK(world.state(both.id) == GrantState::active);
  CHECK(world.host.member("alice", "www"));
  CHECK(world.inconsistency().empty());
  world.pass(60);
  CHECK(world.host.nothing_held());
}
