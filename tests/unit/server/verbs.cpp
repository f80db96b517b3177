// Verbs: who may call them, and what goes in and out.
#include <algorithm>
#include <set>

#include "jitd/server/observed.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace jit;
using namespace jit::test;
using wire::Status;
using wire::Tag;
using wire::Verb;

namespace {

// Fields with which every verb does its work.
void full(wire::Writer& frame) {
  frame.text(Tag::role, "dba")
      .text(Tag::reason, "vacuum")
      .text(Tag::id, "0123456789abcdef")
      .text(Tag::state, "active");
  frame.text(Tag::document, "jit = 1\n").text(Tag::user, "alice").number(Tag::limit, 1);
}

// Written down here once more, by number, so that a change of the product's own table shows.
const std::set<std::uint16_t> kForAll = {32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 47};
const std::set<std::uint16_t> kForRoot = {42, 43, 44, 45, 46, 48};

}  // namespace

TEST_CASE("verb by caller: refused before the engine hears of it", "[server]") {
  struct Who {
    const char* name;
    bool credentials;
    std::uint32_t uid;
  };
  const Who who = GENERATE(Who{"root", true, 0}, Who{"user", true, 1001}, Who{"approver", true, 1002},
                           Who{"gone before it could be asked who it is", false, 0});
  INFO(who.name);
  ControlLimits plenty;
  plenty.burst = 1000;
  Bench bench(plenty);
  bench.uid = who.uid;
  bench.credentials = who.credentials;
  bench.engine.views["0123456789abcdef"] = FakeEngine::view("0123456789abcdef");
  for (std::uint16_t number = 0; number < 80; ++number) {
    INFO("verb " << number);
    Client client(bench.path());
    bench.engine.calls.clear();
    bench.engine.callers.clear();
    const auto reply = bench.call(client, static_cast<Verb>(number), full);
    if (!who.credentials) {
      CHECK(reply.empty());
      CHECK(client.closed());
      CHECK(bench.engine.calls.empty());
      continue;
    }
    REQUIRE(!reply.empty());
    const Got& result = reply.back();
    CHECK(result.verb == Verb::result);
    CHECK(result.id == 7);
    if (kForAll.contains(number) || (kForRoot.contains(number) && who.uid == 0)) {
      CHECK(result.status() != Status::usage);
      CHECK((result.status() == Status::done || number == 34));
      for (const Caller& caller : bench.engine.callers) {
        CHECK(caller.uid == who.uid);  // from the socket, whatever the frame says
        CHECK(caller.pid == 4242);
      }
    } else {
      CHECK(result.status() == (kForRoot.contains(number) ? Status::refused : Status::usage));
      CHECK(bench.engine.calls.empty());
      CHECK(reply.size() == 1);
    }
  }
}

TEST_CASE("identities in a frame are not believed", "[server]") {
  Bench bench;
  Client client(bench.path());
  const auto reply = bench.call(client, Verb::request, [](wire::Writer& frame) {
    frame.text(Tag::role, "dba").text(Tag::reason, "x").text(Tag::user, "root").number(Tag::uid, 0);
    frame.number(Tag::subject_uid, 0).number(Tag::pid, 1);
  });
  REQUIRE(!reply.empty());
  REQUIRE(bench.engine.callers.size() >= 1);
  CHECK(bench.engine.callers[0].uid == 1001);
  CHECK_FALSE(bench.engine.callers[0].root());
}

