// What somebody asks for on another machine: one request of this host, on the way of any other wish.
#include <algorithm>

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

// alice and bob may ask from elsewhere, each with a key of their own.
struct Elsewhere : World {
  Elsewhere() {
    may_ask("alice", "alice-laptop");
    may_ask("bob", "bob-laptop");
    reload();
  }
  std::string asks(const AskDocument& ask) { return sign(ask, {ask.user + "-laptop"}); }
  std::string asks(const std::string& user, const std::string& role) { return asks(ask_of(user, role)); }
  std::size_t requests() { return audit("request").size(); }
  Request request(const std::string& id) {
    const auto view = shown_to(0, id);
    REQUIRE(view);
    const Result<Envelope> envelope = parse_envelope(view->document);
    REQUIRE(envelope);
    const Result<Document> document = parse_document(envelope->payload, "a request");
    if (!document) FAIL(document.error().message);
    return std::get<Request>(*document);
  }
};

Digest digest_of(const std::string& text) {
  const Result<Envelope> envelope = parse_envelope(text);
  REQUIRE(envelope);
  return sha256(envelope->payload);
}

}  // namespace

TEST_CASE("an ask from elsewhere becomes this host's request, is approved, and ends", "[core][engine][ask]") {
  Elsewhere world;
  AskDocument ask = world.ask_of("alice", "dba");
  ask.ticket = "OPS-17";
  const std::string text = world.asks(ask);
  const Outcome filed = world.submitted(text);
  CHECK(filed.state == GrantState::pending);
  CHECK(says(filed.message, "waiting for dba-leads"));
  const Request request = world.request(filed.id);
  CHECK(request.origin == "ask");
  CHECK(request.ask == digest_of(text));
  CHECK(request.user == "alice");
  CHECK(request.uid == kAlice);
  CHECK(request.requesters == std::vector<PersonRef>{{"alice", false}});
  CHECK(request.reason == ask.reason);
  CHECK(request.ticket == "OPS-17");
  CHECK(request.duration == kHour);
  CHECK(request.created == world.now());
  const std::vector<ChainEntry> noted = world.audit("request");
  REQUIRE(noted.size() == 1);
  CHECK(noted[0].fields.at("origin") == "ask");
  CHECK(noted[0].fields.at("ask") == digest_text(digest_of(text)));
  CHECK(noted[0].fields.at("signed_by") == "alice");

  CHECK(world.submitted(world.review(filed.id, "carol")).state == GrantState::active);
  CHECK(world.host.member("alice", "postgres"));
  world.pass(3601);
  CHECK(world.state(filed.id) == GrantState::ended);
  CHECK(world.host.nothing_held());
}

TEST_CASE("a rule that approves by itself does so for an ask, and a start is waited for", "[core][engine][ask]") {
  Elsewhere world;
  AskDocument ask = world.ask_of("alice", "auto");
  SECTION("at once") {
    ask.duration.reset();
    const Outcome granted = world.submitted(world.asks(ask));
    CHECK(granted.state == GrantState::active);
    CHECK(world.record(granted.id).duration == kHour);  // what the host takes for it
  }
  SECTION("at its start") {
    ask.start = world.now() + kHour;
    const Outcome waits = world.submitted(world.asks(ask));
    CHECK(waits.state == GrantState::pending);
    world.pass(3601);
    CHECK(world.state(waits.id) == GrantState::active);
  }
}

