// P2 and DESIGN's two clocks: the guard alone, then the engine under every way to set a clock.
#include "jitd/core/clock_guard.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

constexpr std::int64_t kT = kStart * 1000, kMin = 60'000, kHr = 60 * kMin, kYear = 365 * 24 * kHr;
constexpr const char* kBoot = "11111111-1111-1111-1111-111111111111";

struct Watched {
  Instant at{kT, 1000};
  ClockGuard guard{std::nullopt, at, kBoot, std::chrono::minutes(5)};
  void both(std::int64_t ms) { at.wall_ms += ms, at.boot_ms += static_cast<std::uint64_t>(ms), guard.observe(at); }
  void step(std::int64_t ms) { at.wall_ms += ms, guard.observe(at); }
};

}  // namespace

TEST_CASE("the mark follows the wall clock while both clocks agree", "[core][clock]") {
  Watched clock;
  clock.both(kHr);
  CHECK(clock.guard.mark_ms() == kT + kHr);
  clock.step(4 * kMin);  // within the tolerance
  CHECK(clock.guard.mark_ms() == kT + kHr + 4 * kMin);
  clock.step(-500);  // less than a second is not behind
  CHECK_FALSE(clock.guard.behind());
  CHECK(clock.guard.problem().empty());
}

TEST_CASE("small steps do not add up past the tolerance", "[core][clock]") {
  Watched clock;
  for (int i = 0; i < 100; ++i) clock.step(4 * kMin);
  CHECK(clock.guard.mark_ms() <= kT + 5 * kMin);
}

TEST_CASE("a clock set back is behind until it has caught up, or root says so", "[core][clock]") {
  Watched clock;
  clock.both(kHr);
  clock.step(-kHr);
  CHECK(clock.guard.behind());
  CHECK(clock.guard.mark_ms() == kT + kHr);
  CHECK_FALSE(clock.guard.problem().empty());
  SECTION("it catches up") {
    clock.both(kHr);
    CHECK_FALSE(clock.guard.behind());
  }
  SECTION("root accepts it") {
    clock.guard.accept(clock.at);
    CHECK_FALSE(clock.guard.behind());
    CHECK(clock.guard.mark_ms() == kT);
  }
}

TEST_CASE("one bad step to 2106 does not bar the host for ever", "[core][clock]") {
  Watched clock;
  clock.step(80 * kYear);
  CHECK(clock.guard.mark_ms() == kT);
  CHECK_FALSE(clock.guard.problem().empty());
  SECTION("taken back") {
    clock.both(kMin);
    clock.step(-80 * kYear);
    CHECK_FALSE(clock.guard.behind());
    CHECK(clock.guard.mark_ms() == kT + kMin);
  }
  SECTION("back and forth never adds up to an hour") {
    for (int i = 0; i < 10; ++i) {
      clock.both(50 * kMin);
      clock.step(-80 * kYear);
      clock.both(kMin);
      clock.step(80 * kYear);
    }
    CHECK(clock.guard.mark_ms() < kT + 10 * kHr);
  }
  SECTION("after an hour of agreement it is believed") {
    REQUIRE(clock.guard.agreement_at_boot_ms());
    CHECK(*clock.guard.agreement_at_boot_ms() == 1000 + kHr);
    clock.both(kHr - 1);
    CHECK(clock.guard.mark_ms() < kT + 2 * kHr);
    clock.both(1);
    CHECK(clock.guard.mark_ms() == kT + 80 * kYear + kHr);
    CHECK(clock.guard.problem().empty());
    clock.step(-80 * kYear);
    CHECK(clock.guard.behind());
  }
}

TEST_CASE("the mark on disk survives a restart and a reboot", "[core][clock]") {
  Watched clock;
  clock.both(kHr);
  const Result<ClockMark> read = parse_clock_mark(to_text(clock.guard.mark()));
  REQUIRE(read);
  CHECK(*read == clock.guard.mark());
  CHECK_FALSE(parse_clock_mark("12 x"));
  CHECK_FALSE(parse_clock_mark("1 b 2 3 -4"));
  SECTION("the same boot: the same anchor, so restarts do not let it creep") {
    Instant at = clock.at;
    std::optional<ClockMark> mark = *read;
    for (int i = 0; i < 10; ++i) {
      at.wall_ms += 4 * kMin;
      mark = ClockGuard(mark, at, kBoot, std::chrono::minutes(5)).mark();
    }
    CHECK(mark->wall_ms <= kT + kHr + 5 * kMin);
  }
  SECTION("another boot, set back") {
    CHECK(ClockGuard(*read, {kT, 500}, "other", std::chrono::minutes(5)).behind());
    CHECK(ClockGuard(*read, {0, 500}, "other", std::chrono::minutes(5)).behind());
  }
  SECTION("another boot, off for a day: nothing is wrong") {
    const ClockGuard guard(*read, {kT + 25 * kHr, 500}, "other", std::chrono::minutes(5));
    CHECK_FALSE(guard.behind());
    CHECK(guard.problem().empty());
  }
}

