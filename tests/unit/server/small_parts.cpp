// Board gates, the configuration watch, timers, journal lines and the loop itself.
#include <fcntl.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "jitd/server/board_gates.hpp"
#include "jitd/server/config_watch.hpp"
#include "jitd/server/due.hpp"
#include "jitd/server/journal.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace jit;
using namespace jit::test;

namespace {

LocalAccounts accounts() {
  return LocalAccounts::parse(
      "root:x:0:0::/root:/bin/sh\nalice:x:1001:1001::/:/bin/sh\nbob:x:1002:200::/:/bin/sh\nrescue:x:900:900::/:/bin/"
      "sh\n",
      "root:x:0:\nalice:x:1001:\ndba:x:200:alice,from-ldap\nbreakglass:x:300:rescue,from-ldap\n");
}

Gate gate(std::vector<Subject> users, std::vector<Subject> except) {
  Gate gate;
  gate.name = "login";
  gate.services = {"sshd"};
  gate.users = std::move(users);
  gate.except = std::move(except);
  gate.enforce = true;
  return gate;
}

Subject user(const std::string& name) {
  return {Subject::Kind::user, name};
}
Subject group(const std::string& name) {
  return {Subject::Kind::group, name};
}

}  // namespace

TEST_CASE("gates: subjects are resolved from local files", "[server]") {
  Policy policy;
  SECTION("groups by list and primary gid; names that are not local stay") {
    policy.gates = {gate({group("dba"), user("someone")}, {})};
    const auto made = board_gates(policy, accounts());
    REQUIRE(made.gates.size() == 1);
    CHECK_FALSE(made.gates[0].everybody);
    CHECK(made.gates[0].users == std::vector<std::string>{"alice", "bob", "from-ldap", "someone"});
    CHECK(made.warnings.empty());
  }
  SECTION("only local accounts are excepted, also as members") {
    policy.gates = {gate({{Subject::Kind::everybody, ""}}, {group("breakglass"), user("root"), user("ghost")})};
    const auto made = board_gates(policy, accounts());
    CHECK(made.gates[0].everybody);
    CHECK(made.gates[0].except == std::vector<std::string>{"rescue", "root"});
    CHECK(made.warnings.size() == 1);
  }
  SECTION("a group that cannot be listed: the safe side") {
    policy.gates = {gate({group("in-ldap")}, {group("in-ldap")})};
    const auto made = board_gates(policy, accounts());
    CHECK(made.gates[0].everybody);
    CHECK(made.gates[0].except.empty());
    CHECK(made.warnings.size() == 2);
  }
}

TEST_CASE("gates: help says what to ask for", "[server]") {
  Policy policy;
  policy.gates = {gate({{Subject::Kind::everybody, ""}}, {})};
  const auto help = [&] { return board_gates(policy, accounts()).gates[0].help; };
  CHECK(help() == "No grant opens this host's gate \"login\" for you now. Ask with: jitctl request ROLE -m WHY");
  policy.roles["db-login"].opens = {"login"};
  CHECK(help().find("jitctl request db-login -m WHY") != std::string::npos);
  policy.roles["web"].opens = {"login"};
  CHECK(help().find("(ROLE: db-login or web)") != std::string::npos);
  policy.gates[0].help = "Call 4711.";
  CHECK(help() == "Call 4711.");
}