TEST_CASE("P7: an ask counts here, now and from its user alone", "[core][engine][ask]") {
  Elsewhere world;
  AskDocument ask = world.ask_of("alice", "dba");
  std::string why;
  SECTION("for another host") {
    ask.hosts = {"db2"};
    why = world.refused(world.asks(ask));
    CHECK(says(why, "this is for db2, and this host is db1"));
  }
  SECTION("for another segment") {
    ask.hosts.clear();
    ask.segments = {"web"};
    why = world.refused(world.asks(ask));
    CHECK(says(why, "segment web"));
  }
  SECTION("from the future") {
    ask.created = world.now() + kHour;
    why = world.refused(world.asks(ask));
    CHECK(says(why, "one of the clocks is wrong"));
  }
  SECTION("expired") {
    ask.created = world.now() - kHour * 2;
    ask.expires = world.now();
    why = world.refused(world.asks(ask));
    CHECK(says(why, "it expired at"));
  }
  SECTION("older than anything may be") {
    ask.created = world.now() - Seconds(std::chrono::days(15));
    why = world.refused(world.asks(ask));
    CHECK(says(why, "sign a new one"));
  }
  SECTION("reaching further than anything may") {
    ask.expires = ask.created + Seconds(std::chrono::days(15));
    why = world.refused(world.asks(ask));
    CHECK(says(why, "reaches further"));
  }
  SECTION("signed by somebody else who may ask") {
    why = world.refused(world.sign(ask, {"bob-laptop"}));
    CHECK(says(why, "who cannot ask for alice"));
  }
  SECTION("signed by a key that stands among the approvers alone") {
    why = world.refused(world.sign(ask, {"carol"}));
    CHECK(says(why, "not listed in requesters"));
  }
  SECTION("signed by nobody whom this host knows") {
    why = world.refused(world.sign(ask, {"mallory"}));
    CHECK(says(why, "not listed in requesters"));
  }
  SECTION("with a key that is valid no longer") {
    world.askers.clear();
    world.may_ask("alice", "alice-laptop", "valid-before=\"20270115Z\"");
    world.reload();
    why = world.refused(world.asks(ask));
    CHECK(says(why, "does not count"));
  }
  SECTION("with a key that stands under two persons") {
    world.may_ask("bob", "alice-laptop");
    world.reload();
    why = world.refused(world.asks(ask));
    CHECK(says(why, "is void"));
  }
  SECTION("for an account that is not there") {
    world.questions.accounts.erase("alice");
    why = world.refused(world.asks(ask));
    CHECK(says(why, "user alice"));
  }
  SECTION("for an account that name services call otherwise") {
    world.questions.accounts["alice"].name = "Alice";
    why = world.refused(world.asks(ask));
    CHECK(says(why, "called otherwise"));
  }
  SECTION("for root") {
    world.may_ask("root", "root-laptop");
    world.reload();
    why = world.refused(world.asks("root", "dba"));
    CHECK(says(why, "root needs no grant"));
  }
  SECTION("with a blank for a reason") {
    ask.reason = " ";
    why = world.refused(world.asks(ask));
    CHECK(says(why, "say why"));
  }
  CHECK(world.requests() == 0);
  CHECK(world.host.nothing_held());
}

TEST_CASE("P7: one ask makes one request, ever", "[core][engine][ask]") {
  Elsewhere world;
  const std::string role = GENERATE(as<std::string>{}, "dba", "auto");
  const std::string text = world.asks("alice", role);
  const Outcome first = world.submitted(text);
  const auto again = [&] {
    const Outcome copy = world.submitted(text);
    CHECK(copy.id == first.id);
    return copy;
  };
  CHECK(again().state == first.state);
  world.restart();
  again();
  if (role == "dba") world.submitted(world.review(first.id, "carol"));
  CHECK(again().state == GrantState::active);
  world.engine->release({kAlice, std::nullopt, 1}, "", true, [](auto) {});
  CHECK(again().state == GrantState::ended);
  world.restart();
  CHECK(again().state == GrantState::ended);
  CHECK(says(again().message, "released by alice"));
  world.reboot(1000);
  CHECK(again().state == GrantState::ended);
  CHECK(world.requests() == 1);
  CHECK(world.host.nothing_held());
  world.pass(9 * 3600);  // it could still come in
  CHECK(again().state == GrantState::ended);
  world.pass(3 * 24 * 3600);  // its digest is forgotten, as its time is past
  CHECK(says(world.refused(text), "it expired at"));
  CHECK(world.requests() == 1);
}

TEST_CASE("P7: a clock that was set back does not bring back an ask that was forgotten", "[core][engine][ask]") {
  Elsewhere world;
  const std::string text = world.asks("alice", "auto");
  world.submitted(text);
  world.pass(3 * 24 * 3600);
  world.clock.at.wall_ms -= 3LL * 24 * 3600 * 1000;
  CHECK(says(world.refused(text), "it expired at"));
  CHECK(world.requests() == 1);
}

TEST_CASE("P7: two copies at the same time are one", "[core][engine][ask]") {
  Elsewhere world;
  const std::string text = world.asks("alice", "dba");
  world.questions.late = true;
  std::vector<Result<Outcome>> answers;
  for (int i = 0; i < 2; ++i)
    world.engine->submit(nullptr, text, [&](Result<Outcome> outcome) { answers.push_back(std::move(outcome)); });
  CHECK(answers.empty());
  world.questions.answer_all();
  REQUIRE(answers.size() == 2);
  REQUIRE((answers[0] && answers[1]));
  CHECK(answers[0]->id == answers[1]->id);
  CHECK(world.requests() == 1);
}

