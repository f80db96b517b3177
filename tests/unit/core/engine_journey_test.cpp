// The main journey: asked for, approved, given, ended.
#include "policy/document/envelope.hpp"
#include "policy/document/verify.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

TEST_CASE("a request waits for an approver, is given, and ends on time", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba", kMinute);
  CHECK(asked.state == GrantState::pending);
  CHECK(asked.message == "waiting for dba-leads: 1 of carol, dave");
  CHECK(world.host.given.empty());

  const Outcome granted = world.submitted(world.review(asked.id, "carol"));
  CHECK(granted.state == GrantState::active);
  CHECK(granted.id == asked.id);
  CHECK(granted.message == "active until 2027-01-15T08:01:00Z");
  CHECK(world.host.member("alice", "postgres"));
  CHECK(world.host.board.contains(asked.id));
  CHECK(world.inconsistency().empty());
  const GrantRecord record = world.record(asked.id);
  CHECK(record.not_after == kStart + 60);
  CHECK(record.boot_deadline_ms == 1'060'000);
  CHECK(record.consents == std::vector<PersonRef>{{"carol", true}});

  world.clock.pass(59'999);
  world.engine->tick();
  CHECK(world.host.member("alice", "postgres"));
  world.clock.pass(1);
  world.engine->tick();
  CHECK(world.host.nothing_held());
  CHECK(world.state(asked.id) == GrantState::ended);
  CHECK(world.record(asked.id).why == "expired");
}

TEST_CASE("what the host signs is what an approver can verify and read", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba");
  std::string text;
  world.engine->document({kCarol, std::nullopt, 1}, asked.id, [&](Result<std::string> got) { text = *got; });
  Result<Envelope> envelope = parse_envelope(text);
  REQUIRE(envelope);
  Result<Verified> verified = verify_document(std::move(*envelope), world.view()->trust, "test");
  REQUIRE(verified);
  const Request& request = std::get<Request>(verified->document);
  CHECK(request.host == "db1");
  CHECK(request.user == "alice");
  CHECK(request.uid == kAlice);
  CHECK(request.requesters == std::vector<PersonRef>{{"alice", false}});
  CHECK(request.duration == kHour);
  CHECK(request.effects == "group postgres gid 120\n");
  CHECK(request.expires == request.created + std::chrono::hours(24));
  CHECK(id_of(verified->digest) == asked.id);
}

TEST_CASE("a rule that approves by itself gives at once", "[core][engine]") {
  World world;
  const Outcome granted = world.asked(kBob, "auto", kMinute);
  CHECK(granted.state == GrantState::active);
  CHECK(world.host.member("bob", "www"));
  CHECK(world.record(granted.id).consents.empty());
  world.pass(60);
  CHECK(world.host.nothing_held());
}

TEST_CASE("k of n out of several sets, by different people, in any order", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "both");
  CHECK(asked.message == "waiting for dba-leads: 1 of carol, dave and security: 1 of erin");
  const std::string first = GENERATE(as<std::string>{}, "carol", "dave", "erin");
  const Outcome half = world.submitted(world.review(asked.id, first));
  CHECK(half.state == GrantState::pending);
  CHECK(half.message ==
        (first == "erin" ? "waiting for dba-leads: 1 of carol, dave" : "waiting for security: 1 of erin"));
  CHECK(world.host.nothing_held());
  const Outcome whole = world.submitted(world.review(asked.id, first == "erin" ? "dave" : "erin"));
  CHECK(whole.state == GrantState::active);
  CHECK(world.host.member("alice", "www"));
  CHECK(world.record(asked.id).consents.size() == 2);
}

TEST_CASE("two signatures on one review count as two people", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "both");
  const Review review = world.review_of(asked.id);
  SECTION("in one file") {
    CHECK(world.submitted(world.sign(review, {"carol", "erin"})).state == GrantState::active);
  }
  SECTION("one after the other, merged") {
    CHECK(world.submitted(world.sign(review, {"carol"})).state == GrantState::pending);
    CHECK(world.submitted(world.sign(review, {"carol"})).state == GrantState::pending);
    CHECK(world.submitted(world.sign(review, {"erin"})).state == GrantState::active);
  }
}

TEST_CASE("reviews narrow, never widen, and the shortest holds", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "both", kHour);
  world.submitted(world.review(asked.id, "carol", true, kMinute * 90));
  world.submitted(world.review(asked.id, "dave", true, kMinute * 20));
  const Outcome granted = world.submitted(world.review(asked.id, "erin", true, kMinute * 30));
  CHECK(granted.state == GrantState::active);
  CHECK(world.record(asked.id).not_after == kStart + 20 * 60);
}

TEST_CASE("one denial by an approver of the role refuses at once", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "both");
  world.submitted(world.review(asked.id, "carol"));
  const Outcome denied = world.submitted(world.review(asked.id, "erin", false));
  CHECK(denied.state == GrantState::refused);
  CHECK(denied.message == "denied by erin");
  CHECK(world.refused(world.review(asked.id, "dave")).find("denied by erin") != std::string::npos);
  CHECK(world.host.nothing_held());
}