TEST_CASE("configuration: changes are seen once, half-written ones not at all", "[server]") {
  Folder etc;
  std::filesystem::create_directories(etc / "jit/policy.d");
  std::filesystem::create_directories(etc / "jit/trust");
  etc.write("jit/trust/approvers", "x\n");
  auto loop = Loop::make();
  REQUIRE(loop);
  int reloads = 0, counted = 0, groups = 0;
  ConfigWatch::Config config;
  config.etc = etc.path();
  config.etc_jit = etc / "jit";
  config.settle_usec = 20'000;
  config.empty_trust_usec = 300'000;
  auto watch = ConfigWatch::start(
      **loop, config, [&] { ++reloads; }, [&] { ++counted; }, [&] { ++groups; });
  REQUIRE(watch);
  const auto run = [&](int ms) {
    const auto end = Loop::now_usec(CLOCK_BOOTTIME) + static_cast<std::uint64_t>(ms) * 1000;
    while (Loop::now_usec(CLOCK_BOOTTIME) < end) (*loop)->turn(2000);
  };
  SECTION("several files at once count once") {
    for (const auto* name : {"jit/policy.d/a.toml", "jit/policy.d/b.toml", "jit/jitd.toml"}) etc.write(name, "x");
    run(150);
    CHECK(reloads == 1);
    CHECK(counted == 0);
  }
  SECTION("an open file does not count, its close does") {
    std::ofstream half(etc / "jit/policy.d/a.toml");
    half << "half" << std::flush;
    run(100);
    CHECK(reloads == 0);
    half.close();
    run(100);
    CHECK(reloads == 1);
  }
  SECTION("removal and renaming count; temporaries do not") {
    etc.write("jit/policy.d/.a.toml.tmp", "x");
    run(100);
    CHECK(reloads == 0);
    std::filesystem::rename(etc / "jit/policy.d/.a.toml.tmp", etc / "jit/policy.d/a.toml");
    run(100);
    CHECK(reloads == 1);
    std::filesystem::remove(etc / "jit/policy.d/a.toml");
    run(100);
    CHECK(reloads == 2);
  }
  SECTION("a directory that comes later is watched") {
    std::filesystem::remove_all(etc / "jit/policy.d");
    run(100);
    std::filesystem::create_directory(etc / "jit/policy.d");
    run(100);
    const int before = reloads;
    etc.write("jit/policy.d/a.toml", "x");
    run(100);
    CHECK(reloads == before + 1);
  }
  SECTION("an empty trust file counts only when it stays empty") {
    etc.write("jit/trust/approvers", "");
    run(150);
    CHECK(reloads == 0);
    etc.write("jit/trust/approvers", "y\n");
    run(150);
    CHECK(reloads == 1);
    std::filesystem::remove(etc / "jit/trust/approvers");
    run(150);
    CHECK(reloads == 1);
    run(500);
    CHECK(reloads == 2);
    etc.write("jit/policy.d/a.toml", "x");  // known to be empty: nothing waits any more
    run(150);
    CHECK(reloads == 3);
  }
  SECTION("and so does that of who may ask from elsewhere") {
    etc.write("jit/trust/requesters", "");  // as it was not there
    run(150);
    CHECK(reloads == 1);
    etc.write("jit/trust/requesters", "y\n");
    run(150);
    CHECK(reloads == 2);
    etc.write("jit/trust/requesters", "");
    run(150);
    CHECK(reloads == 2);
    run(500);
    CHECK(reloads == 3);
  }
  SECTION("accounts and groups") {
    etc.write("group.new", "root:x:0:\n");
    std::filesystem::rename(etc / "group.new", etc / "group");
    etc.write("hosts", "x");
    run(150);
    CHECK(groups == 1);
    CHECK(counted == 0);  // our own edits of groups change no account
    etc.write("passwd", "root:x:0:0::/root:/bin/sh\n");
    run(150);
    CHECK(groups == 1);
    CHECK(counted == 1);
    CHECK(reloads == 0);
  }
}

TEST_CASE("due: whichever clock comes first; what stays due is tried again, not for ever at once", "[server]") {
  auto loop = Loop::make();
  REQUIRE(loop);
  int ticks = 0;
  auto due = DueTimers::make(**loop, [&] { ++ticks; });
  REQUIRE(due);
  const auto now = [] {
    return Instant{static_cast<std::int64_t>(Loop::now_usec(CLOCK_REALTIME) / 1000),
                   Loop::now_usec(CLOCK_BOOTTIME) / 1000};
  };
  const auto run = [&](int ms) {
    const auto end = Loop::now_usec(CLOCK_BOOTTIME) + static_cast<std::uint64_t>(ms) * 1000;
    while (Loop::now_usec(CLOCK_BOOTTIME) < end) (*loop)->turn(5000);
  };
  SECTION("wall") {
    auto at = now();
    (*due)->set(Instant{at.wall_ms + 50, at.boot_ms + 3'600'000});
    run(200);
    CHECK(ticks == 1);
  }
  SECTION("boot") {
    auto at = now();
    (*due)->set(Instant{at.wall_ms + 3'600'000, at.boot_ms + 50});
    run(200);
    CHECK(ticks == 1);
  }
  SECTION("one clock alone") {
    (*due)->set(Instant{0, now().boot_ms + 50});
    run(200);
    CHECK(ticks == 1);
  }
  SECTION("nothing due") {
    (*due)->set(Instant{now().wall_ms + 50, 0});
    (*due)->set(std::nullopt);
    run(200);
    CHECK(ticks == 0);
  }
  SECTION("always due") {
    for (int i = 0; i < 100; ++i) {
      (*due)->set(Instant{1000, 1000});
      (*loop)->turn(5000);
    }
    CHECK(ticks >= 1);
    CHECK(ticks <= 6);
  }
}

