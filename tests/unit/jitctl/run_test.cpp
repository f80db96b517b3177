// jitctl run, extend and request --start: what is asked of jitd, what is run, and what is given back.
#include <fcntl.h>
#include <sys/file.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "jitctl/foreground.hpp"
#include "jitctl/shared_use.hpp"
#include "tests/unit/jitctl/fixture.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Status;
using wire::Tag;
using wire::Verb;

namespace {

Row role(const std::string& name, const std::string& as, const std::string& grant = "") {
  Row row;
  row.text(Tag::role, name).text(Tag::target, as);
  if (!grant.empty()) row.text(Tag::grant, grant);
  return row;
}

Row state(const std::string& id, const std::string& word, const std::string& note = "") {
  Row row;
  row.text(Tag::id, id).text(Tag::state, word);
  if (!note.empty()) row.text(word == "refused" ? Tag::end_reason : Tag::note, note);
  return row;
}

struct Runner : Fixture {
  Runner() {
    context.foreground = [this](const std::vector<std::string>& argv) {
      ran.push_back(argv);
      return status;
    };
    daemon.answer(Verb::roles, done({}, {role("small", "daemon"), role("large", "root")}));
    daemon.answer(Verb::request, done(state("0123456789abcdef", "active")));
    daemon.answer(Verb::release, done());
  }
  int run(std::vector<std::string> words) {
    words.insert(words.begin(), "run");
    return static_cast<int>(jitctl(words));
  }
  [[nodiscard]] std::vector<Verb> verbs() const {
    std::vector<Verb> all;
    for (const auto& [verb, row] : daemon.calls) all.push_back(verb);
    return all;
  }
  std::vector<std::vector<std::string>> ran;
  Result<int> status = 0;
};

}  // namespace

TEST_CASE("run asks for the least role, runs through sudo, and gives it back", "[jitctl][run]") {
  Runner f;
  CHECK(f.run({"--", "/usr/bin/env", "a b", "[x,y]", "", "--json", "-m"}) == 0);
  REQUIRE(f.ran.size() == 1);
  const auto env = std::filesystem::canonical("/usr/bin").string() + "/env";
  CHECK(f.ran[0] ==
        std::vector<std::string>{"/usr/bin/sudo", "-u", "daemon", "--", env, "a b", "[x,y]", "", "--json", "-m"});
  CHECK(f.verbs() == std::vector<Verb>{Verb::roles, Verb::request, Verb::release});
  CHECK(f.daemon.calls[0].second.all(Tag::command) ==
        std::vector<std::string>{env, "a b", "[x,y]", "", "--json", "-m"});
  CHECK(f.daemon.calls[1].second.text(Tag::role) == "small");
  CHECK(f.daemon.calls[1].second.text(Tag::reason).starts_with("run " + env));
  CHECK(f.daemon.calls[2].second.text(Tag::id) == "0123456789abcdef");
}

TEST_CASE("run exits as its command does, and gives the role back whatever became of it", "[jitctl][run]") {
  Runner f;
  for (const int status : {1, 5, 42, 128 + 9, 255}) {
    f.status = status;
    f.daemon.calls.clear();
    CHECK(f.run({"-m", "why", "--for", "10m", "--", "env"}) == status);
    CHECK(f.verbs().back() == Verb::release);
    CHECK(f.daemon.calls[1].second.text(Tag::reason) == "why");
    CHECK(f.daemon.calls[1].second.number(Tag::duration) == 600U);
  }
  f.status = fail(Errc::system, "/usr/bin/sudo: No such file or directory");
  CHECK(f.run({"--", "env"}) == 1);
  CHECK(f.verbs().back() == Verb::release);
  f.status = 3;
  f.daemon.answer(Verb::release, Reply{Status::failed, "database", {}, {}});
  CHECK(f.run({"--", "env"}) == 3);
  CHECK(f.err.str().find("jitctl release 0123456789abcdef") != std::string::npos);
}

TEST_CASE("run uses what is held, and leaves it", "[jitctl][run]") {
  Runner f;
  f.daemon.answer(Verb::roles, done({}, {role("small", "daemon"), role("large", "root", "aaaaaaaaaaaaaaaa")}));
  CHECK(f.run({"--", "env"}) == 0);
  CHECK(f.ran.at(0).at(2) == "root");
  CHECK(f.ran.at(0).at(4) == std::filesystem::canonical("/usr/bin").string() + "/env");  // whatever PATH says
  CHECK(f.verbs() == std::vector<Verb>{Verb::roles, Verb::roles});
}

