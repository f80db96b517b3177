// Direct grants, revocations, locks: the documents that come without a request.
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

TEST_CASE("a direct grant is judged like a request by the first rule that matches", "[core][engine]") {
  World world;
  GrantDocument grant = world.grant_of("alice", "dba");
  SECTION("enough signatures give it") {
    const Outcome granted = world.submitted(world.sign(grant, {"dave"}));
    CHECK(granted.state == GrantState::active);
    CHECK(world.host.member("alice", "postgres"));
    CHECK(world.record(granted.id).not_after == kStart + 3600);
    CHECK(world.submitted(world.sign(grant, {"dave"})).id == granted.id);
    world.pass(3600);
    CHECK(world.host.nothing_held());
    // P7: the same file again makes nothing.
    CHECK(says(world.refused(world.sign(grant, {"dave"})), "has been here before and is over"));
    world.restart();
    CHECK(says(world.refused(world.sign(grant, {"dave", "carol"})), "has been here before and is over"));
  }
  SECTION("too few wait, and signatures merge") {
    grant.role = "both";
    const Outcome half = world.submitted(world.sign(grant, {"dave"}));
    CHECK(half.state == GrantState::pending);
    CHECK(half.message == "waiting for security: 1 of erin");
    world.restart();
    CHECK(world.submitted(world.sign(grant, {"erin"})).state == GrantState::active);
  }
  SECTION("a rule that approves by itself still needs one approver of the role, here a revoker") {
    grant.role = "auto";
    CHECK_FALSE(world.refused(world.sign(grant, {"dave"})).starts_with("accepted"));
    CHECK(world.host.nothing_held());
    CHECK(world.submitted(world.sign(grant, {"erin"})).state == GrantState::active);
  }
  SECTION("by segment, and by the host's key") {
    grant.hosts.clear();
    grant.segments = {"web", "pci-db"};
    CHECK(world.submitted(world.sign(grant, {"dave"})).state == GrantState::active);
  }
  SECTION("P7: not for this host") {
    grant.hosts = {"db2"};
    CHECK(says(world.refused(world.sign(grant, {"dave"})), "this is for db2, and this host is db1"));
    grant.hosts.clear();
    grant.segments = {"web"};
    CHECK(says(world.refused(world.sign(grant, {"dave"})), "this is for segment web"));
    grant = world.grant_of("alice", "dba");
    grant.host_key = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    CHECK(says(world.refused(world.sign(grant, {"dave"})), "host key"));
  }
  SECTION("over the limit, over the ceiling, for nobody, for root") {
    grant.duration = kHour * 5;
    CHECK(says(world.refused(world.sign(grant, {"dave"})), "at most 4h"));
    grant = world.grant_of("alice", "dba");
    grant.activate_by = grant.created + std::chrono::days(15);
    CHECK(says(world.refused(world.sign(grant, {"dave"})), "further than"));
    CHECK_FALSE(world.refused(world.sign(world.grant_of("ghost", "dba"), {"dave"})).starts_with("accepted"));
    CHECK_FALSE(world.refused(world.sign(world.grant_of("root", "dba"), {"dave"})).starts_with("accepted"));
    CHECK_FALSE(world.refused(world.sign(world.grant_of("alice", "nope"), {"dave"})).starts_with("accepted"));
    CHECK(world.host.nothing_held());
  }
  SECTION("not eligible") {
    CHECK(says(world.refused(world.sign(world.grant_of("erin", "dba"), {"dave"})), "not eligible"));
  }
  SECTION("not before its time, not after its end") {
    grant.not_before = world.now() + kHour;
    grant.not_after = world.now() + kHour * 3;
    grant.duration.reset();
    grant.activate_by.reset();
    const Outcome waits = world.submitted(world.sign(grant, {"dave"}));
    CHECK(waits.state == GrantState::pending);
    CHECK(says(waits.message, "starts at 2027-01-15T09:00:00Z"));
    world.pass(3599);
    CHECK(world.host.nothing_held());
    world.restart();
    world.pass(1);
    CHECK(world.state(waits.id) == GrantState::active);
    CHECK(world.record(waits.id).not_after == kStart + 3 * 3600);
    world.pass(7200);
    CHECK(world.host.nothing_held());
  }
  SECTION("activate_by passes while it waits") {
    grant.role = "both";
    grant.activate_by = world.now() + kMinute;
    const Outcome waits = world.submitted(world.sign(grant, {"dave"}));
    world.pass(60);
    CHECK(world.state(waits.id) == GrantState::refused);
    CHECK(says(world.refused(world.sign(grant, {"dave", "erin"})), "expired"));
  }
  SECTION("P7: the user is renumbered before the last signature comes") {
    grant.role = "both";
    world.submitted(world.sign(grant, {"dave"}));
    world.questions.accounts["alice"].uid = 3000;
    CHECK_FALSE(world.refused(world.sign(grant, {"erin"})).starts_with("accepted"));
    CHECK(world.host.nothing_held());
  }
}