TEST_CASE("journal lines hold no control characters and no forged fields (P10)", "[server]") {
  const JournalLine line{4,
                         "reason: a\nMESSAGE=forged \x1b[2J",
                         {{"JIT_USER", "alice bob"}, {"jit_bad", "x"}, {"_PID", "1"}, {"JIT=X", "y"}}};
  const std::string text = journal_text(line);
  CHECK(text == "<4>jitd: reason: a\\nMESSAGE=forged \\x1b[2J JIT_USER=alice\\x20bob");
  CHECK(journal_text({99, std::string(100000, 'a'), {}}).size() < 5000);
}

TEST_CASE("a journal that does not read costs lines, which are counted, and no time", "[server]") {
  Folder folder;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", (folder / "socket").c_str());
  const UniqueFd journald(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  REQUIRE(::bind(journald.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const auto next = [&] {
    std::string text(65536, '\0');
    const ssize_t size = ::recv(journald.get(), text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
  };
  Journal journal(folder / "socket");
  journal.write({4, "a\nMESSAGE=forged", {{"JIT_USER", "alice"}, {"_PID", "1"}}});
  CHECK(next() ==
        "MESSAGE=a\\nMESSAGE=forged\nPRIORITY=4\nSYSLOG_IDENTIFIER=jitd\nSYSLOG_FACILITY=10\nJIT_USER=alice\n");

  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 10000; ++i) journal.write({6, "line", {}});
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(10));
  const auto lost = journal.lost();
  CHECK(lost > 0);
  std::size_t came = 0;
  while (!next().empty()) ++came;
  CHECK(came + lost == 10000);
  journal.write({6, "again", {}});
  CHECK(next().starts_with("MESSAGE=" + std::to_string(lost) + " lines were lost"));
  CHECK(next().starts_with("MESSAGE=again\n"));
  CHECK(journal.lost() == 0);
}

TEST_CASE("the loop: a source may drop itself, a throwing callback ends it", "[server]") {
  auto loop = Loop::make();
  REQUIRE(loop);
  int ran = 0;
  Source self;
  self = (*loop)->later([&] {
    self.reset();
    ++ran;
  });
  self.arm(0);
  for (int i = 0; i < 5; ++i) (*loop)->turn(0);
  CHECK(ran == 1);
  auto bad = (*loop)->later([] { throw std::runtime_error("boom"); });
  bad.arm(0);
  const auto ended = (*loop)->run();
  REQUIRE_FALSE(ended);
  CHECK(ended.error().message.find("boom") != std::string::npos);
}

TEST_CASE("the loop: work that goes on arming itself keeps nobody from their turn", "[server]") {
  auto loop = Loop::make();
  REQUIRE(loop);
  int worked = 0, read = 0, beats = 0, more = 0;
  Source work = (*loop)->later([&] {
    ++worked;
    work.arm(0);
  });
  work.arm(0);
  Source other = (*loop)->later([&] {
    ++more;
    other.arm(0);
  });
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd reading(ends[0]), writing(ends[1]);
  REQUIRE(::write(writing.get(), "x", 1) == 1);
  for (int i = 0; i < 10; ++i) (*loop)->turn(0);
  // What comes when it has long been busy:
  const Source ready = (*loop)->io(reading.get(), EPOLLIN, [&](std::uint32_t) { ++read; });
  Source beat = (*loop)->timer(CLOCK_BOOTTIME, [&] { ++beats; });
  beat.arm(Loop::now_usec(CLOCK_BOOTTIME));
  other.arm(0);
  int asked = 0;
  Source often = (*loop)->later([&] { ++asked; });
  for (int i = 0; i < 50; ++i) {
    often.arm(0);  // keeps its place
    (*loop)->turn(0);
  }
  CHECK(asked >= 8);
  CHECK(beats == 1);
  CHECK(worked >= 10);
  CHECK(read >= 8);
  CHECK(more >= 8);
}