TEST_CASE("of several runs that use one grant the last gives it back", "[jitctl][run]") {
  Runner f;
  const std::string id = "0123456789abcdef";
  const auto use_held = [&] { f.daemon.answer(Verb::roles, done({}, {role("small", "daemon", id)})); };
  const auto releases = [&] {
    const auto all = f.verbs();
    return std::count(all.begin(), all.end(), Verb::release);
  };
  std::optional<SharedUse> second;
  SECTION("one that was asked for: not while another uses it") {
    f.context.foreground = [&](const std::vector<std::string>&) -> Result<int> {
      second = SharedUse::begin(f.context, id, false);
      return 0;
    };
    CHECK(f.run({"--", "env"}) == 0);
    CHECK(releases() == 0);
    CHECK(second->over());
    second.reset();
    CHECK_FALSE(std::filesystem::exists(f.root + "/run/jit-run-" + id));
  }
  SECTION("whoever asked for it") {
    second = SharedUse::begin(f.context, id, true);
    use_held();
    f.context.foreground = [&](const std::vector<std::string>&) -> Result<int> {
      CHECK_FALSE(second->over());
      second.reset();
      return 0;
    };
    CHECK(f.run({"--", "env"}) == 0);
    CHECK(releases() == 1);
  }
  SECTION("one that no run asked for stays") {
    use_held();
    CHECK(f.run({"--", "env"}) == 0);
    CHECK(releases() == 0);
    CHECK_FALSE(std::filesystem::exists(f.root + "/run/jit-run-" + id));
  }
  SECTION("given back before this one was seen: it asks itself") {
    int asked = 0;
    f.daemon.on(Verb::roles, [&](const Row&) { return done({}, {role("small", "daemon", ++asked == 1 ? id : "")}); });
    CHECK(f.run({"--", "env"}) == 0);
    CHECK(f.verbs() == std::vector<Verb>{Verb::roles, Verb::roles, Verb::request, Verb::release});
  }
  SECTION("one that comes while the last gives it back is not left with a file that is gone") {
    const std::string path = f.root + "/run/jit-run-" + id;
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(::flock(fd, LOCK_EX) == 0);
    std::thread comes([&] { second = SharedUse::begin(f.context, id, false); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    REQUIRE(::unlink(path.c_str()) == 0);
    ::close(fd);
    comes.join();
    CHECK(second->seen());
    CHECK(std::filesystem::exists(path));
    CHECK_FALSE(second->over());
  }
  SECTION("where nobody can be seen, who asked gives it back, and only that") {
    const std::string folder = GENERATE(as<std::string>{}, "/nonexistent", "run", "/tmp", "others");
    f.environment["XDG_RUNTIME_DIR"] = folder == "others" ? f.root + "/others" : folder;
    std::filesystem::create_directory(f.root + "/others");
    if (folder == "others" && ::chown((f.root + "/others").c_str(), 4321, 4321) != 0) return;
    f.context.foreground = [&](const std::vector<std::string>&) -> Result<int> {
      CHECK_FALSE(std::filesystem::exists(f.environment["XDG_RUNTIME_DIR"] + "/jit-run-" + id));
      return 0;
    };
    CHECK(f.run({"--", "env"}) == 0);
    CHECK(releases() == 1);
    use_held();
    CHECK(f.run({"--", "env"}) == 0);
    CHECK(releases() == 1);
  }
}

TEST_CASE("run refuses what no role allows, and what is denied", "[jitctl][run]") {
  Runner f;
  SECTION("no role") {
    f.daemon.answer(Verb::roles, done());
    CHECK(f.run({"--", "env", "\x1b[2J"}) == 5);
    CHECK(f.err.str().find("no role of yours here allows exactly this") != std::string::npos);
    CHECK(f.err.str().find('\x1b') == std::string::npos);
  }
  SECTION("not this one") {
    f.daemon.answer(Verb::roles, done());
    CHECK(f.run({"--role", "small", "--", "env"}) == 5);
    CHECK(f.daemon.calls.at(0).second.text(Tag::role) == "small");
  }
  SECTION("denied when asked") {
    f.daemon.answer(Verb::request, Reply{Status::refused, "Call the duty manager.", {}, {}});
    CHECK(f.run({"--", "env"}) == 5);
    CHECK(f.verbs().back() == Verb::request);
  }
  SECTION("denied after a while") {
    f.daemon.answer(Verb::request, Reply{Status::pending, "", state("0123456789abcdef", "pending"), {}});
    f.daemon.answer(Verb::wait, done(state("0123456789abcdef", "refused", "denied by carol: not now")));
    CHECK(f.run({"--", "env"}) == 5);
    CHECK(f.err.str().find("denied by carol: not now") != std::string::npos);
  }
  SECTION("a command that is not there") {
    CHECK(f.run({"--", "no-such-command-here"}) == 1);
    CHECK(f.daemon.calls.empty());
  }
  SECTION("root") {
    f.context.uid = 0;
    CHECK(f.run({"--", "env"}) == 1);
  }
  SECTION("nothing to run") {
    CHECK(f.run({}) == 2);
    CHECK(f.run({"--"}) == 2);
    CHECK(f.run({"env"}) == 2);
  }
  SECTION("no jitd") {
    f.daemon.handlers.clear();
    CHECK(f.run({"--", "env"}) == 4);
  }
  CHECK(f.ran.empty());
}

TEST_CASE("run waits for approvers and says for whom; Ctrl-C withdraws", "[jitctl][run]") {
  Runner f;
  f.daemon.answer(Verb::request, Reply{Status::pending, "", state("0123456789abcdef", "pending"), {}});
  int waits = 0;
  f.daemon.on(Verb::wait, [&](const Row&) -> Result<Reply> {
    Row row = state("0123456789abcdef", ++waits < 3 ? "pending" : "active");
    row.text(Tag::waiting_for, "leads: 1 of carol");
    return done(row);
  });
  SECTION("approved") {
    CHECK(f.run({"--", "env"}) == 0);
    CHECK(f.err.str().find("waits for leads: 1 of carol") != std::string::npos);
    CHECK(f.ran.size() == 1);
  }
  SECTION("Ctrl-C") {
    f.daemon.on(Verb::wait, [&](const Row&) -> Result<Reply> {
      std::raise(SIGINT);
      return fail(Errc::busy, "interrupted");
    });
    CHECK(f.run({"--", "env"}) == 130);
    CHECK(f.ran.empty());
  }
  SECTION("told to end") {
    f.daemon.on(Verb::wait, [&](const Row&) -> Result<Reply> {
      std::raise(SIGTERM);
      return fail(Errc::busy, "interrupted");
    });
    CHECK(f.run({"--", "env"}) == 143);
    CHECK(f.ran.empty());
  }
  SECTION("for a program it does not wait") {
    CHECK(f.run({"--json", "--", "env"}) == 3);
    CHECK(f.out.str().find("\"state\":\"pending\"") != std::string::npos);
    CHECK(f.ran.empty());
    CHECK(f.verbs().back() == Verb::request);
    return;
  }
  CHECK(f.verbs().back() == Verb::release);
}

TEST_CASE("a command in the foreground ends as it ends", "[jitctl][run]") {
  CHECK(run_in_foreground({"/bin/sh", "-c", "exit 7"}).value_or(-1) == 7);
  CHECK(run_in_foreground({"/bin/sh", "-c", "kill -9 $$"}).value_or(-1) == 137);
  // Ctrl-C is the command's: it hears it, we do not.
  CHECK(run_in_foreground({"/bin/sh", "-c", "kill -INT $PPID; kill -INT $$"}).value_or(-1) == 130);
  // What we are told, it is told.
  CHECK(run_in_foreground({"/bin/sh", "-c", "kill -TERM $PPID; sleep 5"}).value_or(-1) == 143);
  CHECK_FALSE(run_in_foreground({"/nonexistent/command"}));
}

TEST_CASE("extend and a request with a start say so to jitd", "[jitctl]") {
  Fixture f;
  f.daemon.answer(Verb::request,
                  Reply{Status::pending, "waiting for leads", state("0123456789abcdef", "pending"), {}});
  CHECK(f.jitctl({"extend", "ABCD", "2h", "-m", "not done"}) == Exit::pending);
  const auto extend = f.daemon.calls.at(0).second;
  CHECK(extend.text(Tag::extends) == "abcd");
  CHECK_FALSE(extend.has(Tag::role));
  CHECK(extend.number(Tag::duration) == 7200U);
  CHECK(f.jitctl({"extend", "abc", "2h", "-m", "w"}) == Exit::failed);
  CHECK(f.jitctl({"extend", "abcd", "-m", "w"}) == Exit::usage);
  CHECK(f.jitctl({"extend", "abcd", "2h"}) == Exit::usage);

  f.daemon.calls.clear();
  f.context.in_terminal = f.context.out_terminal = true;  // and yet nobody waits until then
  CHECK(f.jitctl({"request", "dba", "-m", "w", "--start", "2099-01-01T00:00:00Z"}) == Exit::pending);
  CHECK(f.daemon.calls.size() == 1);
  CHECK(f.daemon.calls.at(0).second.number(Tag::start) == 4070908800U);
  CHECK(f.jitctl({"request", "dba", "-m", "w", "--start", "2000-01-01T00:00:00Z"}) == Exit::failed);
  CHECK(f.jitctl({"request", "dba", "-m", "w", "--start", "tomorrow"}) == Exit::usage);
}
