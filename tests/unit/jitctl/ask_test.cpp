// request and status of somebody who is elsewhere, with a terminal and without.
#include <csignal>

#include "jitctl/own_state.hpp"
#include "policy/document/verify.hpp"
#include "tests/unit/jitctl/elsewhere_fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

struct Asker : ElsewhereFixture {
  Asker() {
    context.user = "alice";
    for (auto* host : {&db1, &web1}) host->alive(source(), now - std::chrono::minutes(1));
  }
  Exit ask(std::vector<std::string> more) {
    std::vector<std::string> words = {"request", "dba", "2h", "-m", "vacuum stuck", "--source", kFleet};
    words.insert(words.end(), more.begin(), more.end());
    return jitctl(words);
  }
  [[nodiscard]] Digest asked() { return sha256(parse_envelope(source().boxes["to/db1"].begin()->second)->payload); }
  void say(FarHost& host, const std::string& what, const std::string& why = "", bool with_ask = true) {
    auto event = host.event(what, now);
    if (with_ask) event.ask = asked();
    event.grant = sha256("the request on " + host.name);
    event.why = why;
    event.user = "alice";
    event.role = "dba";
    if (what == "filed") event.state = "pending";
    if (what == "active") event.until = now + std::chrono::hours(2);
    host.say(source(), event);
  }
};

}  // namespace

TEST_CASE("request --on signs an ask that names all its hosts", "[jitctl][elsewhere]") {
  Asker f;
  CHECK(f.ask({"--on", "db1", "--on", "web1", "-t", "OPS-1"}) == Exit::pending);
  const auto documents = f.sent_to("to/web1");
  REQUIRE(documents.size() == 1);
  const auto& ask = std::get<AskDocument>(documents[0]);
  CHECK(ask.hosts == std::vector<std::string>{"db1", "web1"});
  CHECK(ask.user == "alice");
  CHECK(ask.role == "dba");
  CHECK(ask.duration == std::chrono::hours(2));
  CHECK(ask.reason == "vacuum stuck");
  CHECK(ask.ticket == "OPS-1");
  CHECK(ask.expires == f.now + std::chrono::hours(24));
  // By the user's key, in the namespace of asks.
  TrustSet trust;
  trust.requesters = parse_trust("requesters", "alice " + public_key_line(f.spawn.key->public_key()) + "\n");
  auto envelope = parse_envelope(f.source().boxes["to/db1"].begin()->second);
  CHECK(verify_document(*envelope, trust, "it").has_value());
  // Without a terminal the id alone, and nothing is waited for.
  CHECK(f.out.str() == id_of(f.asked()) + "\n");
  CHECK(f.source().waits == 0);
  CHECK(sent_documents(f.context, kAsks).size() == 1);
}

TEST_CASE("request --on waits on a terminal, host by host", "[jitctl][elsewhere]") {
  Asker f;
  f.answers("");
  SECTION("until it is active everywhere") {
    f.source().on_wait = [&] {
      if (f.source().waits == 1) f.say(f.db1, "filed", "waiting for dba-leads (0 of 1)");
      if (f.source().waits == 2) f.say(f.web1, "active");
      if (f.source().waits == 200) f.say(f.db1, "active", "", false);  // by its grant alone
    };
    CHECK(f.ask({"--on", "db1", "--on", "web1"}) == Exit::done);
    CHECK(f.err_has("db1: pending: waiting for dba-leads (0 of 1)"));
    CHECK(f.err_has("web1: active until"));
    CHECK(f.out_has("db1"));
    CHECK(f.out_has("active until"));
  }
  SECTION("refused by one") {
    f.source().on_wait = [&] {
      if (f.source().waits == 1) f.say(f.db1, "active");
      if (f.source().waits != 2) return;
      auto event = f.web1.event("refused", f.now);
      event.ask = f.asked();
      event.why = "there is no role dba here";
      f.web1.say(f.source(), event);
    };
    CHECK(f.ask({"--on", "db1", "--on", "web1"}) == Exit::refused);
    CHECK(f.out_has("there is no role dba here"));
  }
  SECTION("Ctrl-C leaves it filed") {
    f.source().on_wait = [&] { std::raise(SIGINT); };
    CHECK(f.ask({"--on", "db1"}) == Exit::pending);
    CHECK(f.err_has("It stays filed"));
  }
  SECTION("--no-wait") {
    CHECK(f.ask({"--on", "db1", "--no-wait"}) == Exit::pending);
    CHECK(f.source().waits == 0);
  }
  SECTION("the answer to another's ask is not ours") {
    f.source().on_wait = [&] {
      if (f.source().waits == 3) std::raise(SIGINT);
      if (f.source().waits != 1) return;
      auto event = f.db1.event("active", f.now);
      event.ask = sha256("another ask");
      event.grant = sha256("another");
      event.until = f.now + std::chrono::hours(1);
      f.db1.say(f.source(), event);
    };
    CHECK(f.ask({"--on", "db1"}) == Exit::pending);
    CHECK(f.out_has("no answer yet"));
  }
}

