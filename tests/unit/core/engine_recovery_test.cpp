// P4: killed at any call that leaves the engine, before or after it, the next start makes the host right.
#include <algorithm>

#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

// Runs `journey` with the power cut at its n-th call, for each n until it runs through, and hands the world after the
// next start to `check`.
template <class Setup, class Journey, class Check>
void kill_everywhere(Setup setup, Journey journey, Check check) {
  for (const bool before : {true, false}) {
    bool whole = false;
    std::size_t call = 1;
    for (; !whole; ++call) {
      REQUIRE(call < 200);
      World world;
      const auto made = setup(world);
      world.plug.arm(call, before);
      try {
        journey(world, made);
        whole = world.plug.armed();
      } catch (const PowerLoss&) {
      }
      world.plug.disarm();
      INFO("killed " << (before ? "before" : "after") << " call " << call);
      world.restart();
      const std::string wrong = world.inconsistency();
      CHECK(wrong.empty());
      check(world, made);
      world.audit();  // the chain is whole
      // Everything ends all the same.
      world.pass(5 * 3600);
      CHECK(world.host.nothing_held());
      // And a start after that, too.
      world.restart();
      CHECK(world.host.nothing_held());
    }
    CHECK(call > 4);  // there was something to kill
  }
}

}  // namespace

TEST_CASE("P4: killed anywhere in an activation", "[core][engine]") {
  const std::string role = GENERATE(as<std::string>{}, "dba", "shell");
  kill_everywhere([&](World& world) { return world.asked(kAlice, role); },
                  [](World& world, const Outcome& asked) { world.submit(world.review(asked.id, "carol")); },
                  [&](World& world, const Outcome& asked) {
                    // The review was either kept, and the grant stands, or it was not, and the request waits.
                    const GrantState state = world.state(asked.id);
                    CHECK((state == GrantState::active || state == GrantState::pending));
                    if (state == GrantState::pending) {
                      CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::active);
                    }
                  });
}

TEST_CASE("P4: killed anywhere in an end", "[core][engine]") {
  kill_everywhere(
      [](World& world) { return world.active(kAlice, "dba"); },
      [](World& world, const Outcome& granted) {
        world.engine->release({kAlice, std::nullopt, 1}, granted.id, false, [](auto) {});
      },
      [](World& world, const Outcome& granted) {
        // Ended, or as if the release had never been asked for.
        CHECK((world.state(granted.id) == GrantState::ended || world.state(granted.id) == GrantState::active));
        if (world.host.disk.empty()) CHECK(world.host.nothing_held());
      });
}

TEST_CASE("P4: killed anywhere in an extension, the grant goes on as one or as the other", "[core][engine][extend]") {
  const std::string role = GENERATE(as<std::string>{}, "dba", "shell");
  kill_everywhere(
      [&](World& world) {
        const Outcome first = world.active(kAlice, role);
        const Outcome more = world.wished(kAlice, {"", kHour * 3, "more", "", std::nullopt, first.id});
        return std::pair(first, more);
      },
      [](World& world, const auto& made) { world.submit(world.review(made.second.id, "carol")); },
      [](World& world, const auto& made) {
        world.pass(6);  // what waits for the other to be back looks again
        const bool first = world.state(made.first.id) == GrantState::active;
        const bool second = world.state(made.second.id) == GrantState::active;
        CHECK(first != second);
        CHECK(world.host.given.size() == 1);
        CHECK(world.host.given.begin()->first == made.first.id);
        CHECK(world.inconsistency().empty());
        if (first) {
          CHECK(world.state(made.second.id) == GrantState::pending);
          CHECK(world.submitted(world.review(made.second.id, "dave")).state == GrantState::active);
          CHECK(world.state(made.first.id) == GrantState::ended);
        }
      });
}

TEST_CASE("P4: an end that was marked on disk stays one", "[core][engine]") {
  World world;
  const Outcome granted = world.active(kAlice, "dba");
  // jitd --expire, or an end of which the database never heard.
  world.host.disk[granted.id].active = false;
  world.host.disk[granted.id].reason = "revoked";
  world.restart();
  CHECK(world.host.nothing_held());
  CHECK(world.state(granted.id) == GrantState::ended);
  CHECK(world.record(granted.id).why.find("revoked") != std::string::npos);
}

TEST_CASE("P4: a grant in the database of which the disk knows nothing is not revived", "[core][engine]") {
  World world;
  const Outcome granted = world.active(kAlice, "dba");
  world.host.disk.clear();
  world.restart();
  CHECK(world.host.nothing_held());
  CHECK(world.state(granted.id) == GrantState::ended);
}