TEST_CASE("P4: a stop between an ask and its request: handed in again it is judged then", "[core][engine][ask]") {
  Elsewhere world;
  const std::string text = world.asks("alice", "dba");
  world.questions.late = true;
  CHECK_FALSE(world.submit(text));
  world.stop();
  world.questions.answer_all();
  world.questions.late = false;
  world.start();
  CHECK(world.requests() == 0);
  CHECK(world.submitted(text).state == GrantState::pending);
  CHECK(world.requests() == 1);
}

TEST_CASE("P4: killed anywhere while an ask comes in, there is one request and one grant", "[core][engine][ask]") {
  const std::string role = GENERATE(as<std::string>{}, "dba", "auto");
  for (const bool before : {true, false}) {
    bool whole = false;
    std::size_t call = 1;
    for (; !whole; ++call) {
      REQUIRE(call < 100);
      Elsewhere world;
      world.told = 0;
      world.restart();
      const std::string text = world.asks("alice", role);
      world.plug.arm(call, before);
      try {
        world.submit(text);
        whole = world.plug.armed();
      } catch (const PowerLoss&) {
      }
      world.plug.disarm();
      INFO("killed " << (before ? "before" : "after") << " call " << call);
      world.restart();
      CHECK(world.inconsistency().empty());
      const Outcome outcome = world.submitted(text);  // the inbox still has it
      CHECK(outcome.state == (role == "auto" ? GrantState::active : GrantState::pending));
      CHECK(world.requests() == 1);
      CHECK(world.events("filed").size() == 1);
      CHECK(world.events("active").size() == (role == "auto" ? 1 : 0));
      world.pass(9 * 3600);  // it could still come in
      CHECK(world.host.nothing_held());
      CHECK(world.events("ended").size() == (role == "auto" ? 1 : 0));
    }
    CHECK(call > 2);
  }
}

TEST_CASE("an ask is answered by what is held or asked for already", "[core][engine][ask]") {
  Elsewhere world;
  SECTION("an equal request that waits") {
    const Outcome local = world.asked(kAlice, "dba", kHour, "vacuum stuck");
    const std::string text = world.asks("alice", "dba");
    CHECK(world.submitted(text).id == local.id);
    world.engine->release({kAlice, std::nullopt, 1}, "", true, [](auto) {});
    CHECK(world.submitted(text).id == local.id);  // that was its answer
    CHECK(world.submitted(text).state == GrantState::refused);
  }
  SECTION("a grant in force") {
    const Outcome local = world.active(kAlice, "dba");
    const std::string text = world.asks("alice", "dba");
    const Outcome outcome = world.submitted(text);
    CHECK(outcome.id == local.id);
    CHECK(outcome.state == GrantState::active);
    world.pass(3601);
    world.restart();
    CHECK(world.submitted(text).state == GrantState::ended);
  }
  SECTION("another ask in the same words") {
    const Outcome first = world.submitted(world.asks("alice", "dba"));
    CHECK(world.submitted(world.asks("alice", "dba")).id == first.id);
  }
  CHECK(world.requests() == 1);
}

TEST_CASE("P1: nobody behind an ask approves it", "[core][engine][ask]") {
  Elsewhere world;
  // carol asks as carol-adm: the key on her laptop is hers, whatever the account is called.
  world.may_ask("carol-adm", "carol-adm-laptop");
  world.reload();
  const Outcome asked = world.submitted(world.asks("carol-adm", "dba"));
  CHECK(world.record(asked.id).requesters == std::vector<PersonRef>{{"carol", true}});
  CHECK(says(world.refused(world.review(asked.id, "carol")), "does not count"));
  CHECK(world.submitted(world.review(asked.id, "dave")).state == GrantState::active);
}

TEST_CASE("a lock refuses asks: on the user, on the key, on the person", "[core][engine][ask]") {
  Elsewhere world;
  Lock lock = world.lock();
  SECTION("user") {
    lock.users = {"alice"};
  }
  SECTION("key") {
    lock.keys = {fingerprint(world.key("alice-laptop").public_key())};
  }
  SECTION("person") {
    lock.approvers = {"alice"};
  }
  world.submitted(world.sign(lock, {"erin"}));
  CHECK(says(world.refused(world.asks("alice", "auto")), "locked"));
  CHECK(world.requests() == 0);
  CHECK(world.submitted(world.asks("bob", "auto")).state == GrantState::active);
}

TEST_CASE("P8: a role that is not there and one that is not for them are refused in the same words",
          "[core][engine][ask]") {
  Elsewhere world;
  std::string absent = world.refused(world.asks("bob", "nosuch"));
  const std::string forbidden = world.refused(world.asks("bob", "shell"));
  absent.replace(absent.find("nosuch"), 6, "shell");
  CHECK(absent == forbidden);
}

