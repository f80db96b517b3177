// What fails on the way: the database, each effect, the answers that come late or not at all. Nothing is left behind.
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

TEST_CASE("P9: no durable record, no activation", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba");
  world.full_disk = true;
  SECTION("a review that cannot be kept does not count") {
    CHECK(says(world.refused(world.review(asked.id, "carol")), "does not count"));
    CHECK(world.state(asked.id) == GrantState::pending);
    world.full_disk = false;
    CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::active);
    CHECK(world.audit("activate").size() == 1);
    return;
  }
  SECTION("a request that cannot be kept does not stand") {
    CHECK(says(world.request_refused(kBob, "auto"), "could not be stored"));
  }
  SECTION("a direct grant that cannot be kept does not stand") {
    CHECK(says(world.refused(world.sign(world.grant_of("alice", "dba"), {"dave"})), "could not be stored"));
  }
  CHECK(world.host.nothing_held());
  CHECK(world.host.calls.size() == 2);  // the reconcile and publish of the start
  CHECK(world.engine->health().warnings.size() == 1);
  world.full_disk = false;
  world.pass(2);
  CHECK(world.engine->health().warnings.empty());
  world.audit();  // whole
}

TEST_CASE("P9: the disk fills between the review and the activation: it waits for the record", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba");
  world.questions.late = true;
  CHECK_FALSE(world.submit(world.review(asked.id, "carol")));
  world.full_disk = true;
  world.questions.answer_all();
  CHECK(world.state(asked.id) == GrantState::pending);
  CHECK(says(world.record(asked.id).why, "no durable record"));
  CHECK(world.host.nothing_held());
  CHECK(world.host.disk.empty());
  world.questions.late = false;
  world.pass(20);
  CHECK(world.host.nothing_held());
  world.full_disk = false;
  world.pass(6);
  CHECK(world.state(asked.id) == GrantState::active);
  CHECK(world.audit("activate").size() == 1);
}

TEST_CASE("P6, P9: ends, denials, revocations and locks never wait for the database", "[core][engine]") {
  World world;
  const Outcome alice = world.active(kAlice, "dba");
  const Outcome waits = world.asked(kBob, "dba");
  world.full_disk = true;
  const std::string how = GENERATE(as<std::string>{}, "time", "release", "revocation", "lock", "denial");
  const bool killed = GENERATE(false, true);
  INFO(how << (killed ? ", then killed" : ""));
  if (how == "release") {
    world.engine->release({kAlice, std::nullopt, 1}, "", true, [](auto) {});
  } else if (how == "revocation") {
    Revocation revocation = world.revocation();
    revocation.all = true;
    CHECK(world.submitted(world.sign(revocation, {"erin"})).message.starts_with("ended 2 grants and requests"));
  } else if (how == "lock") {
    Lock lock = world.lock();
    lock.users = {"alice"};
    world.submitted(world.sign(lock, {"erin"}));
    CHECK(says(world.request_refused(kAlice, "dba"), "locked by erin"));
  } else {
    if (how == "denial") CHECK(world.submitted(world.review(waits.id, "carol", false)).state == GrantState::refused);
    world.pass(3600);
  }
  CHECK(world.host.nothing_held());
  CHECK(world.state(alice.id) == GrantState::ended);
  CHECK(world.host.disk.contains(alice.id));  // kept until the database knows
  if (killed) {
    // P4: nothing that ended comes back, although the database never heard of its end.
    world.stop();
    world.full_disk = false;
    world.start();
    CHECK(world.host.nothing_held());
    CHECK(world.state(alice.id) == GrantState::ended);
    return;
  }
  world.full_disk = false;
  world.pass(2);
  CHECK(world.audit("gap").size() == 1);  // the chain says that it was late
  CHECK(world.audit("end").size() == 1);
  CHECK_FALSE(world.host.disk.contains(alice.id));
  world.restart();
  CHECK(world.state(alice.id) == GrantState::ended);
}

TEST_CASE("P6: what is in force and not on disk yet says so, and can be handed in again", "[core][engine]") {
  World world;
  const Outcome waits = world.asked(kBob, "dba");
  Lock lock = world.lock();
  lock.users = {"alice"};
  lock.approvers = {"dave"};
  Revocation revocation = world.revocation();
  revocation.users = {"alice"};
  const std::string kind = GENERATE(as<std::string>{}, "lock", "revocation", "denial");
  const std::string text = kind == "lock"         ? world.sign(lock, {"erin"})
                           : kind == "revocation" ? world.sign(revocation, {"erin"})
                                                  : world.review(waits.id, "carol", false);
  world.full_disk = true;
  for (int i = 0; i < 2; ++i) {  // and the copy that is looked at again
    const Outcome taken = world.submitted(text);
    CHECK_FALSE(taken.durable);
    CHECK(says(taken.message, "not on disk yet"));
  }
  SECTION("a restart forgets it: handed in again it counts") {
    world.stop();
    world.full_disk = false;
    world.start();
    const Outcome taken = world.submitted(text);
    CHECK(taken.durable);
    CHECK_FALSE(says(taken.message, "before"));
    CHECK_FALSE(says(taken.message, "not on disk"));
  }
  SECTION("the database takes it: the copy is needed no more") {
    world.full_disk = false;
    world.pass(2);
    const std::optional<Result<Outcome>> again = world.submit(text);
    REQUIRE(again);
    CHECK((!*again || (*again)->durable));
  }
}

