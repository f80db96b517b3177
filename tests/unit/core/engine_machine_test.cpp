// A host that was copied, or moved, gives nothing new until root has said which of the two it is.
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

constexpr const char* kUnknown = "this is not the machine of its key: jitctl enrol";

// A host with a grant in force and a request that waits, found on another machine by the next start.
struct Copied : World {
  Copied() {
    told = 0;
    restart();
    granted = active(kAlice, "dba");
    waits = asked(kBob, "dba");
    machine = {sha256("other"), kUnknown};
    reboot(10'000);
  }
  void enrol(bool new_key) {
    machine = {sha256("other"), ""};
    const auto before = view();
    const auto after = with_identity(*before, key(new_key ? "host2" : "host"), machine);
    engine->enrolled({0, 1000, 1}, after, new_key);
  }
  Outcome granted, waits;
};

}  // namespace

TEST_CASE("P1, P7: on another machine nothing new is given, and what was in force is over",
          "[core][engine][machine]") {
  Copied world;
  CHECK(world.host.nothing_held());
  CHECK(world.state(world.granted.id) == GrantState::ended);
  CHECK(says(world.record(world.granted.id).why, "jitctl enrol"));
  CHECK(says(world.request_refused(kAlice, "auto"), "jitctl enrol"));
  CHECK(says(world.refused(world.review(world.waits.id, "carol")), "jitctl enrol"));
  CHECK(says(world.refused(world.sign(world.grant_of("alice", "dba"), {"dave"})), "jitctl enrol"));
  CHECK(world.state(world.waits.id) == GrantState::pending);
  CHECK(world.audit("review").size() == 1);
  REQUIRE(world.engine->health().warnings.size() == 1);
  CHECK(says(world.engine->health().warnings[0], "jitctl enrol"));
  // Whatever takes away works as always.
  CHECK(world.submitted(world.review(world.waits.id, "carol", false)).state == GrantState::refused);
  Lock lock = world.lock();
  lock.users = {"alice"};
  world.submitted(world.sign(lock, {"erin"}));
  Revocation revocation = world.revocation();
  revocation.all = true;
  world.submitted(world.sign(revocation, {"erin"}));
  CHECK(world.events().back().machine == digest_text(sha256("other")));
}

TEST_CASE("a host that was moved goes on with its key once root has said so", "[core][engine][machine]") {
  Copied world;
  const std::uint64_t last = world.events().back().sequence;
  world.enrol(false);
  CHECK(world.engine->health().warnings.empty());
  CHECK(world.submitted(world.review(world.waits.id, "carol")).state == GrantState::active);
  CHECK(world.state(world.granted.id) == GrantState::ended);
  REQUIRE(world.audit("enrol").size() == 1);
  CHECK(world.audit("enrol")[0].fields.at("key") == "kept");
  CHECK(world.audit("enrol")[0].fields.at("loginuid") == "1000");
  CHECK(world.events().front().sequence == 1);
  CHECK(world.events().at(last).what == "started");
  CHECK(says(world.events().at(last).why, "enrolled by root"));
  world.restart();
  CHECK(world.state(world.waits.id) == GrantState::active);
}

TEST_CASE("a consent that was complete before the move counts after it", "[core][engine][machine]") {
  World world;
  const Outcome asked = world.asked(kAlice, "dba");
  world.questions.silent = true;
  world.submitted(world.review(asked.id, "carol"));
  world.machine = {sha256("other"), kUnknown};
  world.questions.silent = false;
  world.restart();
  CHECK(world.state(asked.id) == GrantState::pending);
  CHECK(says(world.record(asked.id).why, "jitctl enrol"));
  CHECK(world.host.nothing_held());
  world.machine.unknown.clear();
  world.engine->enrolled({0, std::nullopt, 1}, world.view(), false);
  CHECK(world.state(asked.id) == GrantState::active);
}

TEST_CASE("P7: a copy gets a key of its own, and nothing that was signed for the other host counts on it",
          "[core][engine][machine]") {
  Copied world;
  const std::uint64_t last = world.events().back().sequence;
  const std::string review = world.review(world.waits.id, "carol");
  world.enrol(true);
  CHECK(world.state(world.waits.id) == GrantState::refused);
  CHECK(says(world.record(world.waits.id).why, "a new key"));
  CHECK(says(world.refused(review), "is over"));
  CHECK(world.engine->outgoing().waiting.empty());
  // What is told from now on is told under the new key, and nothing of before is told as its own.
  CHECK(world.engine->outgoing().events.first == last + 1);
  const Result<std::vector<StoredEvent>> told = world.store->events(1, 100);
  REQUIRE(told);
  for (const StoredEvent& event : *told) {
    const Result<Envelope> envelope = parse_envelope(event.text);
    REQUIRE(envelope);
    const Result<Signature> signature = parse_signature(envelope->signatures.front());
    REQUIRE(signature);
    CHECK(signature->key == world.key("host2").public_key());
  }
  REQUIRE(world.audit("enrol").size() == 1);
  CHECK(world.audit("enrol")[0].fields.at("key") == "new");
  // And it works from there on.
  const Outcome asked = world.asked(kAlice, "auto");
  CHECK(asked.state == GrantState::active);
}