TEST_CASE("request: fields in, outcome and document out", "[server]") {
  Bench bench;
  Client client(bench.path());
  SECTION("pending") {
    const auto reply = bench.call(client, Verb::request, [](wire::Writer& frame) {
      frame.text(Tag::role, "dba").text(Tag::reason, "vacuum").text(Tag::ticket, "T-1").number(Tag::duration, 7200);
    });
    REQUIRE(reply.size() == 1);
    CHECK(reply[0].status() == Status::pending);
    CHECK(reply[0].text(Tag::id) == "0123456789abcdef");
    CHECK(reply[0].text(Tag::state) == "pending");
    CHECK(reply[0].text(Tag::document) == "jit = 1\n");
    CHECK(bench.engine.last_wish.role == "dba");
    CHECK(bench.engine.last_wish.ticket == "T-1");
    CHECK(bench.engine.last_wish.duration == Seconds(7200));
  }
  SECTION("active at once") {
    bench.engine.outcome = Outcome{"0123456789abcdef", GrantState::active, "active"};
    const auto reply = bench.call(client, Verb::request, full);
    REQUIRE(reply.size() == 1);
    CHECK(reply[0].status() == Status::done);
  }
  SECTION("denied") {
    bench.engine.outcome = fail(Errc::refused, "Call the duty manager.");
    const auto reply = bench.call(client, Verb::request, full);
    REQUIRE(reply.size() == 1);
    CHECK(reply[0].status() == Status::refused);
    CHECK(reply[0].text(Tag::message) == "Call the duty manager.");
  }
  SECTION("hostile fields never reach the engine") {
    const auto bad = GENERATE(
        as<std::function<void(wire::Writer&)>>{}, [](wire::Writer& f) { f.text(Tag::reason, "x"); },  // no role
        [](wire::Writer& f) { f.text(Tag::role, "dba"); },                                            // no reason
        [](wire::Writer& f) { f.text(Tag::role, "d\x1b[2J").text(Tag::reason, "x"); },
        [](wire::Writer& f) { f.text(Tag::role, "dba").text(Tag::reason, "a\xe2\x80\xae"); },
        [](wire::Writer& f) { f.text(Tag::role, "dba").text(Tag::reason, "\xff"); },
        [](wire::Writer& f) { f.text(Tag::role, "dba").text(Tag::reason, "x").number(Tag::duration, 0); },
        [](wire::Writer& f) { f.text(Tag::role, "dba").text(Tag::reason, "x").number(Tag::duration, UINT64_MAX); });
    const auto reply = bench.call(client, Verb::request, bad);
    REQUIRE(reply.size() == 1);
    CHECK(reply[0].status() == Status::usage);
    CHECK(bench.engine.calls.empty());
    for (const char c : reply[0].text(Tag::message)) CHECK(static_cast<unsigned char>(c) >= 0x20);
  }
}

TEST_CASE("show: absent and forbidden answer alike", "[server]") {
  Bench bench;
  Client client(bench.path());
  const auto reply = bench.call(client, Verb::show, [](wire::Writer& frame) { frame.text(Tag::id, "ffff"); });
  REQUIRE(reply.size() == 1);
  CHECK(reply[0].status() == Status::failed);
  CHECK(reply[0].fields.size() == 2);  // status and message, nothing else
}

TEST_CASE("enrol: what the host is trusted by, and what root says of its machine", "[server]") {
  Bench bench;
  bench.uid = 0;
  auto view = std::make_shared<HostView>(*bench.host);
  view->config.segments = {"pci-db"};
  view->machine = {sha256("here"), "not the machine of its key"};
  bench.host = view;
  const auto call = [&](const std::string& kind) {
    Client client(bench.path());
    const auto reply = bench.call(client, Verb::enrol, [&](wire::Writer& frame) {
      if (!kind.empty()) frame.text(Tag::kind, kind);
    });
    REQUIRE(reply.size() == 1);
    return reply[0];
  };
  SECTION("told only") {
    const Got told = call("");
    CHECK(told.status() == Status::done);
    CHECK(told.text(Tag::host) == "db1");
    CHECK(told.text(Tag::segment) == "pci-db");
    CHECK(told.text(Tag::host_key) == "SHA256:abc");
    CHECK(told.text(Tag::machine) == digest_text(sha256("here")));
    CHECK(told.text(Tag::state) == "unknown");
    CHECK(told.text(Tag::message) == "not the machine of its key");
    CHECK(bench.engine.calls.empty());
  }
  SECTION("the key stays") {
    CHECK(call("keep").status() == Status::done);
    CHECK(bench.engine.calls == std::vector<std::string>{"enrolled"});
  }
  SECTION("another key") {
    CHECK(call("new").status() == Status::done);
    CHECK(bench.engine.calls == std::vector<std::string>{"enrolled new"});
  }
  SECTION("anything else") {
    CHECK(call("both").status() == Status::usage);
    CHECK(bench.engine.calls.empty());
  }
  SECTION("a key that cannot be written") {
    bench.enrolling = fail(Errc::system, "no space left");
    CHECK(call("new").status() == Status::failed);
  }
  SECTION("anybody may see that the machine is not the one") {
    bench.uid = 1001;
    Client client(bench.path());
    const auto reply = bench.call(client, Verb::inspect);
    REQUIRE(reply.size() == 1);
    CHECK(reply[0].text(Tag::state) == "unknown");
    CHECK(reply[0].text(Tag::machine) == digest_text(sha256("here")));
    Client other(bench.path());
    CHECK(bench.call(other, Verb::status).back().text(Tag::warning) == "not the machine of its key");
  }
}

