// Numbered revocation lists in the engine: who signs them, what they end, and what ends when none comes.
#include <algorithm>

#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

bool says(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  UNSCOPED_INFO(text);
  return false;
}

// The policy of the world with these keys in role dba.
void with_view(World& world, const std::string& keys) {
  const std::string head = "[roles.dba]\n";
  world.policy_text.insert(world.policy_text.find(head) + head.size(), keys);
  world.reload();
}

const std::string kEnds = "max_view_age = \"10m\"\nend_past_view_age = true\n";

std::optional<Result<Outcome>> ask_dba(World& world) {
  return world.ask(kAlice, "dba", kHour);
}

}  // namespace

TEST_CASE("numbered lists are signed by revokers, and count once", "[core][engine][lists]") {
  World world;
  CHECK(says(world.refused(world.sign(world.list(1), {"dave"})), "dave is no revoker"));
  CHECK(says(world.refused(world.sign(world.list(1), {"dave"})), "sign it without a number"));
  CHECK_FALSE(world.engine->health().view.age);
  const std::string first = world.sign(world.list(1), {"erin"});
  CHECK(says(world.submitted(first).message, "ended 0 grants and requests; the view of revocations is list 1"));
  CHECK(says(world.submitted(first).message, "has been here before"));
  CHECK(says(world.refused(world.sign(world.list(1), {"erin"})), "number 1 was taken by another list"));
  world.pass(60);
  world.submitted(world.sign(world.list(2), {"erin"}));
  CHECK(says(world.refused(world.sign(world.list(1), {"erin"})), "older than one seen, which is 2"));
  CHECK(says(world.submitted(first).message, "has been here before"));
  CHECK(world.engine->health().view.number == 2);
  CHECK(world.engine->health().view.age == Seconds(0));
  CHECK(world.audit("revoke").back().fields.at("view") == "2");
  world.restart();
  CHECK(world.engine->health().view.number == 2);
  CHECK(says(world.refused(world.sign(world.list(1), {"erin"})), "older than one seen"));

  SECTION("without the set, by an approver of every role") {
    world.policy_text.erase(world.policy_text.find("revokers = [\"erin\"]"), 19);
    world.reload();
    CHECK(says(world.refused(world.sign(world.list(3), {"dave"})), "does not approve every role here"));
    for (const std::string gone : {"[roles.auto]", "[roles.never]"}) {
      const auto at = world.policy_text.find(gone);
      const auto end = world.policy_text.find("\n[roles.", at + 1);
      world.policy_text.erase(at, (end == std::string::npos ? world.policy_text.find("[[gates]]", at) : end) - at);
    }
    world.reload();
    CHECK(says(world.submitted(world.sign(world.list(3), {"dave"})).message, "list 3"));
    CHECK(says(world.refused(world.sign(world.list(4), {"erin"})), "does not approve every role here"));
  }
  SECTION("too old, too new, elsewhere, forged") {
    Revocation list = world.list(3);
    list.created = world.now() - std::chrono::days(14) - kMinute;
    CHECK(says(world.refused(world.sign(list, {"erin"})), "sign a new one"));
    list.created = world.now() + kMinute * 6;
    list.next_update = list.created + kHour;
    CHECK(says(world.refused(world.sign(list, {"erin"})), "one of the clocks is wrong"));
    list = world.list(3);
    list.hosts = {"db2"};
    CHECK(says(world.refused(world.sign(list, {"erin"})), "this is for db2"));
    CHECK_FALSE(world.refused(world.sign(world.list(3), {"mallory"})).starts_with("accepted"));
    CHECK(world.engine->health().view.number == 2);
  }
}

TEST_CASE("what a list names ends at once, also where the one before it is missing", "[core][engine][lists]") {
  World world;
  const Outcome alice = world.active(kAlice, "dba");
  const Outcome bob = world.active(kBob, "dba");
  world.submitted(world.sign(world.list(1), {"erin"}));
  world.pass(600);
  Revocation third = world.list(3);
  third.users = {"alice"};
  CHECK(says(world.submitted(world.sign(third, {"erin"})).message,
             "ended 1 grant or request; the view of revocations is list 1, since list 2 is missing"));
  CHECK(world.state(alice.id) == GrantState::ended);
  CHECK(world.state(bob.id) == GrantState::active);
  CHECK(world.engine->health().view.age == Seconds(600));
  const auto warnings = world.engine->health().warnings;
  CHECK(std::any_of(warnings.begin(), warnings.end(),
                    [](const std::string& one) { return one.find("list 2 of revocations is missing") == 0; }));
  world.restart();
  CHECK(world.engine->health().view.age == Seconds(600));
  Revocation second = world.list(2);
  second.all = true;
  CHECK(says(world.submitted(world.sign(second, {"erin"})).message, "is list 3"));
  CHECK(world.state(bob.id) == GrantState::ended);
  CHECK(world.engine->health().view.age == Seconds(0));
}