TEST_CASE("a revocation ends what it names, by one who may, at once and once", "[core][engine]") {
  World world;
  const Outcome alice = world.active(kAlice, "dba");
  const Outcome bob = world.active(kBob, "dba");
  const Outcome waits = world.asked(kAlice, "both");
  Revocation revocation = world.revocation();
  SECTION("by digest") {
    revocation.requests = {world.record(alice.id).digest};
    CHECK(world.submitted(world.sign(revocation, {"dave"})).message == "ended 1 grant or request");
    CHECK(world.record(alice.id).why == "revoked by dave: enough");
    CHECK_FALSE(world.host.member("alice", "postgres"));
    CHECK(world.host.member("bob", "postgres"));
    CHECK_FALSE(world.host.disk.contains(alice.id));  // settled: the database knows
  }
  SECTION("by user, active and pending") {
    revocation.users = {"alice"};
    CHECK(world.submitted(world.sign(revocation, {"erin"})).message == "ended 2 grants and requests");
    CHECK(world.state(waits.id) == GrantState::refused);
    CHECK(world.state(bob.id) == GrantState::active);
  }
  SECTION("by approver: what they consented to") {
    const Outcome other = world.asked(kDeploy, "dba");
    world.submitted(world.review(other.id, "dave"));
    revocation.approvers = {"carol"};
    CHECK(world.submitted(world.sign(revocation, {"erin"})).message == "ended 2 grants and requests");
    CHECK(world.state(other.id) == GrantState::active);
    // and what they signed before it counts no more
    Review old = world.review_of(waits.id);
    old.created = world.now() - kMinute;
    world.submitted(world.sign(old, {"carol"}));
    CHECK(world.submitted(world.review(waits.id, "erin")).state == GrantState::pending);
    world.pass(1);
    CHECK(world.submitted(world.review(waits.id, "carol")).state == GrantState::active);
  }
  SECTION("all, and a copy of it later ends nothing new") {
    revocation.all = true;
    const std::string text = world.sign(revocation, {"erin"});
    CHECK(world.submitted(text).message == "ended 3 grants and requests");
    CHECK(world.host.nothing_held());
    world.pass(60);
    const Outcome again = world.active(kBob, "dba");
    CHECK(world.submitted(text).message == "this revocation has been here before");
    world.restart();
    CHECK(world.submitted(text).message == "this revocation has been here before");
    CHECK(world.state(again.id) == GrantState::active);
  }
  SECTION("what was made before it and comes later is refused; what was made after it is not") {
    world.pass(1);
    GrantDocument before = world.grant_of("bob", "dba");
    world.pass(60);
    revocation = world.revocation();
    revocation.users = {"bob"};
    world.submitted(world.sign(revocation, {"carol"}));
    CHECK(says(world.refused(world.sign(before, {"dave"})), "revoked by carol"));
    world.restart();
    CHECK(says(world.refused(world.sign(before, {"dave"})), "revoked by carol"));
    world.pass(1);
    CHECK(world.submitted(world.sign(world.grant_of("bob", "dba"), {"dave"})).state == GrantState::active);
  }
  SECTION("by digest, before the document comes") {
    const GrantDocument grant = world.grant_of("deploy", "dba");
    revocation.grants = {sha256(to_payload(grant))};
    world.submitted(world.sign(revocation, {"carol"}));
    CHECK(says(world.refused(world.sign(grant, {"dave"})), "revoked by carol"));
  }
  SECTION("by those who may not") {
    revocation.users = {"alice"};
    CHECK(says(world.refused(world.sign(revocation, {"alice"})), "approves no role here"));
    CHECK_FALSE(world.refused(world.sign(revocation, {"mallory"})).starts_with("accepted"));
    // dave approves dba and both, not auto
    world.asked(kAlice, "auto");
    CHECK(says(world.refused(world.sign(revocation, {"dave"})), "touches role auto"));
    CHECK(world.state(alice.id) == GrantState::active);
  }
  SECTION("too old, too new, elsewhere") {
    revocation.all = true;
    revocation.created = world.now() - std::chrono::days(14) - kMinute;
    CHECK(says(world.refused(world.sign(revocation, {"erin"})), "sign a new one"));
    revocation.created = world.now() + kMinute * 6;
    CHECK(says(world.refused(world.sign(revocation, {"erin"})), "one of the clocks is wrong"));
    revocation = world.revocation();
    revocation.all = true;
    revocation.hosts = {"db2"};
    CHECK(says(world.refused(world.sign(revocation, {"erin"})), "this is for db2"));
    CHECK(world.state(alice.id) == GrantState::active);
  }
  CHECK(world.inconsistency().empty());
}