TEST_CASE("submit takes one document of at most 32 KiB", "[server]") {
  Bench bench;
  Client client(bench.path());
  const std::string text(32 * 1024, 'a');
  auto reply = bench.call(client, Verb::submit, [&](wire::Writer& frame) { frame.text(Tag::document, text); });
  REQUIRE(reply.size() == 1);
  CHECK(reply[0].status() == Status::done);
  CHECK(bench.engine.submitted == text);
  bench.engine.submitted.clear();
  reply = bench.call(client, Verb::submit, [&](wire::Writer& frame) { frame.text(Tag::document, text + "a"); });
  REQUIRE(reply.size() == 1);
  CHECK(reply[0].status() == Status::usage);
  CHECK(bench.engine.submitted.empty());
}

TEST_CASE("a role that does not fit a frame is still listed", "[server]") {
  Bench bench;
  bench.engine.many_commands.assign(2000, std::string(60, 'c'));
  Client client(bench.path());
  const auto reply = bench.call(client, Verb::roles);
  REQUIRE(reply.size() == 2);
  CHECK(reply[0].text(Tag::role) == "dba");
  CHECK(reply[0].text(Tag::command) == "(too many to list)");
  CHECK(reply[1].number(Tag::count) == 1);
}

TEST_CASE("roles for a command are those that allow exactly it, least first, with whom it runs as", "[server]") {
  Bench bench;
  auto view = std::make_shared<HostView>(*bench.host);
  const auto role = [&](const std::string& name, const Command& command, bool eligible, const std::string& rule) {
    Role& made = view->policy.roles[name];
    made.name = name;
    made.sudo.push_back({"daemon", {command}, true, Recording::none});
    RoleView seen;
    seen.name = name;
    seen.eligible = eligible;
    seen.rule = rule;
    bench.engine.own_roles.push_back(seen);
  };
  role("any", {"/usr/bin/id", {}, true}, true, "approved by itself");
  role("denied", {"/usr/bin/id", {"-u"}, false}, true, "denied: no rule of the role matches");
  role("exact", {"/usr/bin/id", {"-u"}, false}, true, "needs leads (1)");
  role("foreign", {"/usr/bin/id", {"-u"}, false}, false, "approved by itself");
  role("other", {"/usr/bin/cat", {}, true}, true, "approved by itself");
  bench.host = view;
  Client client(bench.path());
  const auto roles_for = [&](const std::vector<std::string>& words, const std::string& only = "") {
    const auto reply = bench.call(client, Verb::roles, [&](wire::Writer& frame) {
      for (const auto& word : words) frame.text(Tag::command, word);
      if (!only.empty()) frame.text(Tag::role, only);
    });
    std::vector<std::string> names;
    for (std::size_t i = 0; i + 1 < reply.size(); ++i)
      names.push_back(std::string(reply[i].text(Tag::role)) + " " + std::string(reply[i].text(Tag::target)));
    return names;
  };
  CHECK(roles_for({"/usr/bin/id", "-u"}) == std::vector<std::string>{"exact daemon", "any daemon", "denied daemon"});
  CHECK(roles_for({"/usr/bin/id", "-u"}, "any") == std::vector<std::string>{"any daemon"});
  CHECK(roles_for({"/usr/bin/id"}) == std::vector<std::string>{"any daemon"});
  CHECK(roles_for({"/usr/bin/id", ""}) == std::vector<std::string>{"any daemon"});
  CHECK(roles_for({"/bin/sh"}).empty());
  CHECK(roles_for({}).size() == 5);
}

