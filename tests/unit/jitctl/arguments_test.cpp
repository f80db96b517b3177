// How jitctl is called, and what it exits with.
#include <algorithm>
#include <csignal>

#include "tests/unit/jitctl/fixture.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Status;
using wire::Tag;
using wire::Verb;

namespace {

Reply pending_reply() {
  Row row;
  row.number(Tag::status, 3).text(Tag::message, "waiting for dba-leads (1)").text(Tag::id, "7k3mq2v8x4c9d1fp");
  row.text(Tag::state, "pending").text(Tag::document, "the document");
  return Reply{Status::pending, "waiting for dba-leads (1)", row, {}};
}

}  // namespace

TEST_CASE("wrong calls are usage errors, said once", "[jitctl]") {
  Fixture f;
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"nonsense"},
      {"request"},
      {"request", "dba"},                     // no reason
      {"request", "dba", "5q", "-m", "why"},  // no unit
      {"request", "dba", "-1h", "-m", "why"},
      {"request", "dba", "0h", "-m", "why"},
      {"request", "../x", "-m", "why"},
      {"request", "dba", "-m", ""},
      {"request", "dba", "-m", "two\nlines"},
      {"request", "dba", "-m", "esc\x1b[31m"},
      {"request", "dba", "-m", std::string(1025, 'x')},
      {"request", "dba", "-m", "why", "-t", std::string(129, 'x')},
      {"request", "dba", "-m", "why", "--frobnicate"},
      {"release"},
      {"release", "abcd", "--all"},
      {"grant", "--user", "a", "--role", "r", "-m", "w"},  // neither --for nor --until
      {"grant", "--user", "a", "--role", "r", "-m", "w", "--for", "1h", "--until", "2026-11-22T18:00:00Z"},
      {"grant", "--user", "-a", "--role", "r", "-m", "w", "--for", "1h"},
      {"grant", "--user", "a", "--role", "r", "-m", "w", "--until", "2026-11-22 18:00"},
      {"revoke", "-m", "w"},
      {"revoke", "--all", "--user", "a", "-m", "w"},
      {"lock", "-m", "w"},
      {"lock", "--fingerprint", "MD5:aa", "-m", "w"},
      {"unlock"},
      {"unlock", "alice"},  // by name: root only
      {"export"},
      {"policy"},
      {"gate", "enforce"},
      {"gate", "enforce", "sshd", "--confirm", "soon"},
      {"trust", "add", "k.pub"},
      {"trust", "add-host"},
      {"enrol", "--keep-key", "--new-key"},
      {"hosts", "--forget"},
      {"source"},
      {"source", "check"},
      {"source", "clean"},
      {"source", "init-folder"},
      {"request", "dba", "-m", "why", "--on"},
      {"request", "dba", "-m", "why", "--source", "/x"},  // for which hosts?
      {"request", "dba", "-m", "why", "--wait", "1m"},    // of jitd here it waits for as long as it takes
      {"request", "dba", "-m", "why", "--on", "db1", "--source", "/x", "--wait", "soon"},
      {"lock", "alice", "-m", "w", "--source", "/x", "--wait", "0"},
      {"pending", "--source"},
  };
  for (const auto& arguments : wrong) {
    std::string line;
    for (const auto& word : arguments) line += word + " ";
    INFO(line);
    CHECK(f.jitctl(arguments) == Exit::usage);
    const auto said = f.err.str();
    CHECK(said.starts_with("jitctl: "));
    CHECK(std::count(said.begin(), said.end(), '\n') == 1);
    CHECK(said.find('\x1b') == std::string::npos);
    CHECK(f.out.str().empty());
    CHECK(f.daemon.calls.empty());
  }
}

TEST_CASE("roles says that there is none only to whom all are shown", "[jitctl][P8]") {
  Fixture f;
  f.daemon.answer(Verb::roles, done());
  CHECK(f.jitctl({"roles"}) == Exit::done);
  CHECK(f.out.str() == "None of this host's roles is for you.\n");
  f.context.uid = 0;
  CHECK(f.jitctl({"roles"}) == Exit::done);
  CHECK(f.out.str() == "This host's policy has no role.\n");
}