TEST_CASE("P2: what is in force ends at whichever clock comes first", "[core][engine][clock]") {
  World world;
  const Outcome granted = world.asked(kBob, "auto", kHour);
  SECTION("the wall clock jumps ahead: it ends") {
    world.clock.at.wall_ms += 3'600'000;
    world.engine->tick();
    CHECK(world.host.nothing_held());
    SECTION("and going back revives nothing") {
      world.clock.at.wall_ms -= 3'600'000;
      world.engine->tick();
      world.engine->reconcile();
      CHECK(world.host.nothing_held());
      world.restart();
      CHECK(world.host.nothing_held());
      CHECK(world.state(granted.id) == GrantState::ended);
    }
  }
  SECTION("the wall clock is set back: it ends by the other") {
    const std::int64_t back = GENERATE(1800, 86400, kStart);  // half an hour, a day, to 1970
    world.clock.at.wall_ms -= back * 1000;
    world.engine->tick();
    CHECK(world.host.member("bob", "www"));
    world.clock.pass(3'599'999);
    world.engine->tick();
    CHECK(world.host.member("bob", "www"));
    world.clock.pass(1);
    world.engine->tick();
    CHECK(world.host.nothing_held());
  }
  SECTION("set back, and the daemon restarted: not extended") {
    world.pass(1800);
    world.clock.at.wall_ms -= 86'400'000;
    world.restart();
    CHECK(world.host.member("bob", "www"));
    world.pass(1799);
    CHECK(world.host.member("bob", "www"));
    world.pass(1);
    CHECK(world.host.nothing_held());
  }
}

