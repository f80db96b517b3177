// P2: what runs under a grant belongs to it, is told of its end, and ends with it.
#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

// The grant that a command of this user to this target is put under; "none"; or "refused: why".
std::string elevated(World& world, std::uint32_t uid, const std::string& target, std::int32_t pid = 500,
                     const std::string& opened_by = "", const std::vector<std::string>& argv = {}) {
  std::string said = "no answer";
  world.engine->elevate({uid, pid, "sudo", target, opened_by, argv}, [&](Result<Engine::Elevated> under) {
    said = !under ? "refused: " + under.error().message : under->grant.empty() ? "none" : under->grant;
    if (under && under->recorded) said += " recorded";
  });
  return said;
}

void add_role(World& world, const std::string& more) {
  world.policy_text += more;
  world.reload();
}

constexpr const char* kSecondShell = R"(
[roles.long]
eligible = ["alice"]
opens = ["sudo"]
dangerous = true
max_duration = "3h"
[[roles.long.sudo]]
as = "postgres"
commands = ["/usr/bin/pg_dump"]
[[roles.long.rules]]
then = "approve"
)";

constexpr const char* kThirdShell = R"(
[roles.third]
eligible = ["alice"]
opens = ["sudo"]
dangerous = true
max_duration = "3h"
[[roles.third.sudo]]
as = "postgres"
commands = ["/usr/bin/psql ..."]
[[roles.third.rules]]
then = "approve"
)";

}  // namespace

TEST_CASE("P2: a command belongs to the grant that gives it, and of several to the one that ends last",
          "[core][engine]") {
  World world;
  add_role(world, kSecondShell);
  const Outcome shell = world.active(kAlice, "shell");
  CHECK(elevated(world, kAlice, "postgres", 500) == shell.id);
  world.host.recorded = {510};
  CHECK(elevated(world, kAlice, "postgres", 510) == shell.id + " recorded");
  CHECK(world.host.running.at(500) == shell.id);
  CHECK(elevated(world, kAlice, "root") == "none");    // by a rule that is not ours
  CHECK(elevated(world, kBob, "postgres") == "none");  // nobody else's
  const Outcome lasts = world.asked(kAlice, "long", kHour * 3);
  REQUIRE(world.state(lasts.id) == GrantState::active);
  CHECK(elevated(world, kAlice, "postgres", 501, "", {"sudo", "-u", "postgres", "/usr/bin/pg_dump"}) == lasts.id);
  CHECK(elevated(world, kAlice, "postgres", 502, "", {"sudo", "pg_dump"}) == lasts.id);
  // What the longer one does not give ends with the shorter, and so does what cannot be told.
  CHECK(elevated(world, kAlice, "postgres", 503, "", {"sudo", "-u", "postgres", "/usr/bin/psql"}) == shell.id);
  CHECK(elevated(world, kAlice, "postgres", 504, "", {"sudo", "-u", "postgres", "-i"}) == shell.id);
  CHECK(elevated(world, kAlice, "postgres", 505) == shell.id);
  // A gate that a grant opened, where no rule of ours gives the target: su.
  CHECK(elevated(world, kAlice, "root", 502, shell.id) == shell.id);
}

TEST_CASE("P2: no command belongs to a grant before it is in force or past its end", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "shell");
  world.questions.late = true;
  world.submit(world.review(asked.id, "carol"));
  while (!world.questions.waiting.empty() && world.state(asked.id) != GrantState::activating) {
    const auto answer = std::move(world.questions.waiting.front());
    world.questions.waiting.pop_front();
    answer();
  }
  REQUIRE(world.state(asked.id) == GrantState::activating);
  CHECK(elevated(world, kAlice, "postgres").starts_with("refused: "));
  CHECK(world.host.running.empty());
  world.questions.answer_all();
  REQUIRE(world.state(asked.id) == GrantState::active);
  CHECK(elevated(world, kAlice, "postgres") == asked.id);
  world.clock.pass(2 * 3'600'000);  // and the engine has not looked yet
  CHECK(elevated(world, kAlice, "postgres", 501) == "refused: your grant has just ended");
  CHECK(elevated(world, kAlice, "root", 502) == "none");  // that no grant of theirs gave
}

TEST_CASE("P2: what a grant's gate let in is refused when the grant has just ended", "[core][engine]") {
  World world;
  const Outcome shell = world.active(kAlice, "shell");
  REQUIRE(elevated(world, kAlice, "root", 502, shell.id) == shell.id);
  const bool looked = GENERATE(false, true);
  if (looked) {
    world.pass(2 * 3600);
    REQUIRE(world.state(shell.id) == GrantState::ended);
  } else {
    world.clock.pass(2 * 3'600'000);
  }
  CHECK(elevated(world, kAlice, "root", 503, shell.id) == "refused: your grant has just ended");
}