TEST_CASE("help and version are no failure", "[jitctl]") {
  Fixture f;
  CHECK(f.jitctl({"--help"}) == Exit::done);
  CHECK(f.out.str().find("request") != std::string::npos);
  CHECK(f.jitctl({"request", "--help"}) == Exit::done);
  CHECK(f.out.str().find("--ticket") != std::string::npos);
  CHECK(f.jitctl({"--version"}) == Exit::done);
}

TEST_CASE("the exit code is the daemon's status", "[jitctl]") {
  Fixture f;
  CHECK(f.jitctl({"roles"}) == Exit::unreachable);
  CHECK(f.err.str() == "jitctl: jitd is not reachable (test)\n");
  for (const auto status : {Status::failed, Status::usage, Status::refused, Status::unreachable}) {
    f.daemon.answer(Verb::show, Reply{status, "no such request or grant", {}, {}});
    const auto code = f.jitctl({"show", "abcd"});
    CHECK(code != Exit::done);
    CHECK((status != Status::refused || code == Exit::refused));
    CHECK((status != Status::unreachable || code == Exit::unreachable));
    CHECK(f.err.str() == "jitctl: no such request or grant\n");
  }
}

TEST_CASE("request without a terminal prints the id and does not wait", "[jitctl]") {
  Fixture f;
  f.daemon.answer(Verb::request, pending_reply());
  CHECK(f.jitctl({"request", "dba", "2h", "-m", "vacuum stuck", "-t", "OPS-1"}) == Exit::pending);
  CHECK(f.out.str() == "7k3mq2v8x4c9d1fp\n");
  REQUIRE(f.daemon.calls.size() == 1);
  const auto& wish = f.daemon.calls[0].second;
  CHECK(wish.text(Tag::role) == "dba");
  CHECK(wish.number(Tag::duration) == 7200);
  CHECK(wish.text(Tag::reason) == "vacuum stuck");
  CHECK(wish.text(Tag::ticket) == "OPS-1");

  SECTION("no duration is none on the wire") {
    f.daemon.calls.clear();
    CHECK(f.jitctl({"request", "dba", "-m", "why"}) == Exit::pending);
    CHECK_FALSE(f.daemon.calls[0].second.has(Tag::duration));
    CHECK_FALSE(f.daemon.calls[0].second.has(Tag::ticket));
  }
  SECTION("as JSON, the option before or behind the command") {
    const std::string expected =
        R"~({"id":"7k3mq2v8x4c9d1fp","state":"pending","message":"waiting for dba-leads (1)"})~"
        "\n";
    CHECK(f.jitctl({"request", "dba", "-m", "why", "--json"}) == Exit::pending);
    CHECK(f.out.str() == expected);
    CHECK(f.jitctl({"--json", "request", "dba", "-m", "why"}) == Exit::pending);
    CHECK(f.out.str() == expected);
  }
  SECTION("into a file, which is never overwritten") {
    const auto path = f.root + "/r.jit";
    CHECK(f.jitctl({"request", "dba", "-m", "why", "-o", path}) == Exit::pending);
    CHECK(Fixture::get(path) == "the document");
    CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::all) ==
          std::filesystem::perms(0644));
    f.put("r.jit", "somebody's only copy");
    CHECK(f.jitctl({"request", "dba", "-m", "why", "-o", path}) == Exit::failed);
    CHECK(Fixture::get(path) == "somebody's only copy");
    CHECK(f.err.str().find("not overwritten") != std::string::npos);
  }
}

TEST_CASE("a denied request exits with 5, an active one with 0", "[jitctl]") {
  Fixture f;
  f.daemon.answer(Verb::request, Reply{Status::refused, "denied: call the duty manager\x1b[0m", {}, {}});
  CHECK(f.jitctl({"request", "dba", "-m", "why"}) == Exit::refused);
  CHECK(f.err.str() == "jitctl: denied: call the duty manager\\x1b[0m\n");
  f.daemon.answer(Verb::request, done(Row()
                                          .text(Tag::id, "abcdabcdabcdabcd")
                                          .text(Tag::state, "active")
                                          .text(Tag::message, "active until 10:00:00Z")));
  CHECK(f.jitctl({"request", "dba", "-m", "why"}) == Exit::done);
  CHECK(f.out.str() == "abcdabcdabcdabcd  active until 10:00:00Z\n");
}