TEST_CASE("direct grants that wait for their time are bounded, each user's for itself", "[core][engine]") {
  World world;
  world.config.pending_per_user = 2;
  world.reload();
  const auto later_for = [&](const std::string& user) {
    GrantDocument grant = world.grant_of(user, "dba");
    grant.not_before = world.now() + kHour;
    return world.sign(grant, {"carol"});
  };
  world.submitted(later_for("alice"));
  world.submitted(later_for("alice"));
  CHECK(says(world.refused(later_for("alice")), "wait here already"));
  world.submitted(later_for("bob"));
}

TEST_CASE("a lock refuses what comes; nothing counts whose signer was locked when it came", "[core][engine]") {
  World world;
  Lock lock = world.lock();
  SECTION("a user: active and pending end, nothing new") {
    const Outcome active = world.active(kAlice, "dba");
    const Outcome waits = world.asked(kAlice, "both");
    lock.users = {"alice"};
    const auto barred = [&](std::uint32_t uid) {
      std::string why = "no answer";
      world.engine->barred({uid, std::nullopt, 1},
                           [&](Result<std::string> said) { why = said.value_or("an error"); });
      return why;
    };
    CHECK(barred(kAlice).empty());
    world.submitted(world.sign(lock, {"erin"}));
    CHECK(barred(kAlice) == "locked by erin: laptop lost");
    CHECK(barred(kBob).empty());
    CHECK(barred(0).empty());
    CHECK(world.record(active.id).why == "locked by erin: laptop lost");
    CHECK(world.state(waits.id) == GrantState::refused);
    CHECK(says(world.request_refused(kAlice, "dba"), "locked by erin"));
    CHECK(says(world.refused(world.sign(world.grant_of("alice", "dba"), {"dave"})), "locked by erin"));
    // nor behind another account
    const std::optional<Result<Outcome>> hidden = world.ask(kDeploy, "dba", std::nullopt, "why", kAlice);
    CHECK((hidden && !*hidden));
    world.restart();
    CHECK(says(world.request_refused(kAlice, "dba"), "locked by erin"));
  }
  SECTION("an approver: their consents stop counting, before and after") {
    const Outcome active = world.active(kAlice, "dba");
    const Outcome waits = world.asked(kBob, "both");
    world.submitted(world.review(waits.id, "carol"));
    lock.approvers = {"carol"};
    world.submitted(world.sign(lock, {"erin"}));
    CHECK(world.state(active.id) == GrantState::ended);
    CHECK(world.submitted(world.review(waits.id, "erin")).state == GrantState::pending);
    const Outcome later = world.asked(kAlice, "dba");
    CHECK(says(world.refused(world.review(later.id, "carol")), "locked"));
    CHECK(world.host.nothing_held());
  }
  SECTION("a key") {
    const Outcome active = world.active(kAlice, "dba");
    lock.keys = {fingerprint(world.key("carol").public_key())};
    world.submitted(world.sign(lock, {"erin"}));
    CHECK(world.state(active.id) == GrantState::ended);
    CHECK(world.host.nothing_held());
  }
  SECTION("what a locked signer signed stays void when the lock is lifted") {
    const Outcome waits = world.asked(kBob, "both");
    lock.approvers = {"carol"};
    world.submitted(world.sign(lock, {"erin"}));
    // erin's signature carries the review in; carol's beside it arrives while she is locked
    const std::string review = world.sign(world.review_of(waits.id), {"carol", "erin"});
    CHECK(world.submitted(review).state == GrantState::pending);
    Lock unlock = world.lock();
    unlock.lifts = {sha256(to_payload(lock))};
    world.submitted(world.sign(unlock, {"erin"}));
    CHECK(world.state(waits.id) == GrantState::pending);
    CHECK(world.submitted(review).state == GrantState::pending);  // handed in again: it arrived then
    CHECK(world.submitted(world.review(waits.id, "carol")).state == GrantState::active);
  }
  SECTION("until a time") {
    lock.users = {"alice"};
    lock.until = world.now() + kHour;
    world.submitted(world.sign(lock, {"erin"}));
    CHECK(says(world.request_refused(kAlice, "dba"), "locked by erin"));
    world.pass(3600);
    CHECK(world.asked(kAlice, "dba").state == GrantState::pending);
  }
  SECTION("until a time, and what waited for it goes on by itself") {
    const Outcome waits = world.asked(kAlice, "dba");
    lock.approvers = {"carol"};
    lock.until = world.now() + kHour;
    const Outcome both = world.asked(kBob, "both");
    world.submitted(world.review(both.id, "carol"));
    world.submitted(world.sign(lock, {"erin"}));
    world.submitted(world.review(both.id, "erin"));
    CHECK(world.state(both.id) == GrantState::pending);
    CHECK(world.state(waits.id) == GrantState::pending);
    world.pass(3600);
    CHECK(world.state(both.id) == GrantState::pending);  // the reviews have expired by then
  }
  SECTION("only by those who may, and nobody unlocks themselves") {
    lock.users = {"alice"};
    CHECK(says(world.refused(world.sign(lock, {"dave"})), "may not lock here"));
    lock.users = {"erin"};
    world.submitted(world.sign(lock, {"erin"}));  // who is to stop her
    Lock unlock = world.lock();
    unlock.lifts = {sha256(to_payload(lock))};
    CHECK(says(world.refused(world.sign(unlock, {"erin"})), "nobody unlocks themselves"));
    world.trust("erin", "erin-second");
    world.reload();
    CHECK(says(world.refused(world.sign(unlock, {"erin-second"})), "nobody unlocks themselves"));
    unlock.lifts = {sha256("no lock")};
    CHECK(says(world.refused(world.sign(unlock, {"erin"})), "no such lock"));
  }
  SECTION("a locked key does not unlock itself by the person's other key") {
    world.trust("erin", "erin-second");
    world.reload();
    lock.keys = {fingerprint(world.key("erin").public_key())};
    world.submitted(world.sign(lock, {"erin-second"}));
    Lock unlock = world.lock();
    unlock.lifts = {sha256(to_payload(lock))};
    CHECK(says(world.refused(world.sign(unlock, {"erin-second"})), "nobody unlocks themselves"));
  }
  SECTION("without the set any approver may") {
    world.policy_text.erase(world.policy_text.find("revokers = [\"erin\"]"), 19);
    world.reload();
    lock.users = {"alice"};
    world.submitted(world.sign(lock, {"dave"}));
    CHECK(says(world.request_refused(kAlice, "dba"), "locked by dave"));
  }
  SECTION("local root lifts it, audited with the login behind") {
    lock.users = {"alice", "bob"};
    world.submitted(world.sign(lock, {"erin"}));
    std::optional<Result<Outcome>> lifted;
    world.engine->lift({0, kBob, 1}, "alice", [&](Result<Outcome> got) { lifted = std::move(got); });
    REQUIRE((lifted && *lifted));
    CHECK(world.asked(kAlice, "dba").state == GrantState::pending);
    CHECK(says(world.request_refused(kBob, "dba"), "locked by erin"));
    CHECK(world.audit("lift").at(0).fields.at("loginuid") == std::to_string(kBob));
    world.restart();
    CHECK(says(world.request_refused(kBob, "dba"), "locked by erin"));
  }
}