TEST_CASE("P2: of grants that all give the command it is the one that ends last", "[core][engine]") {
  World world;
  std::string again = kSecondShell;
  again.replace(again.find("[roles.long]"), 12, "[roles.also]");
  for (std::size_t at = again.find("roles.long"); at != std::string::npos; at = again.find("roles.long"))
    again.replace(at, 10, "roles.also");
  add_role(world, kSecondShell + again);
  const std::vector<std::string> dump = {"sudo", "-u", "postgres", "/usr/bin/pg_dump"};
  const std::string longer = GENERATE(as<std::string>{}, "long", "also");
  const Outcome last = world.asked(kAlice, longer, kHour * 3);
  const Outcome first = world.asked(kAlice, longer == "long" ? "also" : "long", kHour);
  REQUIRE(world.state(last.id) == GrantState::active);
  REQUIRE(world.state(first.id) == GrantState::active);
  CHECK(elevated(world, kAlice, "postgres", 501, "", dump) == last.id);
  CHECK(elevated(world, kAlice, "postgres", 502, "", {"sudo", "-u", "postgres", "-i"}) == first.id);
}

TEST_CASE("P2: what runs under a grant ends with it, and the end says how much that was", "[core][engine]") {
  World world;
  const Outcome shell = world.active(kAlice, "shell");
  REQUIRE(elevated(world, kAlice, "postgres", 500) == shell.id);
  REQUIRE(elevated(world, kAlice, "postgres", 501) == shell.id);
  world.engine->let_in(shell.id, 600, [](const Result<std::string>& grant) { CHECK(grant); });
  SECTION("at its time") {
    world.pass(2 * 3600);
    CHECK(world.state(shell.id) == GrantState::ended);
    CHECK(world.record(shell.id).why == "expired; 3 processes ended with it");
    REQUIRE(world.audit("end").size() == 1);
    CHECK(world.audit("end")[0].fields.at("processes") == "3");
  }
  SECTION("by its user") {
    world.engine->release({kAlice, std::nullopt, 1}, shell.id, false, {});
    CHECK(world.state(shell.id) == GrantState::ended);
  }
  SECTION("while jitd was away") {
    world.stop();
    world.clock.pass(2 * 3600 * 1000);
    world.start();
    CHECK(world.state(shell.id) == GrantState::ended);
  }
  SECTION("but for a login that was closed before") {
    world.engine->let_out(600);
    world.pass(2 * 3600);
    CHECK(world.record(shell.id).why == "expired; 2 processes ended with it");
  }
  CHECK(world.host.running.empty());
  CHECK(world.host.logins.empty());
  CHECK(elevated(world, kAlice, "postgres", 502) == "none");
  std::string late;
  world.engine->let_in(shell.id, 601, [&](const Result<std::string>& grant) { late = grant ? "in" : "refused"; });
  CHECK(late == "refused");
}