TEST_CASE("an effect that fails at any step leaves nothing behind", "[core][engine]") {
  World world;
  const std::string step = GENERATE(as<std::string>{}, "prepare", "give", "publish");
  const Outcome asked = world.asked(kAlice, "dba");
  world.host.fail(step, Errc::system, 1);
  const Outcome outcome = world.submitted(world.review(asked.id, "carol"));
  CHECK(outcome.state == GrantState::refused);
  CHECK(says(outcome.message, step + " failed on purpose"));
  CHECK(world.host.nothing_held());
  CHECK(world.audit("deny").size() == 1);
  world.restart();
  CHECK(world.host.nothing_held());
  CHECK(world.state(asked.id) == GrantState::refused);
}

TEST_CASE("that nothing would end a grant is told as long as none is given", "[core][engine]") {
  World world;
  world.host.fail("prepare", Errc::unavailable, 1);
  const Outcome asked = world.asked(kAlice, "dba");
  CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::refused);
  CHECK(says(world.engine->health().refusing, "prepare failed on purpose"));
  REQUIRE(world.engine->health().warnings.size() == 1);
  CHECK(says(world.engine->health().warnings[0], "prepare failed on purpose"));
  CHECK(world.active(kAlice, "dba").state == GrantState::active);
  CHECK(world.engine->health().refusing.empty());
  CHECK(world.engine->health().warnings.empty());
}

TEST_CASE("a lock that others hold is waited for, 5 s and no more", "[core][engine]") {
  World world;
  const std::string step = GENERATE(as<std::string>{}, "prepare", "give");
  const Outcome asked = world.asked(kAlice, "dba");
  SECTION("it comes free") {
    world.host.fail(step, Errc::busy, 5);
    const std::optional<Result<Outcome>> answer = world.submit(world.review(asked.id, "carol"));
    CHECK_FALSE(answer);  // not yet
    CHECK(world.state(asked.id) == GrantState::activating);
    world.pass(1);
    CHECK(world.state(asked.id) == GrantState::active);
    CHECK(world.inconsistency().empty());
  }
  SECTION("it does not") {
    world.host.fail(step, Errc::busy, 1000);
    world.submit(world.review(asked.id, "carol"));
    world.pass(4);
    CHECK(world.state(asked.id) == GrantState::activating);
    world.pass(2);
    CHECK(world.state(asked.id) == GrantState::refused);
    CHECK(world.host.nothing_held());
  }
  SECTION("revoked meanwhile") {
    world.host.fail(step, Errc::busy, 3);
    world.submit(world.review(asked.id, "carol"));
    Revocation revocation = world.revocation();
    revocation.all = true;
    world.submitted(world.sign(revocation, {"erin"}));
    world.pass(1);
    CHECK(world.state(asked.id) == GrantState::refused);
    CHECK(world.host.nothing_held());
  }
}

TEST_CASE("what sudo gives is proven before the grant is in force", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "shell");
  SECTION("right") {
    CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::active);
    return;
  }
  SECTION("wrong") {
    world.questions.readback_says = false;
  }
  SECTION("no answer") {
    world.questions.readback_says = fail(Errc::unavailable, "no answer in time");
  }
  CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::refused);
  CHECK(world.host.nothing_held());
}

TEST_CASE("a gate on sudo is opened without dangerous only for users with no sudo rule of their own",
          "[core][engine]") {
  World world;
  // Loading refuses such a role without dangerous = true, unless another service's gate is meant: ask as activation
  // does.
  const Outcome asked = world.asked(kAlice, "shell");
  world.questions.standing_says = true;  // dangerous: not asked
  CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::active);
}

TEST_CASE("P7: a renumbered user is found out, although name services were silent when it was noticed",
          "[core][engine]") {
  World world;
  const Outcome granted = world.active(kAlice, "dba");
  world.questions.silent = true;
  world.questions.accounts["alice"].uid = 4000;
  world.engine->accounts_changed();
  world.pass(12);
  CHECK(world.state(granted.id) == GrantState::active);  // not answered is not gone
  world.questions.silent = false;
  world.pass(5);
  CHECK(world.state(granted.id) == GrantState::ended);
  CHECK(world.host.nothing_held());
}