TEST_CASE("what the host cannot judge now it judges when the ask is handed in again", "[core][engine][ask]") {
  Elsewhere world;
  world.told = 0;
  world.restart();
  const std::string text = world.asks("alice", "dba");
  SECTION("name services are silent") {
    world.questions.silent = true;
    const auto answer = world.submit(text);
    REQUIRE(answer);
    REQUIRE_FALSE(*answer);
    CHECK(another_time(answer->error().code));
    world.questions.silent = false;
  }
  SECTION("the database takes nothing") {
    world.full_disk = true;
    const auto answer = world.submit(text);
    REQUIRE(answer);
    REQUIRE_FALSE(*answer);
    CHECK(another_time(answer->error().code));
    world.full_disk = false;
    world.pass(2);
  }
  SECTION("this machine is not the one of the host key") {
    world.machine.unknown = "another machine-id; jitctl enrol";
    world.restart();
    const auto answer = world.submit(text);
    REQUIRE(answer);
    REQUIRE_FALSE(*answer);
    CHECK(another_time(answer->error().code));
    CHECK(says(answer->error().message, "jitctl enrol"));
    world.machine.unknown.clear();
    world.restart();
  }
  CHECK(world.requests() == 0);
  CHECK(world.events("refused").empty());
  CHECK(world.submitted(text).state == GrantState::pending);
  CHECK(world.events("filed").size() == 1);
}

TEST_CASE("a clock that is not believed refuses asks, as it refuses any wish", "[core][engine][ask]") {
  Elsewhere world;
  world.clock.at.wall_ms -= 3600 * 1000;
  AskDocument ask = world.ask_of("alice", "auto");
  ask.expires = ask.created + kHour * 5;
  CHECK(world.refused(world.asks(ask)) == world.request_refused(kAlice, "auto"));
}

TEST_CASE("P7: after the loss of its database a host takes no ask of before", "[core][engine][ask]") {
  Elsewhere world;
  const std::string text = world.asks("alice", "auto");
  REQUIRE(world.store->set_value("memory_since", std::to_string(world.clock.at.wall_ms / 1000)));
  world.clock.pass(1000);
  world.restart();
  CHECK(says(world.refused(text), "has lost its database"));
  world.pass(600);
  CHECK(world.submitted(world.asks("alice", "auto")).state == GrantState::active);
}

TEST_CASE("a refused ask that anybody hands in again uses up nothing of its user's", "[core][engine][ask]") {
  Elsewhere world;
  world.config.requests_per_minute = 5;
  world.reload();
  const std::string never = world.asks("alice", "never");
  for (int i = 0; i < 20; ++i) CHECK_FALSE(says(world.refused(never), "in a minute"));
  for (int i = 0; i < 4; ++i) {
    AskDocument ask = world.ask_of("alice", "never");
    ask.reason = "reason " + std::to_string(i);
    CHECK_FALSE(says(world.refused(world.asks(ask)), "in a minute"));
  }
  AskDocument ask = world.ask_of("alice", "never");
  ask.reason = "one too many";
  CHECK(says(world.refused(world.asks(ask)), "in a minute"));
}

TEST_CASE("asks have the allowance of the user's other wishes", "[core][engine][ask]") {
  Elsewhere world;
  world.config.pending_per_user = 3;
  world.config.requests_per_minute = 5;
  world.reload();
  const auto another = [&](int i) {
    AskDocument ask = world.ask_of("alice", "dba");
    ask.reason = "reason " + std::to_string(i);
    return world.asks(ask);
  };
  const std::string first = another(0);
  CHECK(world.submitted(first).state == GrantState::pending);
  for (int i = 1; i < 3; ++i) CHECK(world.submitted(another(i)).state == GrantState::pending);
  for (int i = 0; i < 20; ++i) CHECK(world.submitted(first).state == GrantState::pending);  // copies cost nothing
  const auto full = world.submit(another(3));
  REQUIRE(full);
  REQUIRE_FALSE(*full);
  CHECK(full->error().code == Errc::refused);  // and does not lie in the inbox until there is room
  CHECK(says(full->error().message, "3 requests waiting"));
  CHECK(says(world.refused(another(4)), "3 requests waiting"));
  CHECK(says(world.refused(another(5)), "more than 5 requests in a minute"));
  CHECK(says(world.request_refused(kAlice, "auto"), "more than 5 requests in a minute"));
  CHECK(world.submitted(world.asks("bob", "auto")).state == GrantState::active);
  world.pass(61);
  CHECK(says(world.request_refused(kAlice, "both"), "3 requests waiting"));
}