TEST_CASE("P2: what sudo lets its user run without the grant goes on, and nothing else does", "[core][engine]") {
  World world;
  const Outcome shell = world.active(kAlice, "shell");
  for (const std::int32_t pid : {500, 501, 502}) world.host.processes[pid] = 0;
  REQUIRE(elevated(world, kAlice, "postgres", 500, "", {"sudo", "-u", "postgres", "/usr/bin/psql", "-l"}) ==
          shell.id);
  REQUIRE(elevated(world, kAlice, "postgres", 501, "", {"sudo", "-E", "-u", "postgres", "/usr/bin/psql"}) ==
          shell.id);
  REQUIRE(elevated(world, kAlice, "postgres", 502, "", {"sudo", "-u", "postgres", "psql"}) == shell.id);
  world.host.running.erase(502);  // it came to its own end
  SECTION("who needs the grant to be let in loses all of it at once") {
    world.questions.still_says = true;
    world.pass(2 * 3600);
    CHECK(world.questions.still_asked.empty());
    CHECK(world.host.running.empty());
  }
  SECTION("who is let in without it goes on with what sudo still lets them run") {
    world.host.open_by["alice"] = "";
    world.questions.late = true;
    world.questions.still_says = true;
    world.pass(2 * 3600);
    CHECK(world.host.held_back.contains(500));  // it stands still until sudo has said
    CHECK_FALSE(world.host.running.contains(501));
    world.questions.answer_all();
    CHECK(world.questions.still_asked == std::vector<std::string>{"alice postgres: /usr/bin/psql -l"});
    CHECK(world.host.running.at(500) == "left " + shell.id);
    CHECK(world.record(shell.id).why.find("/usr/bin/psql -l as postgres goes on") != std::string::npos);
    REQUIRE(world.audit("spared").size() == 1);
  }
  SECTION("words are of the latest process of that number") {
    world.host.open_by["alice"] = "";
    world.questions.still_says = true;
    REQUIRE(elevated(world, kAlice, "postgres", 500, "", {"sudo", "A=b", "-u", "postgres", "/usr/bin/psql"}) ==
            shell.id);
    world.pass(2 * 3600);
    CHECK(world.questions.still_asked.empty());
    CHECK(world.host.running.empty());
  }
  SECTION("not what it refuses, or does not answer") {
    world.host.open_by["alice"] = "";
    const bool silent = GENERATE(false, true);
    if (silent) world.questions.still_says = jit::fail(Errc::unavailable, "sudo hangs");
    world.pass(2 * 3600);
    CHECK(world.questions.still_asked.size() == 1);
    CHECK(world.host.held_back.empty());
    CHECK(world.host.running.empty());
    CHECK(world.record(shell.id).why.find("was ended: ") != std::string::npos);
    CHECK(world.audit("spared").empty());
  }
  SECTION("by another grant it goes on under that, and ends with that") {
    add_role(world, kSecondShell);
    const Outcome other = world.asked(kAlice, "long", kHour * 3);
    REQUIRE(world.state(other.id) == GrantState::active);
    world.host.open_by["alice"] = other.id;
    world.questions.still_says = true;
    world.pass(2 * 3600);
    CHECK(world.host.running.at(500) == other.id);
    world.host.open_by.clear();
    world.pass(2 * 3600);
    CHECK(world.host.running.empty());
  }
  SECTION("of several it is the one whose rule gives it, not the one that opens the gate for longest") {
    add_role(world, kThirdShell);
    add_role(world, kSecondShell);
    const Outcome gives = world.asked(kAlice, "third", kHour * 2);
    const Outcome opens = world.asked(kAlice, "long", kHour * 3);
    REQUIRE(world.state(gives.id) == GrantState::active);
    world.host.open_by["alice"] = opens.id;
    world.questions.still_says = true;
    world.engine->release({kAlice, std::nullopt, 1}, shell.id, false, {});
    CHECK(world.host.running.at(500) == gives.id);
  }
  SECTION("what was given while sudo was asked may be what it spoke of") {
    const bool over_again = GENERATE(false, true);
    add_role(world, kThirdShell);
    world.host.open_by["alice"] = "";
    world.questions.still_says = true;
    world.questions.late = true;
    world.pass(2 * 3600);
    REQUIRE(world.host.held_back.contains(500));
    REQUIRE(world.questions.waiting.size() == 1);
    const auto said = std::move(world.questions.waiting.front());
    world.questions.waiting.clear();
    world.questions.late = false;
    const Outcome third = world.asked(kAlice, "third", kHour);
    REQUIRE(world.state(third.id) == GrantState::active);
    if (over_again) world.engine->release({kAlice, std::nullopt, 1}, third.id, false, {});
    said();
    CHECK(world.host.held_back.empty());
    CHECK_FALSE(world.host.running.contains(500));
  }
  SECTION("nor does what only a grant for another session gives") {
    world.host.open_by["alice"] = "";
    world.questions.still_says = true;
    GrantDocument once = world.grant_of("alice", "shell");
    once.once = true;
    const Outcome other = world.submitted(world.sign(once, {"carol", "dave"}));
    REQUIRE(world.state(other.id) == GrantState::active);
    world.host.processes[503] = 0;  // the very command that the other gives too
    REQUIRE(elevated(world, kAlice, "postgres", 503, "", {"sudo", "-u", "postgres", "/usr/bin/psql"}) == shell.id);
    world.engine->release({kAlice, std::nullopt, 1}, shell.id, false, {});
    CHECK(world.questions.still_asked.empty());
    CHECK_FALSE(world.host.running.contains(500));
    CHECK_FALSE(world.host.running.contains(503));
    CHECK(world.host.held_back.empty());
  }
  SECTION("by another that has ended meanwhile it does not") {
    world.host.open_by["alice"] = "0123456789abcdef";
    world.questions.still_says = true;
    world.pass(2 * 3600);
    CHECK(world.host.running.empty());
    CHECK(world.host.held_back.empty());
  }
}