TEST_CASE("P7: of many users a few are asked about at a time, and none for a change of groups", "[core][engine]") {
  World world;
  std::vector<std::string> ids;
  for (std::uint32_t i = 0; i < 50; ++i) {
    const std::string name = "u" + std::to_string(i);
    world.questions.accounts[name] = {name, 3000 + i, 100, {"users", "dba"}};
    ids.push_back(world.active(3000 + i, "dba").id);
  }
  world.questions.late = true;
  world.engine->groups_changed();  // every gift and every end is one
  CHECK(world.questions.waiting.empty());
  world.engine->accounts_changed();
  CHECK(world.questions.waiting.size() <= 16);  // others' questions get through
  world.questions.accounts["u49"].uid = 4000;
  world.engine->accounts_changed();  // meanwhile: one more round, when this one is over
  CHECK(world.questions.waiting.size() <= 16);
  world.questions.answer_all();
  CHECK(world.state(ids[49]) == GrantState::ended);
  CHECK(world.state(ids[0]) == GrantState::active);
  world.questions.accounts["u0"].uid = 4001;
  world.engine->accounts_changed();
  world.questions.answer_all();
  CHECK(world.state(ids[0]) == GrantState::ended);
  CHECK(world.inconsistency().empty());
}

TEST_CASE("answers that come late find nobody", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "shell");
  world.questions.late = true;
  CHECK_FALSE(world.submit(world.review(asked.id, "carol")));
  SECTION("after a release, while name services were asked") {
    world.engine->release({0, std::nullopt, 1}, asked.id, false, [](auto) {});
    world.questions.answer_all();
    CHECK(world.state(asked.id) == GrantState::refused);
  }
  SECTION("after a revocation, while sudo was asked") {
    world.questions.waiting.front()();
    world.questions.waiting.pop_front();
    CHECK(world.host.given.size() == 1);  // given, not proven
    CHECK(world.host.board.empty());
    Revocation revocation = world.revocation();
    revocation.users = {"alice"};
    world.submitted(world.sign(revocation, {"carol"}));
    CHECK(world.host.nothing_held());
    world.questions.answer_all();
    CHECK(world.state(asked.id) == GrantState::refused);
  }
  SECTION("after its own end") {
    world.questions.waiting.front()();
    world.questions.waiting.pop_front();
    world.pass(3600);
    world.questions.answer_all();
    CHECK_FALSE(world.state(asked.id) == GrantState::active);
  }
  SECTION("after a change of policy: asked again, decided by the new one") {
    world.distrust("carol@example.org");
    world.reload();
    world.questions.answer_all();
    CHECK(world.state(asked.id) == GrantState::pending);
  }
  SECTION("after the engine is gone") {
    world.stop();
    world.questions.answer_all();
    world.start();
    world.questions.answer_all();
    CHECK(world.state(asked.id) == GrantState::active);  // decided, then begun by the next start
    return;
  }
  CHECK(world.host.nothing_held());
}

TEST_CASE("name services that do not answer delay an activation and lose nothing", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba");
  world.questions.silent = true;
  CHECK(says(world.submitted(world.review(asked.id, "carol")).message, "name services do not answer"));
  world.pass(20);
  CHECK(world.host.nothing_held());
  world.questions.silent = false;
  world.pass(5);
  CHECK(world.state(asked.id) == GrantState::active);
}

TEST_CASE("an end that the host does not take is tried again until it does", "[core][engine]") {
  World world;
  world.active(kAlice, "dba");
  world.host.fail("take", Errc::system, 1);
  world.clock.pass(3'600'000);
  world.engine->tick();
  CHECK_FALSE(world.host.given.empty());
  CHECK(world.host.board.empty());
  world.pass(2);
  CHECK(world.host.nothing_held());
}

TEST_CASE("what was done at an end is told as a warning, what could not be done as an error", "[core][engine]") {
  World world;
  const auto priority_of = [&](std::string_view text) {
    for (const JournalLine& line : world.journal)
      if (line.message.find(text) != std::string::npos) return line.priority;
    return -1;
  };
  world.active(kAlice, "dba");
  world.host.to_note = {"the lock of /etc/group was taken from a stopped passwd"};
  world.host.fail("take", Errc::system, 1);
  world.pass(3600);
  CHECK(priority_of("taken from a stopped passwd") == 4);
  CHECK(priority_of("failed on purpose") == 3);
}

TEST_CASE("callbacks may call the engine again", "[core][engine]") {
  World world;
  std::string document;
  std::vector<std::string> order;
  world.engine->request({kBob, std::nullopt, 1}, {"auto", std::nullopt, "why", ""}, [&](Result<Outcome> outcome) {
    REQUIRE(outcome);
    order.emplace_back("outer");
    world.engine->document({kBob, std::nullopt, 1}, outcome->id, [&](Result<std::string> text) {
      order.emplace_back("inner");
      document = *text;
      world.engine->release({kBob, std::nullopt, 1}, "", true, [&](auto) { order.emplace_back("innermost"); });
    });
  });
  CHECK(order == std::vector<std::string>{"outer", "inner", "innermost"});
  CHECK(document.find("role = \"auto\"") != std::string::npos);
  CHECK(world.host.nothing_held());
  CHECK(world.woken > 0);
}