TEST_CASE("a request says either a role or what it extends", "[server]") {
  Bench bench;
  Client client(bench.path());
  const auto ask = [&](const char* role, const char* extends, std::uint64_t start) {
    const auto reply = bench.call(client, Verb::request, [&](wire::Writer& frame) {
      frame.text(Tag::reason, "why");
      if (role != nullptr) frame.text(Tag::role, role);
      if (extends != nullptr) frame.text(Tag::extends, extends);
      if (start != 0) frame.number(Tag::start, start);
    });
    REQUIRE(reply.size() == 1);
    return reply[0].status();
  };
  CHECK(ask(nullptr, nullptr, 0) == Status::usage);
  CHECK(ask("dba", "0123", 0) == Status::usage);
  CHECK(ask("dba", nullptr, UINT64_MAX) == Status::usage);
  CHECK(bench.engine.calls.empty());
  CHECK(ask("dba", nullptr, 4070908800) == Status::pending);
  CHECK(bench.engine.last_wish.start == WallTime(Seconds(4070908800)));
  CHECK(ask(nullptr, "0123", 0) == Status::pending);
  CHECK(bench.engine.last_wish.extends == "0123");
}

TEST_CASE("wait answers when the state changes, and at its time", "[server]") {
  Bench bench;
  bench.engine.views["0123"] = FakeEngine::view("0123456789abcdef");
  bench.engine.views["0123456789abcdef"] = bench.engine.views["0123"];
  Client client(bench.path());
  const auto wait = [&](std::uint64_t limit, const char* note) {
    REQUIRE(client.send(Verb::wait, [&](wire::Writer& frame) {
      frame.text(Tag::id, "0123").text(Tag::state, "pending").number(Tag::limit, limit);
      if (note != nullptr) frame.text(Tag::note, note);
    }));
    bench.turn();
  };
  std::optional<Got> got;
  SECTION("nothing changes: nothing is said, and nothing is polled") {
    wait(3600, nullptr);
    const auto looked = bench.engine.calls.size();
    bench.until([] { return false; }, 50);
    CHECK_FALSE(client.next());
    CHECK(bench.engine.calls.size() == looked);
    CHECK(bench.waiters->size() == 1);
  }
  SECTION("it becomes active") {
    wait(3600, nullptr);
    bench.engine.views["0123456789abcdef"].record.state = GrantState::active;
    bench.waiters->changed(bench.engine);
    bench.until([&] { return (got = client.next()).has_value(); });
    REQUIRE(got);
    CHECK(got->text(Tag::state) == "active");
    CHECK(bench.waiters->size() == 0);
  }
  SECTION("only the note changes") {
    wait(3600, "waiting");
    bench.engine.views["0123456789abcdef"].record.why = "waiting for one more";
    bench.waiters->changed(bench.engine);
    bench.until([&] { return (got = client.next()).has_value(); });
    REQUIRE(got);
    CHECK(got->text(Tag::note) == "waiting for one more");
  }
  SECTION("what is known is old already") {
    bench.engine.views["0123"].record.state = GrantState::refused;
    wait(3600, nullptr);
    bench.until([&] { return (got = client.next()).has_value(); });
    REQUIRE(got);
    CHECK(got->text(Tag::state) == "refused");
  }
  SECTION("its time is over") {
    wait(1, nullptr);
    bench.until([&] { return (got = client.next()).has_value(); }, 3000);
    REQUIRE(got);
    CHECK(got->status() == Status::done);
    CHECK(got->text(Tag::state) == "pending");
  }
  SECTION("who went away is not waited for") {
    {
      Client gone(bench.path());
      REQUIRE(gone.send(Verb::wait, [](wire::Writer& frame) {
        frame.text(Tag::id, "0123").text(Tag::state, "pending").number(Tag::limit, 3600);
      }));
      bench.turn();
      CHECK(bench.waiters->size() == 1);
    }
    bench.turn();
    bench.waiters->changed(bench.engine);
    CHECK(bench.waiters->size() == 0);
  }
  SECTION("not longer than an hour") {
    const auto reply = bench.call(client, Verb::wait, [](wire::Writer& frame) {
      frame.text(Tag::id, "0123").text(Tag::state, "pending").number(Tag::limit, 3601);
    });
    REQUIRE(reply.size() == 1);
    CHECK(reply[0].status() == Status::usage);
  }
}