TEST_CASE("P2: what sudo runs by a rule that is not proven yet is refused: nobody would end it", "[core][engine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "shell");
  const bool after_start = GENERATE(false, true);
  if (after_start) {
    world.submitted(world.review(asked.id, "carol"));
    world.stop();
    world.host.given.clear();
    world.host.board.clear();
    world.questions.late = true;
    world.start();
    world.questions.waiting.front()();  // who alice is
    world.questions.waiting.pop_front();
  } else {
    world.questions.late = true;
    world.submit(world.review(asked.id, "carol"));
    for (int i = 0; i < 10 && !world.host.given.contains(asked.id) && !world.questions.waiting.empty(); ++i) {
      const auto next = std::move(world.questions.waiting.front());
      world.questions.waiting.pop_front();
      next();
    }
  }
  REQUIRE(world.host.given.contains(asked.id));  // sudo has the rule, and is being asked what it says
  REQUIRE(world.host.calls.size() > 3);
  CHECK(std::vector<std::string>(world.host.calls.end() - 3, world.host.calls.end()) ==
        std::vector<std::string>{"prepare", "publish", "give"});
  CHECK(world.host.announced.contains(asked.id));
  CHECK(world.host.board.empty());
  CHECK(elevated(world, kAlice, "postgres", 500).starts_with("refused: "));
  CHECK(elevated(world, kAlice, "root", 500) == "none");  // by a rule of somebody else's
  CHECK(elevated(world, kBob, "postgres", 500) == "none");
  world.questions.answer_all();
  CHECK(world.host.announced.empty());
  CHECK(elevated(world, kAlice, "postgres", 500) == asked.id);
}

TEST_CASE("P2: a command whose end could not be kept is refused", "[core][engine]") {
  World world;
  const Outcome shell = world.active(kAlice, "shell");
  world.host.fail("elevate", Errc::unavailable, 1);
  CHECK(elevated(world, kAlice, "postgres").starts_with("refused: "));
  CHECK(world.host.running.empty());
  CHECK(elevated(world, kAlice, "postgres") == shell.id);
}

TEST_CASE("on_end = \"leave\": what runs goes on", "[core][engine]") {
  World world;
  const std::string::size_type at = world.policy_text.find("opens = [\"sudo\"]");
  world.policy_text.insert(at, "on_end = \"leave\"\n");
  world.reload();
  const Outcome shell = world.active(kAlice, "shell");
  REQUIRE(elevated(world, kAlice, "postgres", 500) == shell.id);
  world.engine->let_in(shell.id, 600, {});
  CHECK(world.host.logins.empty());
  world.pass(2 * 3600);
  CHECK(world.host.running.at(500) == "left " + shell.id);
  CHECK(world.record(shell.id).why == "expired; goes on as policy says: 500 sleep");
  CHECK(world.audit("end")[0].fields.at("left") == "500 sleep");
  CHECK(world.host.warned.empty());
}

