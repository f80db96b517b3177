// Later, longer, and no more than so much: scheduled starts, extensions, totals, and what waits too long.
#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

bool says(const std::string& text, const std::string& what) {
  INFO(text);
  return text.find(what) != std::string::npos;
}

WishInput later(const World& world, const std::string& role, Seconds in, Seconds duration = kHour) {
  return {role, duration, "maintenance", "", world.now() + in};
}

WishInput more(const std::string& id, Seconds duration = kHour * 2, const std::string& why = "not done yet") {
  return {"", duration, why, "", std::nullopt, id};
}

}  // namespace

TEST_CASE("a request with a start is approved ahead, and given when that comes", "[core][engine][start]") {
  World world;
  const Outcome filed = world.wished(kAlice, later(world, "dba", kHour * 40));
  CHECK(filed.state == GrantState::pending);
  CHECK(world.record(filed.id).expires == kStart + (40 + 24) * 3600);
  const Outcome approved = world.submitted(world.review(filed.id, "carol"));
  CHECK(approved.state == GrantState::pending);
  CHECK(says(approved.message, "approved; starts at 2027-01-17T00:00:00Z"));
  world.pass(39 * 3600);  // the review's own time, an hour, was past long ago
  CHECK(world.host.nothing_held());
  SECTION("a review that expired meanwhile does not count any more") {
    world.pass(3600);
    CHECK(world.state(filed.id) == GrantState::pending);
    CHECK(says(world.record(filed.id).why, "waiting for dba-leads"));
  }
  SECTION("one that lasts does, across a restart and a reboot") {
    Review review = world.review_of(filed.id);
    review.expires = world.now() + kHour * 20;
    world.submitted(world.sign(review, {"dave"}));
    const int how = GENERATE(0, 1, 2);
    if (how == 1) world.restart();
    if (how == 2) world.reboot(60'000);
    const std::int64_t left = kStart + 40 * 3600 - world.clock.at.wall_ms / 1000;
    world.pass(left - 1);
    CHECK(world.host.nothing_held());
    world.pass(1);
    CHECK(world.state(filed.id) == GrantState::active);
    CHECK(world.record(filed.id).not_after == kStart + 41 * 3600);
    CHECK(world.inconsistency().empty());
  }
}

TEST_CASE("a scheduled request is decided again with the facts of its start", "[core][engine][start]") {
  World world;
  const Outcome filed = world.wished(kAlice, later(world, "dba", kMinute * 30));
  world.submitted(world.review(filed.id, "carol"));
  SECTION("nobody is eligible by then") {
    world.questions.accounts["alice"].uid = 4000;
    world.pass(1800);
    CHECK(world.state(filed.id) == GrantState::refused);
  }
  SECTION("the approver is trusted no more") {
    world.distrust("carol@example.org");
    world.reload();
    world.pass(1800);
    CHECK(world.state(filed.id) == GrantState::pending);
  }
  SECTION("the policy gives something else by then") {
    world.facts.gids["postgres"] = 999;
    world.pass(1800);
    CHECK(world.state(filed.id) == GrantState::refused);
  }
  SECTION("revoked, released") {
    world.engine->release({kAlice, std::nullopt, 1}, filed.id, false, [](auto) {});
    world.pass(1800);
    CHECK(world.state(filed.id) == GrantState::refused);
  }
  CHECK(world.host.nothing_held());
}

TEST_CASE("a start is bounded and no clock brings it early", "[core][engine][start][clock]") {
  World world;
  CHECK(says(world.wish_refused(kAlice, later(world, "dba", Seconds(0))), "has passed"));
  CHECK(says(world.wish_refused(kAlice, later(world, "dba", -kHour)), "has passed"));
  CHECK(says(world.wish_refused(kAlice, later(world, "dba", std::chrono::days(14))), "more than 14d from now"));
  const Outcome last = world.wished(kAlice, later(world, "dba", std::chrono::days(14) - kHour));
  CHECK(world.record(last.id).expires == kStart + 14 * 86400);  // and nothing waits longer than that
  const Outcome filed = world.wished(kBob, later(world, "auto", kHour * 10));
  CHECK(says(filed.message, "starts at"));
  CHECK(world.wished(kBob, later(world, "auto", kHour * 10)).id == filed.id);  // the same words again
  world.clock.at.wall_ms += 10 * 3'600'000;
  world.engine->tick();
  CHECK(world.host.nothing_held());
  world.clock.at.wall_ms -= 10 * 3'600'000;
  world.pass(10 * 3600);
  CHECK(world.state(filed.id) == GrantState::active);
}

TEST_CASE("after a start the timers are set for what is still to begin", "[core][engine][start]") {
  World world;
  const Outcome filed = world.wished(kBob, later(world, "auto", kHour));
  world.stop();
  world.questions.late = true;
  world.start();
  world.woken = 0;
  world.questions.answer_all();
  CHECK(world.woken > 0);  // whoever keeps the timers asks when the next is due
  REQUIRE(world.engine->next_due());
  CHECK(world.engine->next_due()->wall_ms == (kStart + 3600) * 1000);
  CHECK(world.record(filed.id).why == filed.message);
}

TEST_CASE("a held role does not stand in for one that is to come", "[core][engine][start]") {
  World world;
  const Outcome now = world.asked(kBob, "auto", kHour);
  const Outcome then = world.wished(kBob, later(world, "auto", kHour * 5));
  CHECK(now.id != then.id);
  world.pass(5 * 3600);
  CHECK(world.state(now.id) == GrantState::ended);
  CHECK(world.state(then.id) == GrantState::active);
}

TEST_CASE("a review may name a later start and never an earlier one", "[core][engine][start]") {
  World world;
  const Outcome filed = world.wished(kAlice, later(world, "both", kMinute * 30));
  Review review = world.review_of(filed.id);
  SECTION("earlier: the request's own holds") {
    review.start = world.now();
    world.submitted(world.sign(review, {"carol"}));
    CHECK(world.submitted(world.review(filed.id, "erin")).state == GrantState::pending);
    world.pass(1799);
    CHECK(world.host.nothing_held());
    world.pass(1);
  }
  SECTION("later: the latest of them") {
    review.start = world.now() + kMinute * 40;
    world.submitted(world.sign(review, {"carol"}));
    review.start = world.now() + kMinute * 50;
    CHECK(says(world.submitted(world.sign(review, {"erin"})).message, "starts at 2027-01-15T08:50:00Z"));
    world.pass(2999);
    CHECK(world.host.nothing_held());
    world.pass(1);
  }
  SECTION("of somebody who approves nothing here: it says nothing") {
    review.start = world.now() + kMinute * 50;
    CHECK(says(world.refused(world.sign(review, {"alice"})), "does not count"));
    world.submitted(world.review(filed.id, "carol"));
    world.submitted(world.review(filed.id, "erin"));
    world.pass(1800);
  }
  CHECK(world.state(filed.id) == GrantState::active);
}

TEST_CASE("a pending request expires at its time, and reviews after it are refused", "[core][engine]") {
  World world;
  const Outcome filed = world.asked(kAlice, "dba");
  CHECK(world.record(filed.id).expires == kStart + 24 * 3600);
  world.pass(24 * 3600 - 1);
  CHECK(world.state(filed.id) == GrantState::pending);
  SECTION("in its last second it can be approved") {
    CHECK(world.submitted(world.review(filed.id, "carol")).state == GrantState::active);
  }
  SECTION("a second later it cannot, whether the time was noticed yet or not") {
    Review review = world.review_of(filed.id);
    review.expires = world.now() + kHour;
    world.clock.pass(1000);
    if (GENERATE(true, false)) world.engine->tick();
    CHECK_FALSE(world.refused(world.sign(review, {"carol"})).starts_with("accepted"));
    CHECK(world.host.nothing_held());
    world.engine->tick();
    CHECK(world.state(filed.id) == GrantState::refused);
    CHECK(says(world.record(filed.id).why, "in time"));
    world.restart();
    CHECK(says(world.refused(world.sign(review, {"carol"})), "is over"));
  }
}

TEST_CASE("P2: an extension follows without a gap, and what runs goes on under it", "[core][engine][extend]") {
  World world;
  const Outcome first = world.active(kAlice, "shell");
  world.engine->elevate({kAlice, 500, "sudo", "postgres", "", {}},
                        [](const Result<Engine::Elevated>& grant) { CHECK(grant); });
  world.pass(1800);
  const Outcome asked = world.wished(kAlice, more(first.id.substr(0, 6)));
  CHECK(asked.state == GrantState::pending);
  CHECK(world.record(asked.id).role == "shell");
  CHECK(world.state(first.id) == GrantState::active);
  const std::size_t takes =
      static_cast<std::size_t>(std::count(world.host.calls.begin(), world.host.calls.end(), "take"));
  const Outcome extended = world.submitted(world.review(asked.id, "carol"));
  REQUIRE(extended.state == GrantState::active);
  CHECK(world.state(first.id) == GrantState::ended);
  CHECK(world.record(first.id).why == "extended by " + asked.id);
  CHECK(static_cast<std::size_t>(std::count(world.host.calls.begin(), world.host.calls.end(), "take")) == takes);
  CHECK(world.inconsistency().empty());
  CHECK(world.host.given.size() == 1);
  CHECK(world.record(asked.id).not_after == kStart + 1800 + 7200);
  CHECK(world.host.given.at(first.id).began == kStart);  // what it may have left in files is of the first, too
  SECTION("past the end of the first, nothing ends; then all of it") {
    world.pass(1801);
    CHECK(world.host.running.contains(500));
    std::string grant;
    world.engine->elevate({kAlice, 501, "sudo", "postgres", "", {}},
                          [&](Result<Engine::Elevated> under) { grant = under->grant; });
    CHECK(grant == first.id);  // what the host knows it by
    world.pass(5400 - 2);
    CHECK(world.host.running.size() == 2);
    world.pass(1);
    CHECK(world.host.running.empty());
    CHECK(world.host.nothing_held());
    CHECK(says(world.record(asked.id).why, "2 processes ended with it"));
  }
  SECTION("across a restart and a reboot") {
    GENERATE(0, 1) == 0 ? world.restart() : world.reboot(1000);
    CHECK(world.state(asked.id) == GrantState::active);
    CHECK(world.state(first.id) == GrantState::ended);
    CHECK(world.inconsistency().empty());
    CHECK(world.host.given.at(first.id).began == kStart);
    world.pass(7201);
    CHECK(world.host.nothing_held());
  }
  SECTION("marked as ended on disk, by the dead-man: over") {
    world.host.disk.at(first.id).active = false;
    world.host.disk.at(first.id).reason = "expired";
    world.restart();
    CHECK(world.state(asked.id) == GrantState::ended);
    CHECK(world.host.nothing_held());
  }
  SECTION("and again") {
    const Outcome third = world.wished(kAlice, more(asked.id, kHour * 3));
    REQUIRE(world.submitted(world.review(third.id, "dave")).state == GrantState::active);
    CHECK(world.host.given.begin()->first == first.id);
    CHECK(world.host.given.at(first.id).began == kStart);
    // Who knows the first id ends what goes on under it.
    world.engine->release({kAlice, std::nullopt, 1}, first.id, false, [](const auto& done) { CHECK(done); });
    CHECK(world.host.nothing_held());
    CHECK(world.state(third.id) == GrantState::ended);
  }
  SECTION("a revocation of the first ends it") {
    Revocation revocation = world.revocation();
    revocation.requests = {world.record(first.id).digest};
    world.submitted(world.sign(revocation, {"carol"}));
    CHECK(world.host.nothing_held());
    CHECK(says(world.record(asked.id).why, "revoked by carol"));
  }
}

TEST_CASE("what cannot be extended", "[core][engine][extend]") {
  World world;
  const Outcome mine = world.active(kAlice, "dba");
  CHECK(says(world.wish_refused(kBob, more(mine.id)), "yours to extend"));  // absent and forbidden alike
  CHECK(says(world.wish_refused(kAlice, more("0123456789abcdef")), "yours to extend"));
  CHECK(says(world.wish_refused(kAlice, more(mine.id, kMinute)), "which is later"));
  CHECK(says(world.wish_refused(kAlice, more(mine.id, kHour * 5)), "at most 4h"));
  WishInput with_start = more(mine.id);
  with_start.start = world.now() + kHour;
  CHECK(says(world.wish_refused(kAlice, with_start), "gap"));
  const Outcome pending = world.asked(kAlice, "both");
  CHECK(says(world.wish_refused(kAlice, more(pending.id)), "not in force"));
  const Outcome extension = world.wished(kAlice, more(mine.id));
  CHECK(world.wished(kAlice, more(mine.id)).id == extension.id);
  SECTION("not approved before the end of what it extends") {
    world.pass(3600);
    CHECK(world.state(extension.id) == GrantState::refused);
    CHECK(says(world.record(extension.id).why, "has ended; ask anew"));
    CHECK(says(world.refused(world.review(extension.id, "carol")), "is over"));
    CHECK(says(world.wish_refused(kAlice, more(mine.id)), "yours to extend"));
  }
  SECTION("released meanwhile") {
    world.engine->release({kAlice, std::nullopt, 1}, mine.id, false, [](auto) {});
    CHECK(world.state(extension.id) == GrantState::refused);
  }
  SECTION("another extension came first") {
    const Outcome other = world.wished(kAlice, more(mine.id, kHour * 3, "other words"));
    REQUIRE(world.submitted(world.review(other.id, "carol")).state == GrantState::active);
    CHECK(world.state(extension.id) == GrantState::refused);
    CHECK(says(world.record(extension.id).why, "extended already"));
    CHECK(world.inconsistency().empty());
  }
  SECTION("a reviewer makes it shorter than what is there") {
    world.submitted(world.review(extension.id, "carol", true, kMinute));
    CHECK(world.state(extension.id) == GrantState::refused);
    CHECK(world.state(mine.id) == GrantState::active);
    CHECK(world.inconsistency().empty());
  }
  SECTION("its own review does not count") {
    CHECK(says(world.refused(world.review(extension.id, "alice")), "does not count"));
  }
  world.pass(5 * 3600);
  CHECK(world.host.nothing_held());
}

TEST_CASE("a chain of extensions has an end, and a grant for one session has none", "[core][engine][extend]") {
  World world;
  Outcome last = world.asked(kBob, "auto", kHour);
  for (int i = 0; i < 32; ++i) {
    world.pass(3);  // 30 requests a minute
    last = world.wished(kBob, more(last.id, kHour));
    REQUIRE(last.state == GrantState::active);
  }
  world.pass(1);
  CHECK(says(world.wish_refused(kBob, more(last.id, kHour)), "has been extended 32 times"));
  GrantDocument grant = world.grant_of("alice", "shell");
  grant.once = true;
  const Outcome once = world.submitted(world.sign(grant, {"carol"}));
  CHECK(says(world.wish_refused(kAlice, more(once.id)), "for one session"));
}

TEST_CASE("an extension takes over what was given, and nothing else", "[core][engine][extend]") {
  World world;
  const Outcome first = world.active(kAlice, "dba");
  world.facts.gids["postgres"] = 999;
  const Outcome extension = world.wished(kAlice, more(first.id));
  world.submitted(world.review(extension.id, "carol"));
  CHECK(world.state(extension.id) == GrantState::refused);
  CHECK(says(world.record(extension.id).why, "extends a grant of something else"));
  CHECK(world.state(first.id) == GrantState::active);
}

TEST_CASE("P2: an extension that fails leaves what it was to extend, with its own end", "[core][engine][extend]") {
  World world;
  const Outcome first = world.active(kAlice, "shell");
  const Outcome extension = world.wished(kAlice, more(first.id));
  const std::string how = GENERATE(as<std::string>{}, "prepare", "give", "publish", "readback");
  if (how == "readback")
    world.questions.readback_says = false;
  else
    world.host.fail(how, Errc::system, how == "give" ? 2 : 1);  // what is put back fails, too: another round does it
  world.submit(world.review(extension.id, "carol"));
  INFO(how);
  const auto rounds = std::count(world.host.calls.begin(), world.host.calls.end(), "reconcile");
  world.pass(1);
  CHECK((std::count(world.host.calls.begin(), world.host.calls.end(), "reconcile") > rounds) == (how == "give"));
  CHECK(world.state(extension.id) == GrantState::refused);
  CHECK(world.state(first.id) == GrantState::active);
  world.engine->tick();
  CHECK(world.inconsistency().empty());
  CHECK(world.host.disk.at(first.id).not_after == world.record(first.id).not_after);
  world.pass(3600);
  CHECK(world.host.nothing_held());
  CHECK(world.state(first.id) == GrantState::ended);
}

TEST_CASE("of two extensions that are approved at once one follows, and the other takes nothing away",
          "[core][engine][extend]") {
  World world;
  const Outcome shell = world.active(kAlice, "shell");
  const Outcome first = world.wished(kAlice, more(shell.id, kHour * 2));
  const Outcome second = world.wished(kAlice, more(shell.id, kHour * 3, "other words"));
  const bool across_start = GENERATE(false, true);
  world.questions.late = true;
  world.submit(world.review(first.id, "carol"));
  world.submit(world.review(second.id, "carol"));
  if (across_start) {
    world.restart();
    CHECK(world.host.board.empty());
  }
  world.questions.answer_all();
  world.questions.late = false;
  CHECK(world.host.given.contains(shell.id));
  world.pass(10);
  const bool first_won = world.state(first.id) == GrantState::active;
  CHECK(world.state(first_won ? second.id : first.id) == GrantState::refused);
  CHECK(world.state(first_won ? first.id : second.id) == GrantState::active);
  CHECK(world.state(shell.id) == GrantState::ended);
  CHECK(world.host.given.contains(shell.id));
  CHECK(world.inconsistency().empty());
  world.audit();
}

TEST_CASE("limits.total bounds what a rule gives by itself in 24 hours", "[core][engine][total]") {
  World world;
  world.policy_text += R"toml(
[roles.bounded]
eligible = ["alice", "bob"]
groups = ["backup"]
[[roles.bounded.rules]]
then = "approve"
limits = { duration = "2h", total = "3h" }
[roles.then-ask]
eligible = ["alice"]
groups = ["www"]
[[roles.then-ask.rules]]
then = "approve"
limits = { total = "1h" }
[[roles.then-ask.rules]]
then = "review"
approvals = [ { by = "dba-leads", count = 1 } ]
)toml";
  world.reload();
  const Outcome two = world.asked(kAlice, "bounded", kHour * 2);
  REQUIRE(two.state == GrantState::active);
  SECTION("held in full: an hour is left") {
    world.pass(7200);
    CHECK(says(world.request_refused(kAlice, "bounded", kHour * 2), "of which 1h is left"));
    CHECK(world.asked(kAlice, "bounded", kHour).state == GrantState::active);
    world.pass(3600);
    CHECK(says(world.request_refused(kAlice, "bounded", kMinute), "nothing is left"));
    CHECK(world.asked(kBob, "bounded", kHour * 2).state == GrantState::active);  // each user for themselves
    SECTION("also after a restart") {
      world.restart();
      CHECK(says(world.request_refused(kAlice, "bounded", kMinute), "nothing is left"));
    }
    SECTION("a clock that jumps ahead a day gives nothing back") {
      world.clock.at.wall_ms += 25 * 3'600'000;
      world.engine->tick();
      CHECK(says(world.request_refused(kAlice, "bounded", kMinute), "nothing is left"));
    }
    SECTION("24 hours after the first it comes back") {
      world.pass(21 * 3600 + 1800);
      CHECK(says(world.request_refused(kAlice, "bounded", kHour), "of which 30m is left"));
      CHECK(world.asked(kAlice, "bounded", kMinute * 30).state == GrantState::active);
    }
    SECTION("a start is bounded by the day before it") {
      const Outcome tomorrow = world.wished(kAlice, later(world, "bounded", kHour * 24, kHour * 2));
      world.pass(24 * 3600);
      CHECK(world.state(tomorrow.id) == GrantState::active);
    }
  }
  SECTION("given back early: what was held counts") {
    world.pass(600);
    world.engine->release({kAlice, std::nullopt, 1}, two.id, false, [](auto) {});
    CHECK(says(world.request_refused(kAlice, "bounded", kHour * 3), "at most 2h"));
    CHECK(world.asked(kAlice, "bounded", kHour * 2).state == GrantState::active);
  }
  SECTION("an extension counts what it adds") {
    world.pass(3600);
    CHECK(says(world.wish_refused(kAlice, more(two.id, kHour * 2 + kMinute)), "at most 2h"));
    const Outcome extended = world.wished(kAlice, more(two.id, kHour * 2));
    CHECK(extended.state == GrantState::active);
    world.pass(3600);
    CHECK(says(world.wish_refused(kAlice, more(extended.id, kHour * 2)), "of which 1h is left"));
  }
  SECTION("in force it is not judged by it again") {
    world.pass(3600);
    world.reload();
    world.restart();
    CHECK(world.state(two.id) == GrantState::active);
  }
  SECTION("what the database does not say is too much") {
    world.pass(7200);
    world.silent_store = true;
    CHECK(says(world.request_refused(kAlice, "bounded", kMinute), "not known now"));
  }
  SECTION("past it the next rule decides") {
    CHECK(world.asked(kAlice, "then-ask", kHour).state == GrantState::active);
    world.pass(3600);
    const Outcome asked = world.asked(kAlice, "then-ask", kHour);
    CHECK(says(asked.message, "waiting for dba-leads"));
    // What somebody approved is not what the rule gave by itself.
    CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::active);
  }
}