TEST_CASE("P4: killed anywhere in a start, the next one makes it right", "[core][engine]") {
  for (const bool before : {true, false}) {
    for (std::size_t call = 1; call < 40; ++call) {
      World world;
      const Outcome active = world.active(kAlice, "shell");
      const Outcome other = world.asked(kBob, "auto");
      world.stop();
      world.plug.arm(call, before);
      try {
        world.start();
      } catch (const PowerLoss&) {
      }
      const bool through = world.plug.armed();
      world.plug.disarm();
      world.restart();
      INFO("killed " << (before ? "before" : "after") << " call " << call);
      CHECK(world.inconsistency().empty());
      CHECK(world.state(active.id) == GrantState::active);
      CHECK(world.state(other.id) == GrantState::active);
      world.pass(2 * 3600);
      CHECK(world.host.nothing_held());
      if (through) break;
    }
  }
}

TEST_CASE("P4: what waits goes on waiting across a restart", "[core][engine]") {
  World world;
  const Outcome both = world.asked(kAlice, "both");
  world.submitted(world.review(both.id, "carol"));
  world.restart();
  CHECK(world.state(both.id) == GrantState::pending);
  CHECK(world.submitted(world.review(both.id, "erin")).state == GrantState::active);
}

TEST_CASE("P4: recovery decides again: locks, revocations, people and policy of now", "[core][engine]") {
  World world;
  const Outcome granted = world.active(kAlice, "dba");
  SECTION("the user was renumbered while we were down") {
    world.questions.accounts["alice"].uid = 4000;
  }
  SECTION("the group was renumbered") {
    world.facts.gids["postgres"] = 4000;
  }
  SECTION("the approver was removed") {
    world.distrust("carol@example.org");
  }
  SECTION("name services are silent: nothing is held until they answer") {
    world.questions.silent = true;
    world.restart();
    CHECK(world.host.nothing_held());
    world.questions.silent = false;
    world.pass(5);
    CHECK(world.state(granted.id) == GrantState::active);
    CHECK(world.inconsistency().empty());
    return;
  }
  world.restart();
  CHECK(world.host.nothing_held());
  CHECK(world.state(granted.id) == GrantState::ended);
}

TEST_CASE("P1, P2, P4: a grant that is not decided again gets nothing, whatever else is tried again",
          "[core][engine]") {
  World world;
  const Outcome granted = world.active(kAlice, "dba");
  world.stop();
  world.distrust("carol@example.org");
  world.questions.silent = true;
  world.host.fail("reconcile", Errc::system, 1);  // the start could not take all away: it is tried again
  world.start();
  const std::map<std::string, EndRecord> disk = world.host.disk;
  world.pass(3);
  CHECK(world.host.nothing_held());
  CHECK(world.host.disk == disk);  // nor is its end moved
  world.questions.silent = false;
  world.pass(5);
  CHECK(world.state(granted.id) == GrantState::ended);
  CHECK(world.host.nothing_held());
}

TEST_CASE("P4: where one grant ended while jitd was down, no other is on the board before it is decided again",
          "[core][engine]") {
  World world;
  world.asked(kBob, "auto", Seconds(60));
  const Outcome granted = world.active(kAlice, "dba");
  world.stop();
  world.clock.pass(120'000);
  world.distrust("carol@example.org");
  world.questions.silent = true;
  world.start();
  CHECK(world.host.nothing_held());
  world.questions.silent = false;
  world.pass(5);
  CHECK(world.state(granted.id) == GrantState::ended);
  CHECK(world.host.nothing_held());
}

TEST_CASE("P9: what was in force before the database took it is told as ended, not as refused", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "shell");
  world.questions.late = true;
  world.submit(world.review(asked.id, "carol"));
  while (!world.host.given.contains(asked.id)) {
    REQUIRE_FALSE(world.questions.waiting.empty());
    const auto next = std::move(world.questions.waiting.front());
    world.questions.waiting.pop_front();
    next();
  }
  world.full_disk = true;
  world.questions.answer_all();
  REQUIRE(world.host.board.contains(asked.id));
  world.stop();
  world.full_disk = false;
  world.questions.late = false;
  world.clock.pass(5 * 3600 * 1000);
  world.start();
  CHECK(world.state(asked.id) == GrantState::ended);
  CHECK(world.host.nothing_held());
}