TEST_CASE("P2, P4: a grant across a reboot goes on for what remains of it, and no longer", "[core][engine][clock]") {
  World world;
  const Outcome granted = world.asked(kBob, "auto", kHour);
  world.pass(600);
  SECTION("for what remains") {
    world.reboot(60'000);
    CHECK(world.state(granted.id) == GrantState::active);
    CHECK(world.host.member("bob", "www"));
    CHECK(world.record(granted.id).not_after == kStart + 3600);
    world.pass(3600 - 600 - 60 - 1);
    CHECK(world.host.member("bob", "www"));
    world.pass(1);
    CHECK(world.host.nothing_held());
  }
  SECTION("off past its end") {
    world.reboot(3'000'000);
    CHECK(world.host.nothing_held());
    CHECK(world.state(granted.id) == GrantState::ended);
  }
  SECTION("off for a week: what waited is over too, and what is asked for anew is given") {
    const Outcome waits = world.asked(kAlice, "dba");
    REQUIRE(world.state(waits.id) == GrantState::pending);
    world.reboot(std::int64_t{7} * 24 * 3600 * 1000);
    CHECK(world.host.nothing_held());
    CHECK(world.state(granted.id) == GrantState::ended);
    CHECK(world.state(waits.id) == GrantState::refused);
    CHECK(world.engine->health().clock.empty());
    const Outcome again = world.asked(kBob, "auto", kHour);
    CHECK(world.state(again.id) == GrantState::active);
    world.pass(3600);
    CHECK(world.host.nothing_held());
  }
  SECTION("with the clock set back meanwhile: it does not go on, now or later") {
    world.reboot(-3'600'000);
    CHECK(world.host.nothing_held());
    CHECK(world.state(granted.id) == GrantState::ended);
    CHECK_FALSE(world.engine->health().clock.empty());
    world.clock.at.wall_ms += 3'600'000;
    world.restart();
    CHECK(world.host.nothing_held());
  }
  SECTION("many reboots: never more than there was") {
    for (int i = 0; i < 10; ++i) {
      world.pass(200);
      world.reboot(1000);
    }
    world.pass(1000);
    CHECK(world.host.nothing_held());
  }
}

TEST_CASE("a clock behind the mark grants nothing new and says so", "[core][engine][clock]") {
  World world;
  const Outcome waits = world.asked(kAlice, "dba");
  Review review = world.review_of(waits.id);
  review.created = world.now() - std::chrono::days(1);
  world.pass(60);
  world.clock.at.wall_ms -= 3'600'000;
  world.engine->tick();
  CHECK(world.engine->health().clock.find("behind") != std::string::npos);
  CHECK(world.request_refused(kBob, "auto").find("behind the latest time seen") != std::string::npos);
  const Outcome held = world.submitted(world.sign(review, {"carol"}));
  CHECK(held.state == GrantState::pending);
  CHECK(held.message.find("behind the latest time seen") != std::string::npos);
  CHECK(world.host.nothing_held());
  SECTION("until it is right again") {
    world.clock.at.wall_ms += 3'600'000;
    world.pass(6);
    CHECK(world.state(waits.id) == GrantState::active);
  }
  SECTION("or root takes it over, audited") {
    std::optional<Result<Outcome>> done;
    world.engine->accept_clock({0, kBob, 1}, [&](Result<Outcome> got) { done = std::move(got); });
    REQUIRE((done && *done));
    CHECK(world.state(waits.id) == GrantState::active);
    CHECK(world.audit("accept_clock").at(0).fields.at("loginuid") == std::to_string(kBob));
  }
}

TEST_CASE("P1: a clock that jumps ahead lifts no lock before its time", "[core][engine][clock]") {
  World world;
  Lock lock = world.lock();
  lock.users = {"alice"};
  lock.until = world.now() + kHour * 3;
  world.submitted(world.sign(lock, {"erin"}));
  const Outcome waits = world.asked(kBob, "dba");
  world.clock.at.wall_ms += 10 * kYear;
  world.engine->tick();
  CHECK(world.request_refused(kAlice, "auto").find("locked by erin") != std::string::npos);
  CHECK(world.host.nothing_held());
  SECTION("it holds as long as it would have, by the clock that only runs") {
    world.pass(3500);
    CHECK(world.request_refused(kAlice, "auto").find("locked by erin") != std::string::npos);
  }
  SECTION("the clock is right again: so is the lock's end") {
    world.clock.at.wall_ms -= 10 * kYear;
    world.pass(3 * 3600 - 1);
    CHECK(world.request_refused(kAlice, "auto").find("locked by erin") != std::string::npos);
    world.pass(2);
    CHECK(world.asked(kAlice, "auto").state == GrantState::active);
  }
  SECTION("the step is believed after an hour: then it is that late") {
    world.pass(3602);
    CHECK(world.asked(kAlice, "auto").state == GrantState::active);
  }
  SECTION("time goes on with the wall clock far ahead and back in between: nothing spins") {
    for (int i = 0; i < 200; ++i) {
      world.clock.pass(60'000);
      const std::int64_t step = i % 2 == 0 ? -10 * kYear : 10 * kYear;
      world.clock.at.wall_ms += step;
      world.engine->tick();
      const std::optional<Instant> due = world.engine->next_due();
      if (due) CHECK((due->wall_ms > world.clock.at.wall_ms && due->boot_ms > world.clock.at.boot_ms));
    }
    CHECK(world.asked(kAlice, "auto").state == GrantState::active);
  }
}

TEST_CASE("P1: a clock that jumps ahead makes no key valid and no grant start before its time",
          "[core][engine][clock]") {
  World world;
  SECTION("a key that is valid only later") {
    const Outcome asked = world.asked(kBob, "dba");
    world.distrust("dave");
    world.trust("dave", "dave", "valid-after=\"202701151000Z\"");
    world.reload();
    world.clock.at.wall_ms += 2 * kHr + kMin;
    CHECK(world.refused(world.review(asked.id, "dave")).find("not valid at this time") != std::string::npos);
    CHECK(world.host.nothing_held());
    world.clock.at.wall_ms -= 2 * kHr + kMin;
    world.pass(2 * 3600 - 1);
    CHECK(world.refused(world.review(asked.id, "dave")).find("not valid at this time") != std::string::npos);
    world.pass(1);
    CHECK(world.submitted(world.review(asked.id, "dave")).state == GrantState::active);
  }
  SECTION("a grant that starts later") {
    GrantDocument grant = world.grant_of("alice", "dba");
    grant.not_before = world.now() + kHour * 3;
    const Outcome waits = world.submitted(world.sign(grant, {"dave"}));
    CHECK(waits.state == GrantState::pending);
    world.clock.at.wall_ms += 4 * 3600 * 1000;
    world.engine->tick();
    CHECK(world.state(waits.id) == GrantState::pending);
    CHECK(world.host.nothing_held());
    world.clock.at.wall_ms -= 4 * 3600 * 1000;
    world.pass(3 * 3600);
    CHECK(world.state(waits.id) == GrantState::active);
  }
}

TEST_CASE("P7: a clock that says 2106 for a while makes nobody forget what refuses a replay",
          "[core][engine][clock]") {
  World world;
  const GrantDocument grant = world.grant_of("alice", "dba");
  const std::string text = world.sign(grant, {"dave"});
  world.submitted(text);
  world.engine->release({0, std::nullopt, 1}, "", true, [](auto) {});
  world.clock.at.wall_ms += 80 * kYear;
  world.engine->tick();
  CHECK(world.host.nothing_held());
  world.clock.at.boot_ms += 25 * 3600 * 1000;  // past the next time that old things are dropped
  world.engine->tick();
  world.clock.at.wall_ms -= 80 * kYear;
  world.engine->tick();
  world.restart();
  world.engine->tick();
  CHECK(world.refused(text).find("is over") != std::string::npos);
  CHECK(world.host.nothing_held());
}