TEST_CASE("a list that is due and does not come is said", "[core][engine][lists]") {
  World world;
  world.submitted(world.sign(world.list(1), {"erin"}));
  CHECK(world.engine->health().warnings.empty());
  world.pass(3601);
  REQUIRE(world.engine->health().warnings.size() == 1);
  CHECK(says(world.engine->health().warnings[0], "was due at 2027-01-15T09:00:00Z and has not come"));
}

TEST_CASE("refuse: nothing new before the first list and past the age; what waits goes on with the next",
          "[core][engine][lists]") {
  World world;
  with_view(world, "max_view_age = \"10m\"\n");
  CHECK(says(world.request_refused(kAlice, "dba"), "this host has no list of revocations to go by"));
  CHECK(says(world.refused(world.sign(world.grant_of("alice", "dba"), {"dave"})), "no list of revocations"));
  world.submitted(world.sign(world.list(1), {"erin"}));
  const Outcome waits = world.asked(kAlice, "dba");
  world.pass(599);
  const Outcome bob = world.active(kBob, "dba");
  world.pass(1);
  CHECK(says(world.request_refused(kDeploy, "dba"), "the view of revocations is 10m old"));
  // The approver's consent is kept, and counts when a list comes.
  const Outcome late = world.submitted(world.review(waits.id, "carol"));
  CHECK(late.state == GrantState::pending);
  CHECK(says(late.message, "waiting for a newer list of revocations"));
  CHECK(world.state(bob.id) == GrantState::active);  // nothing says that it ends
  world.reload();
  CHECK(world.state(bob.id) == GrantState::active);
  world.restart();
  CHECK(world.state(bob.id) == GrantState::active);
  CHECK(world.state(waits.id) == GrantState::pending);
  world.submitted(world.sign(world.list(2), {"erin"}));
  CHECK(world.state(waits.id) == GrantState::active);
  CHECK(world.inconsistency().empty());
}

TEST_CASE("the bound of jitd.toml is for roles that say nothing", "[core][engine][lists]") {
  World world;
  world.config.max_view_age = kMinute;
  world.reload();
  CHECK(says(world.request_refused(kAlice, "auto"), "younger than 1m"));
  world.submitted(world.sign(world.list(1), {"erin"}));
  CHECK(world.asked(kAlice, "auto").state == GrantState::active);
}

TEST_CASE("shorten: for a while, by request and by direct grant", "[core][engine][lists]") {
  World world;
  with_view(world, "max_view_age = \"10m\"\npast_view_age = \"shorten\"\npast_view_duration = \"5m\"\n");
  CHECK(says(world.request_refused(kAlice, "dba", kHour), "at most 5m here, since"));
  const Outcome asked = world.active(kAlice, "dba");
  CHECK(world.record(asked.id).not_after == kStart + 300);
  const Outcome direct = world.submitted(world.sign(world.grant_of("bob", "dba"), {"dave"}));
  CHECK(world.record(direct.id).not_after == kStart + 300);
  world.submitted(world.sign(world.list(1), {"erin"}));
  const Outcome more = world.submitted(world.sign(world.grant_of("deploy", "dba"), {"dave"}));
  CHECK(world.record(more.id).not_after == kStart + 3600);
}

TEST_CASE("one-more: another approver is waited for, by name", "[core][engine][lists]") {
  World world;
  with_view(world, "max_view_age = \"10m\"\npast_view_age = \"one-more\"\n");
  const Outcome waits = world.asked(kAlice, "dba");
  CHECK(says(waits.message, "one more approver: 1 of carol, dave"));
  CHECK(says(world.submitted(world.review(waits.id, "carol")).message, "waiting for one more approver: 1 of dave"));
  CHECK(world.submitted(world.review(waits.id, "dave")).state == GrantState::active);
  const Outcome other = world.asked(kBob, "dba");
  CHECK(world.submitted(world.review(other.id, "carol")).state == GrantState::pending);
  // A list comes: what the rule asks for is enough again.
  world.submitted(world.sign(world.list(1), {"erin"}));
  CHECK(world.state(other.id) == GrantState::active);
  // and stays so when that is old
  world.pass(700);
  world.reload();
  CHECK(world.state(other.id) == GrantState::active);
}

