// Commands by a grant where no cgroup can be had, and timers where no systemd has them: with real processes. As root.
#include "jitd/effects/noted_commands.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "jitd/effects/own_units.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/peer.hpp"
#include "jitd/sys/pidfd.hpp"
#include "jitd/sys/proc_status.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

const std::string kGrant = "0123456789abcdef";
const std::string kOther = "fedcba9876543210";

bool skipped() {
  if (::geteuid() == 0) return false;
  WARN("needs root");
  return true;
}

// What a shell does, and all that comes of it: known by a word of its own on their command lines.
class Command {
 public:
  // `script` begins when `go` is called, as a command begins after sudo's session is open. `audited`: in an audit
  // session of its own.
  Command(const std::string& script, bool audited) : word_("jit-test-" + std::to_string(++number) + "-" + me()) {
    int gate[2] = {-1, -1}, ready[2] = {-1, -1};
    REQUIRE(::pipe2(gate, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      for (const int sig : {SIGTERM, SIGINT, SIGSEGV, SIGABRT}) (void)::signal(sig, SIG_DFL);  // Catch has its own
      if (audited) std::ofstream("/proc/self/loginuid") << 2'000'001'001;
      char byte = 'x';
      (void)!::write(ready[1], &byte, 1);
      if (::read(gate[0], &byte, 1) != 1) ::_exit(1);
      ::execl("/bin/sh", "sh", "-c", script.c_str(), word_.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    for (const int fd : {gate[0], ready[0], ready[1]}) ::close(fd);
    gate_ = gate[1];
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  ~Command() {
    ::close(gate_);
    for (const pid_t pid : running()) (void)::kill(pid, SIGKILL);
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
  }
  void start() const { REQUIRE(::write(gate_, "x", 1) == 1); }
  // Goes on when so many processes run, and not for a moment only: a shell forks before it runs what it was told.
  void go(std::size_t processes) const {
    start();
    REQUIRE(settles(processes));
  }
  [[nodiscard]] bool settles(std::size_t processes) const {
    constexpr int kSettled = 10;
    int same = 0;
    for (int i = 0; i < 5000 && same < kSettled; ++i, ::usleep(1000))
      same = running().size() == processes ? same + 1 : 0;
    return same == kSettled;
  }
  // Those, at a moment at which no shell has forked what it runs next.
  [[nodiscard]] std::set<pid_t> exactly(std::size_t processes) const {
    std::set<pid_t> found = running();
    for (int i = 0; i < 5000 && found.size() != processes; ++i, ::usleep(1000)) found = running();
    REQUIRE(found.size() == processes);
    return found;
  }
  [[nodiscard]] bool all_run(const std::set<pid_t>& pids) const {
    const std::set<pid_t> now = running();
    return std::includes(now.begin(), now.end(), pids.begin(), pids.end());
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Those that have its word as their name, and live.
  [[nodiscard]] std::set<pid_t> running() const {
    std::set<pid_t> found;
    for (const pid_t pid : all_processes()) {
      const std::string line = get("/proc/" + std::to_string(pid) + "/cmdline");
      const UniqueFd process = open_pidfd(pid);
      if (line.find(word_) != std::string::npos && process && !has_ended(process)) found.insert(pid);
    }
    return found;
  }
  bool gone(int ms = 1000) const {
    for (int i = 0; i < ms && !running().empty(); ++i) ::usleep(1000);
    return running().empty();
  }

 private:
  static std::string me() { return std::to_string(::getpid()); }
  static inline int number = 0;
  std::string word_;
  pid_t pid_ = 0;
  int gate_ = -1;
};

// Each process has "$0" on its command line.
const std::string kStay = "sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' \"$0\"";
const std::string kTree = kStay + " & setsid " + kStay + " & " + kStay + "; true";
// Its parents are gone, and so is its session's leader.
const std::string kLeft = "setsid sh -c 'setsid " +
                          std::string("sh -c \"trap : TERM; while :; do sleep 1; done\" \"$0\" &") +
                          "' \"$0\"; sleep 1";

bool may_audit() {
  Command probe("exit", true);
  const std::uint32_t its = audit_session(probe.pid());
  if (its != 0 && its != audit_session(::getpid())) return true;
  WARN("needs the right to begin audit sessions");
  return false;
}

NotedCommands::Which of(const std::string& grant) {
  return [grant](const NotedProcess& one) { return one.grant == grant; };
}
bool all(const NotedProcess& /*one*/) {
  return true;
}

}  // namespace

TEST_CASE("P2: without cgroups what descends from a grant's sudo ends with it, and nothing else",
          "[effects][commands]") {
  if (skipped()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  Command one(kTree, false), other(kTree, false), stranger(kTree, false);
  REQUIRE(commands.note(kGrant, one.pid()));
  REQUIRE(commands.note(kOther, other.pid()));
  one.go(4);
  other.go(4);
  stranger.go(4);
  const auto ended = commands.kill(of(kGrant));
  CHECK(ended.killed.at(kGrant) >= 4);
  CHECK(ended.killed.size() == 1);
  CHECK(ended.left == 0);
  CHECK(one.gone());
  CHECK(other.settles(4));
  CHECK(stranger.settles(4));
  CHECK(commands.kill(of(kGrant)).killed.empty());
}

TEST_CASE("P2: by its audit session also what forked twice and left its session ends, when sudo is long gone",
          "[effects][commands]") {
  if (skipped()) return;
  if (!may_audit()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  Command one(kLeft, true), weaker(kLeft, false);
  REQUIRE(commands.note(kGrant, one.pid()));
  REQUIRE(commands.note(kOther, weaker.pid()));
  one.go(2);
  weaker.go(2);
  REQUIRE(one.settles(1));
  REQUIRE(weaker.settles(1));
  (void)::waitpid(one.pid(), nullptr, 0);
  commands.forget(one.pid());  // sudo closes its session: the note stays
  commands.forget(weaker.pid());
  const auto ended = commands.kill(all);
  CHECK(one.gone());
  CHECK(ended.killed.contains(kGrant));
  CHECK(weaker.settles(1));  // this is what doctor calls weaker
}

TEST_CASE("P2: what left the cgroup of its grant ends by its audit session, and what is in it is left to that",
          "[effects][commands]") {
  if (skipped() || !may_audit()) return;
  const TempDir dir;
  std::set<pid_t> in_cgroup;
  NotedCommands commands(system_files(), dir.path(), "/proc", [&](pid_t pid) { return in_cgroup.contains(pid); });
  Command one(kStay + " & " + kStay + " & wait", true);
  REQUIRE(commands.note(kGrant, one.pid()));
  one.go(3);
  const std::set<pid_t> running = one.exactly(3);
  in_cgroup = running;
  in_cgroup.erase(*running.rbegin());
  // It goes on under another grant: the first one's end is nothing to it any more.
  commands.move(kGrant, one.pid(), kOther);
  CHECK(commands.kill(of(kGrant)).killed.empty());
  CHECK(one.all_run(running));
  const auto ended = commands.kill(of(kOther));
  CHECK(ended.killed.contains(kOther));
  CHECK(one.all_run(in_cgroup));
  CHECK_FALSE(one.running().contains(*running.rbegin()));
  for (const pid_t pid : in_cgroup) (void)::kill(pid, SIGKILL);
  CHECK(one.gone());
}

TEST_CASE("P2, P6: a command that cannot be written down is known all the same, as long as jitd runs",
          "[effects][commands]") {
  if (skipped() || !may_audit()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir / "nowhere");
  Command one(kLeft, true);
  CHECK_FALSE(commands.note(kGrant, one.pid()));
  commands.keep_in_mind(kGrant, one.pid());
  commands.move(kGrant, one.pid(), kOther);
  one.go(2);
  commands.forget(one.pid());
  CHECK(commands.kill(of(kGrant)).killed.empty());
  CHECK(commands.kill(of(kOther)).killed.contains(kOther));
  CHECK(one.gone());
  CHECK(commands.kill(of(kOther)).killed.empty());
}

TEST_CASE("of commands that cannot be written down, those that left nothing are forgotten", "[effects][commands]") {
  if (skipped() || !may_audit()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir / "nowhere");
  for (int i = 0; i < 70; ++i) {
    const Command over("exit 0", true);
    commands.keep_in_mind(kGrant, over.pid());
  }
  Command left(kLeft, true);
  commands.keep_in_mind(kGrant, left.pid());
  CHECK(commands.all().size() < 70);
  left.go(2);
  // Without descriptors nobody is seen, which is not "nobody there".
  for (int i = 0; i < 70; ++i) commands.keep_in_mind(kGrant, left.pid());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{3, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  commands.keep_in_mind(kGrant, left.pid());
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(commands.all().size() >= 70);
  CHECK(commands.kill(of(kGrant)).killed.contains(kGrant));
  CHECK(left.gone());
}

TEST_CASE("P3: what another grant's command runs is not the first one's, though it was started from within",
          "[effects][commands]") {
  if (skipped() || !may_audit()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  // The second has an audit session of its own, is a child of the first, and stays in its session.
  Command one("(echo 2000001002 >/proc/self/loginuid; " + kStay + ") & " + kStay + "; true", true);
  REQUIRE(commands.note(kGrant, one.pid()));
  one.go(3);
  const std::uint32_t first = audit_session(one.pid());
  std::set<pid_t> others;
  for (const pid_t pid : one.exactly(3))
    if (audit_session(pid) != first) others.insert(pid);
  REQUIRE(others.size() == 1);
  std::ofstream(
      dir / (kOther + "." + std::to_string(*others.begin()) + "." + std::to_string(audit_session(*others.begin()))))
      << started_ms(*others.begin()).value() << '\n';
  CHECK(commands.kill(of(kGrant)).killed.contains(kGrant));
  CHECK(one.all_run(others));
  CHECK(one.settles(1));
  (void)commands.kill(of(kOther));
  CHECK(one.gone());
}

TEST_CASE("P5: an audit session that others are in is not a grant's", "[effects][commands]") {
  if (skipped()) return;
  if (!may_audit()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  // A login: its shell, and a sudo in its session.
  Command login(kStay + " & " + kStay + " & wait", true);
  login.go(3);
  const std::set<pid_t> before = login.exactly(3);
  const pid_t sudo = *before.rbegin();
  REQUIRE(audit_session(sudo) == audit_session(login.pid()));
  REQUIRE(commands.note(kGrant, sudo));
  CHECK(there(dir / (kGrant + "." + std::to_string(sudo))));  // without the session
  (void)commands.kill(all);
  CHECK(login.settles(before.size() - 1));
}

TEST_CASE("P2: a later sudo of the same pid does not make jitd forget what an earlier one left",
          "[effects][commands]") {
  if (skipped() || !may_audit()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  Command one(kLeft, true), later(kStay + "; true", true);
  REQUIRE(commands.note(kGrant, one.pid()));
  // As if pids had come round: the note of the earlier one is of the pid that the later one has.
  for (const auto& note : std::filesystem::directory_iterator(dir.path())) {
    std::string name = note.path().filename().string();
    name.replace(name.find(std::to_string(one.pid())), std::to_string(one.pid()).size(), std::to_string(later.pid()));
    std::filesystem::rename(note.path(), dir / name);
    break;
  }
  one.go(2);
  REQUIRE(one.settles(1));
  (void)::waitpid(one.pid(), nullptr, 0);
  REQUIRE(commands.note(kGrant, later.pid()));
  later.go(2);
  (void)commands.kill(all);
  CHECK(one.gone());
  CHECK(later.gone());
}

TEST_CASE("P2: jitd's own program under another account is no jitd", "[effects][commands]") {
  if (skipped()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  // The very program of this process, as nobody and as root.
  for (const uid_t uid : {uid_t{65534}, uid_t{0}}) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      if (::setresuid(uid, uid, uid) != 0) ::_exit(1);
      for (;;) ::pause();
    }
    for (int i = 0; i < 1000 && proc_status(child)->uids[0] != uid; ++i) ::usleep(1000);
    REQUIRE(commands.note(kGrant, child));
    (void)commands.kill(all);
    pid_t ended = 0;
    for (int i = 0; i < (uid == 0 ? 20 : 2000) && ended == 0; ++i, ::usleep(1000))
      ended = ::waitpid(child, nullptr, WNOHANG);
    CHECK(ended == (uid == 0 ? 0 : child));
    (void)::kill(child, SIGKILL);
    (void)::waitpid(child, nullptr, 0);
  }
}

TEST_CASE("P2: more processes than there are descriptors end all the same", "[effects][commands]") {
  if (skipped()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  Command many("for i in $(seq 60); do sh -c 'sleep 100; true' \"$0\" & done; wait", false);
  REQUIRE(commands.note(kGrant, many.pid()));
  many.go(61);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next = ::dup(0);  // the lowest that is free
  REQUIRE(next >= 0);
  ::close(next);
  const auto kill_with = [&](int free) {
    rlimit few = before;
    few.rlim_cur = static_cast<rlim_t>(next + free);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const auto ended = commands.kill(all);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    return ended;
  };
  const auto ended = kill_with(20);
  CHECK(ended.killed.at(kGrant) >= 61);
  CHECK(ended.left == 0);
  CHECK(many.gone());
}

// Hidden, for it is not so: on a machine with more to do than cores, one such storm in a few gets away (ATTEMPTS.md).
TEST_CASE("P2: nobody escapes by forking on", "[.storm][effects][commands]") {
  if (skipped() || !may_audit()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  // Each lives for as long as it takes to start the next, which is its child no more.
  Command storm(
      "S='sleep 0.005; [ $2 -gt 0 ] && sh -c \"$1\" \"$0\" \"$1\" $(($2 - 1)) &'; "
      "for i in 1 2 3; do sh -c \"$S\" \"$0\" \"$S\" 1000 & done; sleep 100; true",
      true);
  REQUIRE(commands.note(kGrant, storm.pid()));
  storm.start();
  ::usleep(200'000);
  REQUIRE(storm.running().size() > 1);
  // On a busy machine a round may end before it has caught all: then it says so, and the next goes on.
  std::size_t left = 1;
  for (int round = 0; round < 20 && left > 0; ++round) left = commands.kill(all).left;
  CHECK(left == 0);
  CHECK(storm.gone());
}

TEST_CASE("a warning is SIGTERM to what runs, stopped or not", "[effects][commands]") {
  if (skipped()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  Command one("sh -c 'kill -STOP $$; sleep 100' \"$0\" & wait", false);
  REQUIRE(commands.note(kGrant, one.pid()));
  one.go(2);
  ::usleep(50'000);
  CHECK(commands.warn(of(kOther)) == 0);
  CHECK(commands.warn(of(kGrant)) >= 2);
  CHECK(one.gone());
}

TEST_CASE("notes of commands that left nothing go, and another process of that pid is left alone",
          "[effects][commands]") {
  if (skipped()) return;
  const TempDir dir;
  NotedCommands commands(system_files(), dir.path());
  Command one(kStay + "; true", false);
  for (int i = 0; i < 70; ++i) put(dir / (kGrant + "." + std::to_string(4'000'000 + i)), "1\n");
  put(dir / (kOther + "." + std::to_string(one.pid())), "1\n");  // started at another time
  put(dir / ".left.tmp", "1\n");
  one.go(2);
  (void)commands.kill(of(kOther));
  CHECK(one.settles(2));
  REQUIRE(commands.note(kGrant, one.pid()));
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 2);  // its own, and what is no note
}

namespace {

// The process that jitd starts for a timer.
class TimerSpawn final : public Spawn {
 public:
  explicit TimerSpawn(std::string timers, std::string due) : timers_(std::move(timers)), due_(std::move(due)) {}
  Result<SpawnOutcome> run(const SpawnRequest& request) override {
    REQUIRE(request.argv.size() == 5);
    REQUIRE(request.argv[1] == "--expire-at");
    const pid_t child = ::fork();
    if (child == 0) {
      const auto due =
          wait_as_timer(timers_, request.argv[2], std::stoll(request.argv[3]), std::stoull(request.argv[4]));
      if (due && *due) std::ofstream(due_, std::ios::app) << request.argv[2] << "\n";
      ::_exit(due ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return SpawnOutcome{WEXITSTATUS(status), "", ""};
  }

 private:
  std::string timers_, due_;
};

}  // namespace

TEST_CASE("P2: without systemd a timer is a process of its own, found by its name and stopped by it",
          "[effects][commands]") {
  const TempDir dir;
  TimerSpawn spawn(dir / "timers", dir / "due");
  SystemClock clock;
  const std::int64_t wall = clock.now().wall_ms;
  const auto due = [&] { return there(dir / "due") ? get(dir / "due") : std::string(); };
  {
    OwnUnits units(spawn, clock, CgroupTree{}, dir / "timers");
    REQUIRE(units.start_timer("by-boot", wall + 3'600'000, 2000));
    REQUIRE(units.start_timer("by-boot", wall + 3'600'000, 2000));  // once, whoever asks for it
    REQUIRE(units.start_timer("by-wall", wall + 2000, 3'600'000));
    REQUIRE(units.start_timer("stopped", wall + 3'600'000, 3'600'000));
    CHECK_FALSE(units.timer_died("stopped"));
  }
  OwnUnits later(spawn, clock, CgroupTree{}, dir / "timers");  // of a jitd that was started anew
  REQUIRE(later.stop_timer("stopped"));
  REQUIRE(later.stop_timer("never started"));
  for (int i = 0; i < 1000 && !later.timer_died("stopped"); ++i) ::usleep(1000);
  CHECK(later.timer_died("stopped"));
  for (int i = 0; i < 10'000 && due().size() < 16; ++i) ::usleep(1000);
  ::usleep(100'000);
  std::string text = due();
  CHECK(text.size() == 16);
  CHECK(text.find("by-boot\n") != std::string::npos);
  CHECK(text.find("by-wall\n") != std::string::npos);
  REQUIRE(later.start_timer("by-boot", wall, 0));  // past: at once
  for (int i = 0; i < 10'000 && due().size() < 24; ++i) ::usleep(1000);
  CHECK(due().size() == 24);
}

TEST_CASE("P2: a timer that was killed is told", "[effects][commands]") {
  const TempDir dir;
  TimerSpawn spawn(dir / "timers", dir / "due");
  SystemClock clock;
  OwnUnits units(spawn, clock, CgroupTree{}, dir / "timers");
  CHECK(units.timer_died("one"));
  REQUIRE(units.start_timer("one", clock.now().wall_ms + 3'600'000, 3'600'000));
  CHECK_FALSE(units.timer_died("one"));
  REQUIRE(units.stop_timer("one"));  // by SIGKILL
  for (int i = 0; i < 1000 && !units.timer_died("one"); ++i) ::usleep(1000);
  CHECK(units.timer_died("one"));
}