TEST_CASE("pipelines ask without a terminal", "[jitctl][elsewhere]") {
  Asker f;
  SECTION("--wait: until it is decided, with the exit code") {
    f.source().on_wait = [&] {
      if (f.source().waits == 5) f.say(f.db1, "active");
    };
    CHECK(f.ask({"--on", "db1", "--json", "--wait", "10m", "--user", "ci-deploy"}) == Exit::done);
    CHECK(f.out_has("[{\"host\":\"db1\",\"id\":\"" + id_of(f.asked()) + "\""));
    CHECK(f.out_has("\"state\":\"active\""));
    CHECK(std::get<AskDocument>(f.sent_to("to/db1").at(0)).user == "ci-deploy");
  }
  SECTION("without: where it stands") {
    CHECK(f.ask({"--on", "db1", "--json"}) == Exit::pending);
    CHECK(f.out_has("\"state\":\"sent\""));
  }
  SECTION("no source takes it") {
    f.source().takes = false;
    CHECK(f.ask({"--on", "db1"}) == Exit::failed);
    CHECK(f.err_has("db1: not sent"));
    CHECK(sent_documents(f.context, kAsks).empty());
  }
}

TEST_CASE("what asking from elsewhere refuses", "[jitctl][elsewhere]") {
  Asker f;
  const auto nothing = [&] { return f.source().put_names.empty() && f.spawn.requests.empty(); };
  CHECK(f.ask({}) == Exit::usage);
  CHECK(f.err_has("for which hosts?"));
  CHECK(f.ask({"--on", "db9"}) == Exit::failed);
  CHECK(f.ask({"--on", "a/b"}) == Exit::failed);
  CHECK(f.ask({"--on", "db1", "--user", "a:b"}) == Exit::usage);
  CHECK(f.ask({"--on", "db1", "--start", "2027-12-01T00:00:00Z"}) == Exit::failed);
  CHECK(f.ask({"--on", "db1", "--start", "2020-12-01T00:00:00Z"}) == Exit::failed);
  CHECK(f.jitctl({"request", "dba", "-m", "x", "--on", "db1"}) == Exit::failed);
  CHECK(f.err_has("which source?"));
  // Without --on these mean nothing.
  CHECK(f.jitctl({"request", "dba", "-m", "x", "--user", "bob"}) == Exit::usage);
  f.context.uid = 0;
  f.environment["SUDO_UID"] = "1000";
  CHECK(f.ask({"--on", "db1"}) == Exit::refused);
  CHECK(nothing());
}

TEST_CASE("an ask into a file, for somebody to carry", "[jitctl][elsewhere][airgap]") {
  Asker f;
  CHECK(f.jitctl({"request", "dba", "-m", "restore", "--on", "db7", "-o", f.root + "/ask.jit"}) == Exit::done);
  const auto parcel = parcel_of(Fixture::get(f.root + "/ask.jit"), "it");
  REQUIRE(parcel.has_value());
  CHECK(std::get<AskDocument>(parcel->document).hosts == std::vector<std::string>{"db7"});
}

TEST_CASE("status --source: what became of my asks", "[jitctl][elsewhere]") {
  Asker f;
  CHECK(f.jitctl({"status", "--source", kFleet}) == Exit::done);
  CHECK(f.out_has("Nothing that you sent from here"));
  REQUIRE(f.ask({"--on", "db1", "--on", "web1"}) == Exit::pending);
  f.say(f.db1, "filed", "waiting for dba-leads (0 of 1)");
  CHECK(f.jitctl({"status", "--source", kFleet}) == Exit::done);
  CHECK(f.out_has("waiting for dba-leads (0 of 1)"));
  CHECK(f.out_has("no answer yet"));
  f.say(f.db1, "active");
  CHECK(f.jitctl({"status", "--source", kFleet, "--json"}) == Exit::done);
  CHECK(f.out_has("\"host\":\"db1\",\"id\":\"" + id_of(f.asked())));
  CHECK(f.out_has("\"state\":\"active\""));
  SECTION("an old active is not today's") {
    f.now += std::chrono::hours(3);
    CHECK(f.jitctl({"status", "--source", kFleet}) == Exit::done);
    CHECK_FALSE(f.out_has("active until"));
  }
  SECTION("when all is over it goes") {
    f.say(f.db1, "ended", "expired");
    f.now += std::chrono::hours(30);
    CHECK(f.jitctl({"status", "--source", kFleet}) == Exit::done);
    CHECK(f.out_has("Nothing that you sent from here"));
  }
}

TEST_CASE("asks of a segment: hosts that answer", "[jitctl][elsewhere]") {
  Asker f;
  CHECK(f.ask({"--segment", "pci", "--json"}) == Exit::pending);
  CHECK(f.out_has("\"segment\":\"pci\""));
  auto event = f.web1.event("filed", f.now);
  event.ask = sha256(parse_envelope(f.source().boxes["to/segment/pci"].begin()->second)->payload);
  event.grant = sha256("the request");
  event.state = "pending";
  f.web1.say(f.source(), event);
  CHECK(f.jitctl({"status", "--source", kFleet}) == Exit::done);
  CHECK(f.out_has("web1"));
  CHECK_FALSE(f.out_has("db1"));
}