TEST_CASE("P2: what is in force ends when the view is too old, by either clock, with jitd or without",
          "[core][engine][lists]") {
  World world;
  with_view(world, kEnds);
  world.submitted(world.sign(world.list(1), {"erin"}));
  REQUIRE(ask_dba(world));
  const Outcome granted = world.active(kAlice, "dba");
  CHECK(world.host.disk.at(granted.id).not_after == kStart + 600);
  CHECK(world.host.board.at(granted.id).ends_at() == kStart + 600);
  CHECK(world.record(granted.id).not_after == kStart + 3600);
  CHECK(says(world.record(granted.id).why, "ends at 2027-01-15T08:10:00Z unless a newer list"));
  SECTION("to the second") {
    world.pass(599);
    CHECK(world.state(granted.id) == GrantState::active);
    world.pass(1);
    CHECK(world.record(granted.id).why == "the view of revocations is older than 10m");
    CHECK(world.host.disk.empty());
    CHECK(world.host.nothing_held());
  }
  SECTION("a list in time moves it on, on disk first") {
    world.pass(500);
    world.host.calls.clear();
    world.submitted(world.sign(world.list(2), {"erin"}));
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 1100);
    CHECK(world.host.board.at(granted.id).ends_at() == kStart + 1100);
    const auto& calls = world.host.calls;
    CHECK(std::find(calls.begin(), calls.end(), "move_ends") < std::find(calls.begin(), calls.end(), "publish"));
    world.pass(599);
    CHECK(world.state(granted.id) == GrantState::active);
    world.submitted(world.sign(world.list(4), {"erin"}));  // 3 is missing: nothing is moved
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 1100);
    world.pass(1);
    CHECK(world.state(granted.id) == GrantState::ended);
  }
  SECTION("never past its own end") {
    for (std::uint64_t number = 2; number < 9; ++number) {
      world.pass(500);
      world.submitted(world.sign(world.list(number), {"erin"}));
    }
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 3600);
    world.pass(100);
    CHECK(world.record(granted.id).why == "expired");
  }
  SECTION("the clock set back") {
    world.clock.at.wall_ms -= 7200 * 1000;
    world.pass(599);
    CHECK(world.state(granted.id) == GrantState::active);
    world.pass(1);
    CHECK(world.state(granted.id) == GrantState::ended);
  }
  SECTION("the clock set ahead") {
    world.clock.at.wall_ms += 601 * 1000;
    world.engine->tick();
    CHECK(world.state(granted.id) == GrantState::ended);
  }
  SECTION("what could not be moved ends as it stood, and is tried again") {
    world.pass(500);
    world.host.fail("move_ends", Errc::busy, 1);
    world.submitted(world.sign(world.list(2), {"erin"}));
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 600);
    world.pass(2);
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 1100);
  }
  SECTION("a restart leaves its own end as it was") {
    world.pass(300);
    world.restart();
    CHECK(world.state(granted.id) == GrantState::active);
    CHECK(world.record(granted.id).not_after == kStart + 3600);
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 600);
    world.submitted(world.sign(world.list(2), {"erin"}));
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 900);
    world.reboot(60'000);
    CHECK(world.record(granted.id).not_after == kStart + 3600);
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 900);
    world.pass(540);
    CHECK(world.state(granted.id) == GrantState::ended);
  }
  SECTION("a reboot after that time brings nothing back") {
    world.reboot(700'000);
    CHECK(world.state(granted.id) == GrantState::ended);
    CHECK(world.host.nothing_held());
  }
  SECTION("the dead-man ended it") {
    world.stop();
    world.clock.pass(601'000);
    world.host.disk.at(granted.id).active = false;
    world.host.disk.at(granted.id).reason = "expired";
    world.host.given.clear();
    world.host.board.clear();
    world.start();
    CHECK(says(world.record(granted.id).why, "the view of revocations is older than 10m"));
    CHECK(world.host.nothing_held());
  }
  SECTION("the policy says so no longer") {
    world.policy_text.erase(world.policy_text.find(kEnds), kEnds.size());
    world.reload();
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 3600);
    with_view(world, "max_view_age = \"5m\"\nend_past_view_age = true\n");
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 300);
  }
  SECTION("an extension ends with it too") {
    const Outcome more = world.wished(kAlice, {"", kHour * 3, "more", "", std::nullopt, granted.id});
    CHECK(world.submitted(world.review(more.id, "carol")).state == GrantState::active);
    CHECK(world.host.disk.at(granted.id).not_after == kStart + 600);
    world.pass(600);
    CHECK(world.state(more.id) == GrantState::ended);
  }
  CHECK(world.inconsistency().empty());
}

TEST_CASE("what is given past the age ends with its own time, and with the next passing", "[core][engine][lists]") {
  World world;
  with_view(world, kEnds + "past_view_age = \"shorten\"\npast_view_duration = \"1h\"\n");
  const Outcome before = world.active(kAlice, "dba");
  CHECK(world.host.disk.at(before.id).not_after == kStart + 3600);
  world.pass(60);
  world.submitted(world.sign(world.list(1), {"erin"}));
  CHECK(world.host.disk.at(before.id).not_after == kStart + 660);
  world.pass(600);
  CHECK(world.state(before.id) == GrantState::ended);
  const Outcome after = world.active(kAlice, "dba");
  CHECK(world.host.disk.at(after.id).not_after == kStart + 660 + 3600);
}

