// A grant for one session (`once`), beside grants that serve as many as their user opens.
#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

std::string elevated(World& world, std::int32_t pid, const std::string& target = "postgres") {
  std::string said = "no answer";
  world.engine->elevate({kAlice, pid, "sudo", target, "", {}}, [&](Result<Engine::Elevated> under) {
    said = !under ? "refused: " + under.error().message : under->grant.empty() ? "none" : under->grant;
  });
  return said;
}

bool let_in(World& world, const std::string& grant, std::int32_t pid) {
  bool in = false;
  world.engine->let_in(grant, pid, [&](const Result<std::string>& id) { in = id.has_value(); });
  return in;
}

struct Once {
  Once() {
    GrantDocument grant = world.grant_of("alice", "shell");
    grant.once = true;
    id = world.submitted(world.sign(grant, {"carol"})).id;
    REQUIRE(world.state(id) == GrantState::active);
    world.host.processes = {{500, 0}, {501, 0}, {600, 600}, {601, 600}, {602, 0}};
  }
  World world;
  std::string id;
};

}  // namespace

TEST_CASE("one grant serves three sessions and ends all of them", "[core][engine][once]") {
  World world;
  const Outcome granted = world.active(kAlice, "shell");
  for (const std::int32_t pid : {500, 501, 502}) CHECK(elevated(world, pid) == granted.id);
  world.pass(3600);
  CHECK(world.host.running.empty());
}

TEST_CASE("a grant for one session takes the first, refuses the second, and ends with the first",
          "[core][engine][once]") {
  Once one;
  World& world = one.world;
  CHECK(world.host.board.at(one.id).once);  // without jitd nobody could tell
  CHECK(elevated(world, 500) == one.id);
  CHECK(elevated(world, 501).find("has begun already") != std::string::npos);
  CHECK_FALSE(let_in(world, one.id, 602));
  CHECK(world.host.running.size() == 1);
  SECTION("it says that it closes, and is gone a moment later") {
    world.engine->let_out(500);
    CHECK(world.state(one.id) == GrantState::active);
    world.host.processes.erase(500);
    world.pass(1);
    CHECK(world.state(one.id) == GrantState::ended);
    CHECK(world.host.nothing_held());
  }
  SECTION("it is killed and says nothing") {
    world.host.processes.erase(500);
    world.pass(2);
    CHECK(world.state(one.id) == GrantState::ended);
  }
  SECTION("it says so and stays") {
    world.engine->let_out(500);
    world.pass(3);
    CHECK(world.state(one.id) == GrantState::ended);
    CHECK(world.host.running.empty());
  }
  SECTION("somebody else's session closes") {
    world.engine->let_out(50);
    world.pass(3);
    CHECK(world.state(one.id) == GrantState::active);
  }
  SECTION("a restart forgets nothing") {
    world.restart();
    CHECK(world.state(one.id) == GrantState::active);
    CHECK(elevated(world, 501).find("has begun already") != std::string::npos);
    world.host.processes.erase(500);
    world.pass(2);
    CHECK(world.state(one.id) == GrantState::ended);
  }
  SECTION("a reboot ends it") {
    world.reboot(1000);
    CHECK(world.state(one.id) == GrantState::ended);
    CHECK(world.host.nothing_held());
  }
  SECTION("it is not extended, and not handed in again") {
    CHECK(world.wish_refused(kAlice, {"", kHour * 2, "more", "", std::nullopt, one.id}).find("one session") !=
          std::string::npos);
  }
}

TEST_CASE("what runs in the login that a grant for one session let in is that session", "[core][engine][once]") {
  Once one;
  World& world = one.world;
  CHECK(let_in(world, one.id, 600));
  CHECK(elevated(world, 601) == one.id);  // sudo in that login
  CHECK(elevated(world, 500).find("has begun already") != std::string::npos);
  CHECK_FALSE(let_in(world, one.id, 602));
  world.host.processes.erase(601);
  world.pass(5);
  CHECK(world.state(one.id) == GrantState::active);
  world.engine->let_out(600);
  world.host.processes.erase(600);
  world.pass(1);
  CHECK(world.state(one.id) == GrantState::ended);
}

TEST_CASE("an ordinary grant is used before one for a single session", "[core][engine][once]") {
  Once one;
  World& world = one.world;
  const Outcome other = world.submitted(world.sign(world.grant_of("alice", "shell"), {"dave"}));
  REQUIRE(world.state(other.id) == GrantState::active);
  CHECK(elevated(world, 500) == other.id);
  CHECK(world.record(one.id).session.empty());
}

TEST_CASE("a session that cannot be written down does not begin", "[core][engine][once]") {
  Once one;
  one.world.full_disk = true;
  CHECK(elevated(one.world, 500).starts_with("refused"));
  one.world.full_disk = false;
  CHECK(elevated(one.world, 500) == one.id);
  CHECK(elevated(one.world, 501).starts_with("refused"));
}

TEST_CASE("a process that is gone binds nothing", "[core][engine][once]") {
  Once one;
  CHECK(elevated(one.world, 77).starts_with("refused"));
  CHECK(elevated(one.world, 500) == one.id);
}