TEST_CASE("before a planned end the user is told, and what runs gets SIGTERM", "[core][engine]") {
  World world;
  const auto told_at = [&](const Outcome& grant, std::int64_t seconds_before) {
    const std::int64_t end = world.record(grant.id).not_after * 1000;
    world.pass((end - seconds_before * 1000 - world.clock.at.wall_ms) / 1000);
    return world.host.told.size();
  };
  SECTION("an hour: 10 min, 2 min, 30 s, and 5 s") {
    const Outcome grant = world.active(kAlice, "shell");
    CHECK(told_at(grant, 601) == 0);
    CHECK(told_at(grant, 600) == 1);
    CHECK(world.host.told[0].first == kAlice);
    CHECK(world.host.told[0].second.find("role shell ends at ") != std::string::npos);
    CHECK(told_at(grant, 121) == 1);
    CHECK(told_at(grant, 120) == 2);
    CHECK(told_at(grant, 30) == 3);
    CHECK(world.host.warned.empty());
    CHECK(told_at(grant, 5) == 3);
    CHECK(world.host.warned == std::vector<std::string>{grant.id});
    CHECK(told_at(grant, 0) == 3);
    CHECK(world.state(grant.id) == GrantState::ended);
  }
  SECTION("a minute: 30 s, and 5 s") {
    const Outcome grant = world.asked(kAlice, "auto", Seconds(60));
    CHECK(told_at(grant, 31) == 0);
    CHECK(told_at(grant, 30) == 1);
    CHECK(told_at(grant, 5) == 1);
    CHECK(world.host.warned == std::vector<std::string>{grant.id});
  }
  SECTION("twenty seconds: two of them for SIGTERM") {
    const Outcome grant = world.asked(kAlice, "auto", Seconds(20));
    CHECK(told_at(grant, 3) == 0);
    CHECK(world.host.warned.empty());
    CHECK(told_at(grant, 2) == 0);
    CHECK(world.host.warned == std::vector<std::string>{grant.id});
  }
  SECTION("what was slept through is said once") {
    const Outcome grant = world.active(kAlice, "shell");
    const std::int64_t end = world.record(grant.id).not_after * 1000;
    world.clock.pass(end - 100'000 - world.clock.at.wall_ms);
    world.engine->tick();
    CHECK(world.host.told.size() == 1);
  }
}

TEST_CASE("P2: a command does not outlive the grant that gives it in the scope of one that opens the same gate",
          "[core][engine]") {
  World world;
  add_role(world, kSecondShell);
  const Outcome shell = world.active(kAlice, "shell");
  world.policy_text += R"(
[roles.opener]
eligible = ["alice"]
opens = ["sudo"]
dangerous = true
max_duration = "3h"
[[roles.opener.rules]]
then = "approve"
)";
  world.reload();
  const Outcome opener = world.asked(kAlice, "opener", std::chrono::hours(3));
  CHECK(elevated(world, kAlice, "postgres", 500, opener.id) == shell.id);
  CHECK(elevated(world, kAlice, "www", 501, opener.id) == opener.id);  // by a rule that is not ours
}

TEST_CASE("whoever asks for a role that records is told so with the answer", "[core][engine]") {
  World world;
  add_role(world, R"(
[roles.recorded]
eligible = ["alice"]
opens = ["sudo"]
dangerous = true
[[roles.recorded.sudo]]
as = "postgres"
commands = ["/usr/bin/pg_dump"]
record = true
[[roles.recorded.rules]]
then = "approve"
)");
  const Outcome outcome = world.asked(kAlice, "recorded");
  CHECK(outcome.state == GrantState::active);
  CHECK(outcome.message.ends_with("; what you run by it is recorded"));
  CHECK(world.asked(kAlice, "shell").message.find("recorded") == std::string::npos);
}

TEST_CASE("who comes in is an account that answers for itself", "[core][engine]") {
  World world;
  const auto comer = [&](const std::string& user, std::optional<std::uint32_t> uid) {
    std::string said = "no answer";
    world.engine->comer({user, uid, std::nullopt}, [&](const Result<Caller>& caller) {
      said = caller ? std::to_string(caller->uid) : caller.error().message;
    });
    return said;
  };
  const std::string alice = std::to_string(kAlice);
  CHECK(comer("alice", std::nullopt) == alice);
  CHECK(comer("alice", kAlice) == alice);
  CHECK(comer("alice", kBob).find("does not answer for itself") != std::string::npos);
  CHECK(comer("ghost", std::nullopt).starts_with("nothing can be asked for here"));
  CHECK(comer("../x", std::nullopt).starts_with("nothing can be asked for here"));
}

TEST_CASE("P2: what a grant left in files is told in its record, the audit and the journal", "[core][engine]") {
  World world;
  const Outcome shell = world.active(kAlice, "shell");
  world.pass(2 * 3600);
  REQUIRE(world.state(shell.id) == GrantState::ended);
  world.engine->residue_found();
  CHECK(world.audit("residue").empty());
  world.host.found_in_files = {
      {shell.id, "looked at 12 files\n/tmp/x was setuid root\n/tmp/\x1b y was setuid root\n"},
      {"0000000000000000", "looked at 1 files\n"}};
  world.engine->residue_found();
  REQUIRE(world.audit("residue").size() == 1);
  CHECK(world.audit("residue")[0].fields.at("file1") == "/tmp/x was setuid root");
  CHECK(world.audit("residue")[0].fields.at("file2").find('\x1b') == std::string::npos);  // P10
  CHECK(world.record(shell.id).why == "expired; left in files: /tmp/x was setuid root, and 1 more");
  CHECK(world.shown_to(kAlice, shell.id)->record.why.find("left in files") != std::string::npos);
  world.host.found_in_files = {{shell.id, "looked at 9 files, not at all of them: it took too long\n"}};
  world.engine->residue_found();
  CHECK(world.record(shell.id).why.find("; files: looked at 9 files, not at all of them: it took too long") !=
        std::string::npos);
}