TEST_CASE("a role that says so late ends what could not be given now", "[core][engine][lists]") {
  World world;
  const Outcome granted = world.active(kAlice, "dba");
  with_view(world, kEnds);
  CHECK(world.record(granted.id).why == "this host has no list of revocations to go by");
  CHECK(world.host.nothing_held());
}

TEST_CASE("P2: killed anywhere while a list moves ends on, none outlives what the disk says",
          "[core][engine][lists]") {
  for (const bool before : {true, false}) {
    bool whole = false;
    for (std::size_t call = 1; !whole; ++call) {
      REQUIRE(call < 100);
      World world;
      with_view(world, kEnds);
      world.submitted(world.sign(world.list(1), {"erin"}));
      const Outcome granted = world.active(kAlice, "dba");
      world.pass(300);
      const std::string next = world.sign(world.list(2), {"erin"});
      world.plug.arm(call, before);
      try {
        world.submit(next);
        whole = world.plug.armed();
      } catch (const PowerLoss&) {
      }
      world.plug.disarm();
      INFO("killed " << (before ? "before" : "after") << " call " << call);
      const std::int64_t on_disk = world.host.disk.at(granted.id).not_after;
      CHECK((on_disk == kStart + 600 || on_disk == kStart + 900));
      world.restart();
      CHECK(world.inconsistency().empty());
      CHECK(world.state(granted.id) == GrantState::active);
      world.submitted(next);
      CHECK(world.host.disk.at(granted.id).not_after == kStart + 900);
      world.pass(600);
      CHECK(world.state(granted.id) == GrantState::ended);
    }
  }
}

TEST_CASE("a list that the database does not take counts, and says so", "[core][engine][lists]") {
  World world;
  with_view(world, "max_view_age = \"10m\"\n");
  world.full_disk = true;
  const std::string list = world.sign(world.list(1), {"erin"});
  CHECK_FALSE(world.submitted(list).durable);
  CHECK(world.engine->health().view.number == 1);
  world.restart();
  CHECK(world.engine->health().view.number == 0);
  world.full_disk = false;
  CHECK(world.submitted(list).durable);
  world.restart();
  CHECK(world.engine->health().view.number == 1);
}

TEST_CASE("a lost database begins again with the next list", "[core][engine][lists]") {
  World world;
  with_view(world, "max_view_age = \"10m\"\n");
  std::vector<std::string> texts;
  for (std::uint64_t number = 1; number <= 3; ++number) {
    texts.push_back(world.sign(world.list(number), {"erin"}));
    world.submitted(texts.back());
  }
  world.lose_database();
  world.unread = texts;
  world.start();
  world.unread.clear();
  CHECK(world.engine->health().view.number == 0);
  CHECK(world.engine->health().view.newest == 3);
  CHECK(says(world.request_refused(kAlice, "dba"), "no list of revocations"));
  CHECK(says(world.submitted(texts[2]).message, "has been here before"));  // a copy of an old one is no news
  CHECK(world.engine->health().view.number == 0);
  world.restart();
  CHECK(world.engine->health().view.number == 0);
  world.submitted(world.sign(world.list(4), {"erin"}));
  CHECK(world.engine->health().view.number == 4);
  CHECK(world.asked(kAlice, "dba").state == GrantState::pending);
}

TEST_CASE("after the ceiling a list that never came is given up", "[core][engine][lists]") {
  World world;
  world.submitted(world.sign(world.list(1), {"erin"}));
  world.submitted(world.sign(world.list(3), {"erin"}));
  CHECK(world.engine->health().view.number == 1);
  world.pass(14 * 86400);
  CHECK(world.engine->health().view.number == 1);
  world.pass(2);
  CHECK(world.engine->health().view.number == 3);
  CHECK(world.audit("view").at(0).fields.at("view") == "3");
  world.restart();
  CHECK(world.engine->health().view.number == 3);
}

TEST_CASE("every event says how far the view of revocations goes, and since when", "[core][engine][lists]") {
  World world;
  world.told = 0;
  world.restart();
  CHECK_FALSE(world.events().back().view);
  const WallTime made = world.now();
  const std::string list = world.sign(world.list(1), {"erin"});
  world.submitted(list);
  CHECK(world.events("revoked").size() == 1);
  CHECK(world.events("revoked").front().document == sha256(parse_envelope(list)->payload));
  world.pass(60);
  world.submitted(world.sign(world.list(3), {"erin"}));  // the one between is missing
  world.restart();
  CHECK(world.events().back().what == "started");
  CHECK(world.events().back().view == 1);
  CHECK(world.events().back().viewed == made);
}
