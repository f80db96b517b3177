// What others are told: by signed events, each once, in order, and never in the way of anything.
#include <algorithm>
#include <chrono>
#include <iostream>

#include "jitd/core/denials.hpp"
#include "jitd/core/event_log.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

// A world to which somebody listens.
struct Heard : World {
  Heard() {
    told = 0;
    restart();
  }
  std::vector<std::string> words(std::uint64_t after = 0) {
    std::vector<std::string> found;
    for (const EventDocument& event : events())
      if (event.sequence > after) found.push_back(event.what);
    return found;
  }
  std::uint64_t last() { return events().back().sequence; }
  EventDocument the_one(const std::string& what) {
    const std::vector<EventDocument> found = events(what);
    INFO(what);
    REQUIRE(found.size() == 1);
    return found.front();
  }
};

Digest digest_of(const std::string& text) {
  const Result<Envelope> envelope = parse_envelope(text);
  REQUIRE(envelope);
  return sha256(envelope->payload);
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("the life of a request is told, and each document has its answer", "[core][engine][event]") {
  Heard world;
  const Outcome asked = world.asked(kAlice, "both");
  const std::string by_carol = world.review(asked.id, "carol"), by_erin = world.review(asked.id, "erin");
  world.submitted(by_carol);
  world.submitted(by_erin);
  world.pass(4 * 3600 + 1);
  CHECK(world.words() == Words{"started", "filed", "reviewed", "reviewed", "active", "ended"});
  const EventDocument filed = world.the_one("filed");
  CHECK(filed.host == "db1");
  CHECK(filed.grant == world.record(asked.id).digest);
  CHECK_FALSE(filed.document);
  CHECK_FALSE(filed.ask);
  CHECK(filed.user == "alice");
  CHECK(filed.role == "both");
  CHECK(filed.state == "pending");
  CHECK(says(filed.why, "waiting for dba-leads"));
  const std::vector<EventDocument> reviewed = world.events("reviewed");
  CHECK(reviewed[0].document == digest_of(by_carol));
  CHECK(reviewed[0].by == "carol");
  CHECK(reviewed[0].why == "approved");
  CHECK(reviewed[1].document == digest_of(by_erin));
  const EventDocument active = world.the_one("active");
  CHECK(active.grant == filed.grant);
  CHECK(active.until == WallTime(Seconds(world.record(asked.id).not_after)));
  CHECK(active.by == "carol and erin");
  const EventDocument ended = world.the_one("ended");
  CHECK(ended.grant == filed.grant);
  CHECK(ended.state == "ended");
  CHECK(says(ended.why, "expired"));
  CHECK(ended.created == WallTime(Seconds(world.record(asked.id).ended)));
}

TEST_CASE("P2: what a grant left in files is told to others", "[core][engine][event]") {
  Heard world;
  const Outcome shell = world.active(kAlice, "shell");
  world.pass(2 * 3600);
  world.host.found_in_files = {{shell.id, "looked at 12 files\n/tmp/x was setuid root\n"}};
  world.engine->residue_found();
  const EventDocument residue = world.the_one("residue");
  CHECK(residue.grant == world.record(shell.id).digest);
  CHECK(residue.user == "alice");
  CHECK(residue.role == "shell");
  CHECK(says(residue.why, "left in files: /tmp/x was setuid root"));
  CHECK(residue.sequence == world.last());
}

TEST_CASE("an ask is behind every event of what came of it", "[core][engine][event]") {
  Heard world;
  world.may_ask("alice", "alice-laptop");
  world.reload();
  const std::uint64_t before = world.last();
  const std::string text = world.sign(world.ask_of("alice", "dba"), {"alice-laptop"});
  const Outcome asked = world.submitted(text);
  world.submitted(world.review(asked.id, "carol"));
  world.engine->release({kAlice, std::nullopt, 1}, "", true, [](auto) {});
  CHECK(world.words(before) == Words{"filed", "reviewed", "active", "ended"});
  for (const EventDocument& event : world.events())
    if (event.sequence > before) CHECK(event.ask == digest_of(text));
  CHECK(world.the_one("filed").document == digest_of(text));

  // And behind what it was answered by.
  const Outcome local = world.asked(kAlice, "both", kHour, "vacuum stuck");
  const std::string same = world.sign(world.ask_of("alice", "both"), {"alice-laptop"});
  CHECK(world.submitted(same).id == local.id);
  const EventDocument answer = world.events().back();
  CHECK(answer.what == "filed");
  CHECK(answer.document == digest_of(same));
  CHECK(answer.ask == digest_of(same));
  CHECK(answer.grant == world.record(local.id).digest);
}

TEST_CASE("refusals are told by what they refuse", "[core][engine][event]") {
  Heard world;
  world.may_ask("alice", "alice-laptop");
  world.reload();
  const std::uint64_t before = world.last();
  std::string text;
  SECTION("an ask that may not be") {
    text = world.sign(world.ask_of("alice", "never"), {"alice-laptop"});
    world.refused(text);
    const EventDocument event = world.the_one("refused");
    CHECK(event.ask == digest_of(text));
    CHECK(event.user == "alice");
    CHECK(event.role == "never");
    CHECK(event.why == "Call the duty manager.");
    CHECK_FALSE(event.grant);
  }
  SECTION("an ask that counts for nothing") {
    AskDocument ask = world.ask_of("alice", "dba");
    ask.hosts = {"db2"};
    text = world.sign(ask, {"alice-laptop"});
    world.refused(text);
    CHECK(says(world.the_one("refused").why, "this is for db2"));
  }
  SECTION("a direct grant") {
    text = world.sign(world.grant_of("alice", "nosuch"), {"dave"});
    world.refused(text);
    CHECK(world.the_one("refused").role == "nosuch");
  }
  SECTION("a review of something that is not there") {
    Review review = world.review_of("0000000000000000");
    review.request = sha256("nothing");
    text = world.sign(review, {"carol"});
    world.refused(text);
    CHECK(world.the_one("refused").grant == sha256("nothing"));
  }
  CHECK(world.the_one("refused").document == digest_of(text));
  world.refused(text);  // told once
  CHECK(world.words(before) == Words{"refused"});
}

TEST_CASE("what never came to life is told as refused, with what was signed about it", "[core][engine][event]") {
  Heard world;
  const Outcome asked = world.asked(kAlice, "dba");
  const std::uint64_t before = world.last();
  const std::string review = world.review(asked.id, "carol", false);
  world.submitted(review);
  CHECK(world.words(before) == Words{"reviewed", "refused"});
  CHECK(world.the_one("reviewed").document == digest_of(review));
  CHECK(world.the_one("reviewed").why == "denied");
  const EventDocument event = world.the_one("refused");
  CHECK(event.grant == world.record(asked.id).digest);
  CHECK(event.by == "carol");
  CHECK(says(event.why, "denied by carol"));
}

TEST_CASE("revocations, locks and their lifting are told with what they ended", "[core][engine][event]") {
  Heard world;
  world.active(kAlice, "dba");
  world.asked(kBob, "dba");
  Revocation revocation = world.revocation();
  revocation.users = {"alice"};
  const std::string revoked = world.sign(revocation, {"carol"});
  world.submitted(revoked);
  CHECK(world.the_one("revoked").document == digest_of(revoked));
  CHECK(world.the_one("revoked").why == "ended 1 grant or request: enough");
  CHECK(world.the_one("revoked").by == "carol");
  Lock lock = world.lock();
  lock.users = {"bob"};
  const std::string locked = world.sign(lock, {"erin"});
  world.submitted(locked);
  CHECK(world.the_one("locked").document == digest_of(locked));
  CHECK(world.the_one("locked").why == "ended 1 grant or request: laptop lost");
  Lock lift = world.lock();
  lift.lifts = {digest_of(locked)};
  const std::string lifted = world.sign(lift, {"erin"});
  world.submitted(lifted);
  CHECK(world.the_one("unlocked").document == digest_of(lifted));
  // The cause before what it brought about.
  CHECK(world.words(5) == Words{"revoked", "ended", "locked", "refused", "unlocked"});
}

TEST_CASE("a signature that comes too late to change anything has its answer, and that once",
          "[core][engine][event]") {
  Heard world;
  const Outcome granted = world.active(kAlice, "dba");
  const std::string late = world.review(granted.id, "dave");
  const std::uint64_t before = world.last();
  for (int i = 0; i < 3; ++i) CHECK(world.submitted(late).state == GrantState::active);
  world.restart();
  world.submitted(late);
  CHECK(world.words(before) == Words{"reviewed", "started"});
  const EventDocument event = world.events("reviewed").back();
  CHECK(event.document == digest_of(late));
  CHECK(event.grant == world.record(granted.id).digest);
  CHECK(event.state == "active");
}

TEST_CASE("a direct grant is told from its first signature on", "[core][engine][event]") {
  Heard world;
  const GrantDocument grant = world.grant_of("alice", "both");
  const std::uint64_t before = world.last();
  world.submitted(world.sign(grant, {"dave"}));
  world.submitted(world.sign(grant, {"erin"}));
  CHECK(world.words(before) == Words{"filed", "reviewed", "active"});
  const Digest digest = digest_of(world.sign(grant, {"dave"}));
  for (const EventDocument& event : world.events()) {
    if (event.sequence <= before) continue;
    CHECK(event.document == digest);
    CHECK(event.grant == digest);
  }
}

TEST_CASE("what strangers hand in makes no event, and neither does a wish that was denied here",
          "[core][engine][event]") {
  Heard world;
  const Outcome asked = world.asked(kAlice, "dba");
  const std::uint64_t before = world.last();
  world.refused(world.sign(world.review_of(asked.id), {"mallory"}));
  world.refused("nothing at all");
  std::string broken = world.review(asked.id, "carol");
  broken.replace(broken.find("approve"), 7, "APPROVE");
  world.refused(broken);
  world.request_refused(kAlice, "never");
  // What this host says itself, thrown back at it.
  world.refused(world.shown_to(0, asked.id)->document);
  const Result<std::vector<StoredEvent>> told = world.store->events(1, 1);
  REQUIRE(told);
  CHECK(says(world.refused(told->front().text), "it goes to them"));
  CHECK(world.last() == before);
}

TEST_CASE("without an outbox nobody is told, and no event is made", "[core][engine][event]") {
  World world;
  const Outcome granted = world.active(kAlice, "dba");
  world.submitted(world.review(granted.id, "dave"));
  CHECK(world.events().empty());
  CHECK(world.audit("answer").empty());
  // It comes while jitd runs, and goes again.
  world.engine->outbox(true, 0);
  world.asked(kBob, "dba");
  CHECK(world.events().size() == 1);
  world.engine->outbox(false, 0);
  world.pass(5 * 3600);
  CHECK(world.events().size() == 1);
}

TEST_CASE("P9: events are made with the entries that they tell of, or not at all", "[core][engine][event]") {
  Heard world;
  const Outcome asked = world.asked(kAlice, "dba");
  world.active(kBob, "dba");
  const std::uint64_t before = world.last();
  world.full_disk = true;
  world.refused(world.review(asked.id, "carol"));  // could not be kept: it does not count, and nobody is told so
  const std::int64_t released = world.clock.at.wall_ms / 1000;
  world.engine->release({kBob, std::nullopt, 1}, "", true, [](auto) {});
  CHECK(world.host.nothing_held());  // P6: the end did not wait
  world.clock.pass(30'000);
  world.engine->tick();
  CHECK(world.last() == before);
  world.full_disk = false;
  world.pass(2);
  CHECK(world.words(before) == Words{"ended"});
  CHECK(world.the_one("ended").created == WallTime(Seconds(released)));
  CHECK(world.submitted(world.review(asked.id, "carol")).state == GrantState::active);
  CHECK(world.words(before + 1) == Words{"reviewed", "active"});
}

TEST_CASE("P4, P9: killed anywhere, everything that is so was told once and in order", "[core][engine][event]") {
  const std::string role = GENERATE(as<std::string>{}, "dba", "shell");
  for (const bool before : {true, false}) {
    bool whole = false;
    std::size_t call = 1;
    for (; !whole; ++call) {
      REQUIRE(call < 200);
      Heard world;
      const Outcome asked = world.asked(kAlice, role);
      const std::string review = world.review(asked.id, "carol");
      world.plug.arm(call, before);
      try {
        world.submit(review);
        world.engine->release({kAlice, std::nullopt, 1}, asked.id, false, [](auto) {});
        whole = world.plug.armed();
      } catch (const PowerLoss&) {
      }
      world.plug.disarm();
      INFO("killed " << (before ? "before" : "after") << " call " << call);
      world.restart();
      const auto count = [&](const std::string& what) { return world.events(what).size(); };
      const GrantState state = world.state(asked.id);
      CHECK(count("filed") == 1);
      CHECK(count("reviewed") == (world.audit("review").empty() ? 0 : 1));
      CHECK(count("active") == (state == GrantState::active || world.audit("active").size() == 1 ? 1 : 0));
      world.submit(review);
      world.pass(5 * 3600);
      CHECK(world.state(asked.id) != GrantState::active);
      CHECK(count("filed") == 1);
      CHECK(count("active") <= 1);
      CHECK(count("ended") + count("refused") >= 1);
      CHECK(count("ended") == (world.state(asked.id) == GrantState::ended ? 1 : 0));
      Words about;
      for (const EventDocument& event : world.events())
        if (event.grant == world.record(asked.id).digest && event.what != "refused") about.push_back(event.what);
      const Words order{"filed", "reviewed", "active", "ended"};
      CHECK(
          std::ranges::is_sorted(about, {}, [&](const std::string& word) { return std::ranges::find(order, word); }));
    }
    CHECK(call > 4);
  }
}

TEST_CASE("sequences go on across starts, and across the loss of the database", "[core][engine][event]") {
  Heard world;
  world.restart();
  world.restart();
  CHECK(world.words() == Words{"started", "started", "started"});
  SECTION("a new database begins behind what the outbox told") {
    world.stop();
    Result<std::unique_ptr<Store>> fresh = Store::open(":memory:");
    REQUIRE(fresh);
    world.store = std::move(*fresh);
    world.told = 3;
    world.lost = "jit.db is gone";
    world.start();
    const std::vector<EventDocument> events = world.events();
    REQUIRE(events.size() == 1);
    CHECK(events[0].sequence == 4);
    CHECK(events[0].what == "started");
    CHECK(events[0].why == "jit.db is gone");
    CHECK(world.engine->outgoing().events.first == 4);
    CHECK(world.engine->outgoing().events.last == 4);
  }
  SECTION("an outbox that tells less than the database takes nothing back") {
    world.told = 1;
    world.restart();
    CHECK(world.last() == 4);
  }
}

TEST_CASE("events are kept so many, and so long", "[core][engine][event]") {
  Heard world;
  for (int i = 0; i < 40; ++i) world.restart();
  CHECK(world.engine->outgoing().events.first == 1);
  SECTION("so long") {
    world.pass(14 * 24 * 3600 + 60);
    REQUIRE(world.engine->alive());
    CHECK(world.engine->outgoing().events.first == world.engine->outgoing().events.last + 1);
    world.restart();
    CHECK(world.last() == 42);
    CHECK(world.events().size() == 1);
  }
  SECTION("so many") {
    const std::uint64_t number = EventLog::kKept + 100;
    while (world.engine->outgoing().events.last < number) {
      Lock lock = world.lock();
      lock.users = {"nobody-of-ours"};
      world.submitted(world.sign(lock, {"erin"}));
    }
    CHECK(world.engine->outgoing().events.last == number);
    CHECK(world.engine->outgoing().events.first == 101);
    CHECK(world.events().size() == EventLog::kKept);
  }
}

TEST_CASE("P10: what is told is one line of bounded length", "[core][engine][event]") {
  Heard world;
  const Outcome asked = world.asked(kAlice, "dba", std::nullopt, std::string(1024, 'x'));
  Review review = world.review_of(asked.id);
  review.comment = std::string(1024, 'y');
  world.submitted(world.sign(review, {"carol"}));
  CHECK(world.the_one("active").why.size() <= kMaxReason);
  CHECK(says(world.the_one("active").why, "xxx"));
  CHECK(world.the_one("reviewed").why.size() <= kMaxReason);
  CHECK(world.words() == Words{"started", "filed", "reviewed", "active"});
}

TEST_CASE("the heartbeat tells how far it has come, and is no event", "[core][engine][event]") {
  Heard world;
  world.asked(kAlice, "dba");
  const std::uint64_t news = world.engine->news();
  const Result<std::string> text = world.engine->alive();
  REQUIRE(text);
  CHECK(world.engine->news() == news);
  Result<Envelope> envelope = parse_envelope(*text);
  REQUIRE(envelope);
  const Result<Verified> verified = verify_document(std::move(*envelope), world.view()->trust, "alive");
  REQUIRE(verified);
  const EventDocument& alive = std::get<EventDocument>(verified->document);
  CHECK(alive.what == "alive");
  CHECK(alive.sequence == 2);
  CHECK(alive.entry == world.audit().back().sequence);
  CHECK(alive.head == world.audit().back().hash);
  CHECK(world.last() == 2);
}

TEST_CASE("refusals are bounded: what one signer has refused is counted from some number on",
          "[core][engine][event]") {
  Heard world;
  world.may_ask("alice", "alice-laptop");
  world.reload();
  const bool theirs = GENERATE(true, false);  // asks that are denied, and asks that count for nothing
  for (int i = 0; i < 100; ++i) {
    AskDocument ask = world.ask_of("alice", "never");
    if (!theirs) ask.hosts = {"db2"};
    world.refused(world.sign(ask, {"alice-laptop"}));
    world.clock.pass(2100);
  }
  CHECK(world.events("refused").size() == 10);
  CHECK(world.audit(theirs ? "deny" : "refuse").size() == 10);
  world.pass(3600);
  const std::vector<EventDocument> refused = world.events("refused");
  REQUIRE(refused.size() == 11);
  CHECK(says(refused.back().why, "in an hour: 90 others"));
  const std::vector<ChainEntry> noted = world.audit(theirs ? "deny" : "refuse");
  REQUIRE(noted.size() == 11);
  CHECK(noted.back().fields.at("count") == "90");
}

TEST_CASE("a request lies in the outbox from its record on until it waits no longer", "[core][engine][event]") {
  Heard world;
  CHECK(world.engine->outgoing().waiting.empty());
  const std::uint64_t news = world.engine->news();
  const Outcome asked = world.asked(kAlice, "dba");
  CHECK(world.engine->news() != news);
  const Digest digest = world.record(asked.id).digest;
  CHECK(world.engine->outgoing().waiting == std::vector<Digest>{digest});
  CHECK(world.engine->waiting_text(digest) == world.shown_to(0, asked.id)->document);
  world.submitted(world.sign(world.grant_of("bob", "both"), {"dave"}));  // a direct grant is its approvers' own
  CHECK(world.engine->outgoing().waiting.size() == 1);
  world.full_disk = true;
  world.engine->release({kAlice, std::nullopt, 1}, "", true, [](auto) {});
  CHECK(world.engine->outgoing().waiting.empty());
}

TEST_CASE("refusals of an hour are told one by one, then counted", "[core]") {
  Denials denials;
  for (int i = 0; i < 3; ++i) CHECK(denials.single("user alice", {{"user", "alice"}}, 3, 1000));
  CHECK_FALSE(denials.due_boot_ms());
  CHECK_FALSE(denials.single("user alice", {{"user", "alice"}}, 3, 2000));
  CHECK(denials.single("user bob", {}, 3, 2000));
  CHECK(denials.due_boot_ms() == 3'601'000U);
  CHECK(denials.over(3'600'999).empty());
  const auto counted = denials.over(3'601'000);
  REQUIRE(counted.size() == 1);
  CHECK(counted[0].who.at("user") == "alice");
  CHECK(counted[0].count == 1);
  CHECK(denials.single("user alice", {}, 3, 3'602'000));
}

// Not a test: how long a thousand ends take, with somebody to tell and without. unit_core "[.timing]"
TEST_CASE("a thousand grants that end together, told and not told", "[.timing]") {
  for (const bool heard : {false, true, false, true}) {
    World world;
    world.policy_text +=
        "\n[roles.all]\neligible = [\"*\"]\ngroups = [\"www\"]\n[[roles.all.rules]]\nthen = \"approve\"\n";
    world.reload();
    if (heard) world.engine->outbox(true, 0);
    for (std::uint32_t i = 0; i < 1000; ++i) {
      const std::string name = "u" + std::to_string(i);
      world.questions.accounts[name] = {name, 3000 + i, 100, {"users"}};
      world.asked(3000 + i, "all", kHour);
    }
    const auto from = std::chrono::steady_clock::now();
    world.clock.pass(3600 * 1000);
    world.engine->tick();
    const auto took = std::chrono::steady_clock::now() - from;
    CHECK(world.host.nothing_held());
    std::cerr << (heard ? "told:     " : "not told: ") << std::chrono::duration<double, std::milli>(took).count()
              << " ms\n";
  }
}