TEST_CASE("on a terminal a request waits, and says for whom", "[jitctl]") {
  Fixture f;
  f.answers("");
  f.daemon.answer(Verb::request, pending_reply());
  int asked = 0;
  std::string end = "active";
  f.daemon.on(Verb::wait, [&](const Row& question) -> Result<Reply> {
    CHECK(question.text(Tag::id) == "7k3mq2v8x4c9d1fp");
    Row row;
    row.text(Tag::id, "7k3mq2v8x4c9d1fp").text(Tag::state, ++asked < 3 ? "pending" : end);
    row.text(Tag::note, "waiting for dba-leads (1 of 2)").text(Tag::waiting_for, "dba-leads: 1 more of carol, dave");
    row.number(Tag::remaining, 3600).text(Tag::end_reason, "denied by carol");
    return done(row);
  });
  SECTION("until it is active") {
    CHECK(f.jitctl({"request", "dba", "-m", "why"}) == Exit::done);
    CHECK(f.err.str().find("waits for dba-leads: 1 more of carol, dave") != std::string::npos);
    CHECK(f.out.str() == "7k3mq2v8x4c9d1fp  active, 1h left\n");
    CHECK(asked == 3);
  }
  SECTION("until it is refused") {
    end = "refused";
    CHECK(f.jitctl({"request", "dba", "-m", "why"}) == Exit::refused);
    CHECK(f.out.str() == "7k3mq2v8x4c9d1fp  refused: denied by carol\n");
  }
  SECTION("not with --no-wait, and not with -o") {
    CHECK(f.jitctl({"request", "dba", "-m", "why", "--no-wait"}) == Exit::pending);
    CHECK(f.jitctl({"request", "dba", "-m", "why", "-o", f.root + "/r.jit"}) == Exit::pending);
    CHECK(asked == 0);
  }
}

TEST_CASE("Ctrl-C leaves the request filed and says so", "[jitctl]") {
  Fixture f;
  f.answers("");
  f.daemon.answer(Verb::request, pending_reply());
  f.daemon.on(Verb::wait, [&](const Row&) -> Result<Reply> {
    std::raise(SIGINT);
    return fail(Errc::busy, "interrupted");
  });
  CHECK(f.jitctl({"request", "dba", "-m", "why"}) == Exit::pending);
  CHECK(f.err.str().find("It stays filed") != std::string::npos);
  CHECK(f.err.str().find("jitctl release 7k3mq2v8x4c9d1fp") != std::string::npos);
}

TEST_CASE("status --prompt is short, and silent when jitd is down", "[jitctl]") {
  Fixture f;
  CHECK(f.jitctl({"status", "--prompt"}) == Exit::done);
  CHECK(f.out.str().empty());
  CHECK(f.err.str().empty());
  Row late;
  late.text(Tag::state, "active").text(Tag::role, "web").number(Tag::remaining, 7200);
  Row soon;
  soon.text(Tag::state, "active").text(Tag::role, "dba").number(Tag::remaining, 42 * 60 + 59);
  Row waiting;
  waiting.text(Tag::state, "pending").text(Tag::role, "root");
  f.daemon.answer(Verb::status, done({}, {late, soon, waiting}));
  CHECK(f.jitctl({"status", "--prompt"}) == Exit::done);
  CHECK(f.out.str() == "jit:dba 42m +1\n");
  f.daemon.answer(Verb::status, done({}, {waiting}));
  CHECK(f.jitctl({"status", "--prompt"}) == Exit::done);
  CHECK(f.out.str().empty());
}

TEST_CASE("status says that processes live on", "[jitctl]") {
  Fixture f;
  Row active;
  active.text(Tag::id, "abcdabcdabcdabcd")
      .text(Tag::state, "active")
      .text(Tag::role, "dba")
      .number(Tag::remaining, 60);
  f.daemon.answer(
      Verb::status,
      done(Row().text(Tag::host, "db1").text(Tag::policy, "last-good").text(Tag::warning, "w\nx"), {active}));
  CHECK(f.jitctl({"status"}) == Exit::done);
  CHECK(f.out.str().find("what runs under it is ended") != std::string::npos);
  CHECK(f.out.str().find("last good policy is in force") != std::string::npos);
  CHECK(f.out.str().find("warning: w\\nx\n") != std::string::npos);
}