TEST_CASE("what is held or asked for already is not asked for again", "[core][engine]") {
  World world;
  const Outcome first = world.asked(kAlice, "dba");
  CHECK(world.asked(kAlice, "dba").id == first.id);
  CHECK(world.asked(kAlice, "dba", std::nullopt, "another reason").id != first.id);
  world.submitted(world.review(first.id, "carol"));
  const Outcome again = world.asked(kAlice, "dba", kMinute, "more");
  CHECK(again.id == first.id);
  CHECK(again.state == GrantState::active);
  CHECK(world.asked(kBob, "dba").id != first.id);
}

TEST_CASE("durations: the default, the limit that is named, never a silent cut", "[core][engine]") {
  World world;
  CHECK(world.record(world.asked(kAlice, "dba").id).duration == kHour);
  CHECK(world.request_refused(kAlice, "dba", kHour * 5) ==
        "this role is given for at most 4h here; ask for that or less");
  world.config.grant_ceiling = kHour * 2;
  world.reload();
  CHECK(world.request_refused(kAlice, "dba", kHour * 3) ==
        "this role is given for at most 2h here; ask for that or less");
  CHECK(world.host.nothing_held());
}

TEST_CASE("pending requests expire, and a review after that is refused", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba");
  Review review = world.review_of(asked.id);
  review.expires = world.now() + std::chrono::hours(48);
  world.pass(24 * 3600);
  CHECK(world.state(asked.id) == GrantState::refused);
  CHECK(world.refused(world.sign(review, {"carol"})).find("is over") != std::string::npos);
}

TEST_CASE("quotas per user: requests waiting, requests a minute", "[core][engine]") {
  World world;
  SECTION("waiting") {
    for (int i = 0; i < 10; ++i) world.asked(kAlice, "dba", std::nullopt, "reason " + std::to_string(i));
    CHECK(world.request_refused(kAlice, "dba").find("10 requests waiting") != std::string::npos);
    CHECK(world.asked(kBob, "dba").state == GrantState::pending);
  }
  SECTION("a minute") {
    for (int i = 0; i < 30; ++i) CHECK(world.request_refused(kAlice, "never") == "Call the duty manager.");
    CHECK(world.request_refused(kAlice, "never").find("in a minute") != std::string::npos);
    CHECK(world.request_refused(kBob, "never").find("in a minute") == std::string::npos);
    world.pass(60);
    CHECK(world.request_refused(kAlice, "never") == "Call the duty manager.");
  }
}

TEST_CASE("a release ends one's own grant or wish; root's is audited with the login behind it", "[core][engine]") {
  World world;
  const Outcome active = world.active(kAlice, "dba");
  const Outcome waiting = world.asked(kAlice, "both");
  std::optional<Result<std::vector<Outcome>>> got;
  const auto keep = [&](Result<std::vector<Outcome>> outcomes) { got = std::move(outcomes); };
  SECTION("by prefix") {
    world.engine->release({kAlice, std::nullopt, 1}, active.id.substr(0, 8), false, keep);
    REQUIRE((got && *got));
    CHECK((**got)[0].state == GrantState::ended);
    CHECK((**got)[0].message == "released by alice");
    CHECK(world.host.nothing_held());
    CHECK(world.state(waiting.id) == GrantState::pending);
  }
  SECTION("all") {
    world.engine->release({kAlice, std::nullopt, 1}, "", true, keep);
    REQUIRE((got && *got));
    CHECK((**got).size() == 2);
    CHECK(world.host.nothing_held());
  }
  SECTION("not another's, not even an approver's, and absent answers alike") {
    std::string forbidden, absent;
    for (const std::uint32_t uid : {kBob, kCarol}) {
      world.engine->release({uid, std::nullopt, 1}, active.id, false, keep);
      REQUIRE((got && !*got));
      forbidden = got->error().message;
      world.engine->release({uid, std::nullopt, 1}, "0000000000000000", false, keep);
      absent = got->error().message;
      CHECK(forbidden.substr(forbidden.find(active.id) + 16) == absent.substr(absent.find("0000000000000000") + 16));
    }
    CHECK(world.host.member("alice", "postgres"));
  }
  SECTION("root") {
    world.engine->release({0, kBob, 1}, active.id, false, keep);
    REQUIRE((got && *got));
    CHECK((**got)[0].message == "released by local root");
    const std::vector<ChainEntry> ends = world.audit("end");
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].fields.at("loginuid") == std::to_string(kBob));
  }
}

TEST_CASE("nobody grants anything to root, nobody or dynamic users", "[core][engine]") {
  World world;
  CHECK(world.request_refused(0, "dba") == "root needs no grant; ask as the user who shall have it");
  for (const std::uint32_t uid : {65534U, 0xffffffffU, 61184U, 65519U}) {
    CHECK_FALSE(world.request_refused(uid, "dba").empty());
  }
  CHECK_FALSE(world.request_refused(4242, "dba").empty());  // no such account
}