TEST_CASE("status shows the sessions of one's own grants alone", "[server]") {
  Bench bench;
  bench.sessions = {{"0123456789abcdef", "sshd", "alice", 77, 1795323600},
                    {"zzzzzzzzzzzzzzzz", "sshd", "bob", 78, 1795323600}};
  Client client(bench.path());
  const auto reply = bench.call(client, Verb::status);
  REQUIRE(reply.size() == 3);
  CHECK(reply[0].text(Tag::kind) == "request");
  CHECK(reply[1].text(Tag::kind) == "session");
  CHECK(reply[1].text(Tag::subject) == "alice");
  CHECK(reply[2].text(Tag::host) == "db1");
  CHECK(reply[2].text(Tag::warning).empty());
}

TEST_CASE("status tells a user of the lock on them", "[server]") {
  Bench bench;
  bench.engine.barred_by = "locked by carol: laptop lost";
  Client client(bench.path());
  const auto reply = bench.call(client, Verb::status);
  REQUIRE(reply.size() == 2);
  CHECK(reply[1].text(Tag::warning) == "no role is given to you: locked by carol: laptop lost");
}

TEST_CASE("audit entries go out so that the chain can be checked", "[server]") {
  Bench bench;
  bench.uid = 0;
  ChainEntry entry;
  entry.sequence = 1;
  entry.time = 1795323600;
  entry.event = "request";
  entry.fields = {{"reason", "two words\n"}, {"user", "alice"}};
  entry.hash = chain_hash(entry);
  bench.engine.chain = {entry};
  Client client(bench.path());
  const auto reply = bench.call(client, Verb::audit);
  REQUIRE(reply.size() == 2);
  const std::string text = canonical_text(entry);
  const auto range = reply[0].fields.equal_range(Tag::detail);
  std::size_t details = 0;
  for (auto it = range.first; it != range.second; ++it, ++details)
    CHECK(text.find("\n" + it->second + "\n") != std::string::npos);
  CHECK(details == 2);
  CHECK(reply[1].number(Tag::sequence) == 1);
}

TEST_CASE("observed: would-be denials out of the audit", "[server]") {
  FakeEngine engine;
  const auto check = [&](std::int64_t time, const char* verdict, const char* service, const char* subject,
                         const char* count) {
    ChainEntry entry;
    entry.sequence = engine.chain.size() + 1;
    entry.time = time;
    entry.event = "check";
    entry.fields = {
        {"verdict", verdict}, {"service", service}, {"subject", subject}, {"gate", "login"}, {"count", count}};
    engine.chain.push_back(entry);
  };
  check(100, "observe", "sshd", "alice", "5");
  check(200, "observe", "sshd", "alice", "2");
  check(300, "allow", "sshd", "alice", "9");
  check(300, "observe", "sudo", "bob", "1");
  check(400, "observe", "sshd", "alice", "3");
  const auto all = observed_denials(engine, 150, "");
  REQUIRE(all);
  REQUIRE(all->denials.size() == 2);
  CHECK(all->denials[0].service == "sshd");
  CHECK(all->denials[0].count == 5);
  CHECK(all->denials[0].last == 400);
  CHECK(all->denials[1].subject == "bob");
  CHECK_FALSE(all->cut);
  const auto sudo = observed_denials(engine, 0, "sudo");
  REQUIRE(sudo);
  CHECK(sudo->denials.size() == 1);
}

TEST_CASE("what is wrong with the policy is for root to read", "[server]") {
  Bench bench;
  auto view = std::make_shared<HostView>(*bench.host);
  view->last_good = true;
  view->policy_error = "/etc/jit/policy.d/10.toml:3: roles.secret: is no role";
  bench.host = view;
  for (const std::uint32_t uid : {1001U, 0U}) {
    bench.uid = uid;
    Client client(bench.path());
    const auto reply = bench.call(client, Verb::status);
    REQUIRE(!reply.empty());
    const auto warning = reply.back().text(Tag::warning);
    CHECK(warning.find("the policy that loaded last is used") == 0);
    CHECK((warning.find("secret") != std::string::npos) == (uid == 0));
  }
}