TEST_CASE("many grants that come back after a start share one board, one record and one rewrite", "[core][engine]") {
  World world;
  for (std::uint32_t i = 0; i < 50; ++i) {
    const std::string name = "u" + std::to_string(i);
    world.questions.accounts[name] = {name, 3000 + i, 100, {"users", "dba"}};
    world.active(3000 + i, "dba");
  }
  const auto calls = [&](const std::string& name) {
    return std::count(world.host.calls.begin(), world.host.calls.end(), name);
  };
  world.questions.late = true;
  world.stop();
  world.host.calls.clear();
  world.host.given.clear();
  world.start();
  CHECK(world.host.board.empty());
  CHECK(world.questions.waiting.size() <= 16);  // others' questions get through
  SECTION("all answered") {
    world.questions.answer_all();
    CHECK(world.host.board.size() == 50);
    CHECK(world.inconsistency().empty());
    CHECK(calls("publish") == 2);  // none at the start, then all
    CHECK(calls("prepare") == 1);
    CHECK(calls("give") == 1);
  }
  SECTION("one never is: the others do not wait for it") {
    world.questions.waiting.pop_front();
    world.questions.answer_all();
    CHECK(world.host.board.empty());
    world.clock.pass(20);
    world.engine->tick();
    CHECK(world.host.board.size() == 49);
    CHECK(calls("publish") == 2);
  }
  SECTION("one cannot be given: the others are") {
    world.host.cannot_be_given = "u7";
    world.questions.answer_all();
    CHECK(world.host.board.size() == 49);
    CHECK(world.inconsistency().empty());
  }
  SECTION("a lock that others hold is waited for") {
    world.host.fail("prepare", Errc::busy, 3);
    world.questions.answer_all();
    CHECK(world.host.nothing_held());
    world.questions.late = false;
    world.pass(1);
    CHECK(world.host.board.size() == 50);
    CHECK(calls("give") == 1);
  }
  SECTION("those that are not granted any more end together") {
    for (std::uint32_t i = 0; i < 25; ++i) world.questions.accounts.erase("u" + std::to_string(i));
    world.questions.answer_all();
    CHECK(world.host.board.size() == 25);
    CHECK(calls("take") == 1);
    CHECK(world.inconsistency().empty());
  }
  SECTION("one that is locked while it is asked about stays locked, and holds nobody up") {
    Lock lock = world.lock();
    lock.users = {"u0", "u49"};
    world.submitted(world.sign(lock, {"erin"}));
    world.questions.answer_all();
    world.questions.late = false;
    world.pass(1);
    CHECK(world.host.board.size() == 48);
    CHECK_FALSE(world.host.member("u0", "postgres"));
    CHECK_FALSE(world.host.member("u49", "postgres"));
    CHECK(world.inconsistency().empty());
  }
}

TEST_CASE("of many drop-ins that come back only so many are asked about at once", "[core][engine]") {
  World world;
  world.policy_text += R"(
[roles.many]
eligible = ["@users"]
opens = ["sudo"]
dangerous = true
[[roles.many.sudo]]
as = "postgres"
commands = ["/usr/bin/psql"]
[[roles.many.rules]]
then = "approve"
)";
  world.reload();
  constexpr std::size_t kMany = 100, kAtOnce = 32;
  for (std::uint32_t i = 0; i < kMany; ++i) {
    const std::string name = "u" + std::to_string(i);
    world.questions.accounts[name] = {name, 3000 + i, 100, {"users"}};
    REQUIRE(world.asked(3000 + i, "many").state == GrantState::active);
  }
  world.stop();
  world.host.given.clear();
  world.questions.late = true;
  world.start();
  const auto answer = [&] {
    if (world.questions.waiting.empty()) return;
    const auto next = std::move(world.questions.waiting.front());
    world.questions.waiting.pop_front();
    next();
  };
  while (world.host.given.empty()) answer();  // who they are
  std::size_t most = 0;
  for (int i = 0; i < 2000 && world.host.board.size() < kMany; ++i) {
    world.clock.pass(10), world.engine->tick();
    most = std::max(most, world.host.given.size() - world.host.board.size());
    world.questions.readback_says =
        i > 50 && i < 60 ? Result<bool>(jit::fail(Errc::busy, "too many questions")) : Result<bool>(true);
    if (i % 3 == 0) answer();
  }
  CHECK(most == kAtOnce);
  CHECK(world.host.board.size() == kMany);
  CHECK(world.inconsistency().empty());
}

TEST_CASE("grants that ended while jitd was down end together", "[core][engine]") {
  World world;
  for (std::uint32_t i = 0; i < 20; ++i) {
    const std::string name = "u" + std::to_string(i);
    world.questions.accounts[name] = {name, 3000 + i, 100, {"users", "dba"}};
    world.active(3000 + i, "dba");
  }
  world.stop();
  for (auto& [grant, record] : world.host.disk) record.active = false, record.reason = "expired";
  world.host.calls.clear();
  world.start();
  CHECK(world.host.nothing_held());
  CHECK(std::count(world.host.calls.begin(), world.host.calls.end(), "take") == 1);
}
