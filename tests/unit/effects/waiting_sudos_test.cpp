// P2: a sudo that waits while a grant ends is killed, one that runs a command is not. A program of the test's own
// plays sudo: setuid root, it waits as sudo does.
#include "jitd/effects/waiting_sudos.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "jitd/sys/clock.hpp"
#include "jitd/sys/proc_status.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

constexpr uid_t kAlice = 2'000'001'001, kBob = 2'000'001'002;

// What a process of `uid` does: a copy of sleep(1) under the name "sudo", with the real uid alone, as setuid leaves
// it.
class Sudos {
 public:
  Sudos() {
    std::filesystem::copy_file("/bin/sleep", path_);
    ::chmod(path_.c_str(), 04755);
    ::chmod(dir_.path().c_str(), 0755);
  }
  Sudos(const Sudos&) = delete;
  Sudos& operator=(const Sudos&) = delete;
  ~Sudos() {
    for (const pid_t pid : children_) (void)::kill(-pid, SIGKILL), (void)::waitpid(pid, nullptr, 0);
  }

  enum class Child : std::uint8_t { none, command, askpass };
  // A child process cannot be given to a program that execs, so it is made before.
  pid_t run(uid_t uid, Child child = Child::none) {
    int ready[2] = {-1, -1};
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      (void)::setpgid(0, 0);
      if (child != Child::none && ::fork() == 0) {
        const uid_t as = child == Child::command ? 0 : uid;
        if (::setresuid(as, as, as) != 0) ::_exit(1);
        ::execl("/bin/sleep", "sleep", "60", nullptr);
        ::_exit(1);
      }
      if (::setresuid(uid, 0, 0) != 0) ::_exit(1);
      ::execl(path_.c_str(), "sudo", "60", nullptr);
      ::_exit(1);
    }
    children_.push_back(pid);
    ::close(ready[1]);
    char byte = 0;
    (void)!::read(ready[0], &byte, 1);  // closed by exec
    ::close(ready[0]);
    for (int i = 0; child != Child::none && i < 1000; ++i, ::usleep(1000)) {
      const auto below = children_of(pid);
      const auto status = below.empty() ? std::nullopt : proc_status(below[0]);
      if (status && status->real_uid() == (child == Child::command ? 0 : uid)) break;
    }
    return pid;
  }
  static bool killed(pid_t pid) {
    for (int i = 0; i < 500; ++i, ::usleep(1000)) {
      siginfo_t info{};
      if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
        return info.si_status == SIGKILL;
    }
    return false;
  }
  static bool runs(pid_t pid) {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
  }
  [[nodiscard]] std::vector<std::string> paths() const { return {path_}; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  TempDir dir_;
  std::string path_ = dir_ / "sudo";
  std::vector<pid_t> children_;
};

std::uint64_t now_ms() {
  return SystemClock().now().boot_ms;
}

bool not_root() {
  if (::geteuid() != 0) WARN("needs root");
  return ::geteuid() != 0;
}

}  // namespace

TEST_CASE("P2: a sudo that waits while a grant ends is killed, also stopped and with a helper for the password",
          "[effects][sudos]") {
  if (not_root()) return;
  Sudos sudos;
  const pid_t prompt = sudos.run(kAlice), stopped = sudos.run(kAlice);
  const pid_t askpass = sudos.run(kAlice, Sudos::Child::askpass);
  const pid_t running = sudos.run(kAlice, Sudos::Child::command);
  const pid_t others = sudos.run(kBob);
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  const Processes processes{CgroupTree{}};
  CHECK(kill_waiting_sudos(processes, {{kAlice, now_ms()}}, {}).empty());
  CHECK(kill_waiting_sudos(processes, {}, sudos.paths()).empty());
  CHECK(Sudos::runs(prompt));
  const auto killed = kill_waiting_sudos(processes, {{kAlice, now_ms()}}, sudos.paths());
  CHECK(killed == std::map<uid_t, std::size_t>{{kAlice, 3}});
  CHECK(Sudos::killed(prompt));
  CHECK(Sudos::killed(stopped));
  CHECK(Sudos::killed(askpass));
  CHECK(Sudos::runs(running));
  CHECK(Sudos::runs(others));
}

TEST_CASE("a sudo that began after the end read its rules after it, and is left alone", "[effects][sudos]") {
  if (not_root()) return;
  Sudos sudos;
  const std::uint64_t end = now_ms() - 100;
  const pid_t later = sudos.run(kAlice);
  CHECK(kill_waiting_sudos(Processes{CgroupTree{}}, {{kAlice, end}}, sudos.paths()).empty());
  CHECK(Sudos::runs(later));
}

TEST_CASE("P2: a sudo that was replaced by an upgrade meanwhile, or linked elsewhere, is known all the same",
          "[effects][sudos]") {
  if (not_root()) return;
  Sudos sudos;
  const pid_t waits = sudos.run(kAlice);
  const std::string other = sudos.path().substr(0, sudos.path().rfind('/')) + "/other";
  SECTION("replaced") {
    std::filesystem::copy_file(sudos.path(), other);
    std::filesystem::rename(other, sudos.path());
    CHECK(kill_waiting_sudos(Processes{CgroupTree{}}, {{kAlice, now_ms()}}, sudos.paths()).size() == 1);
  }
  SECTION("linked") {
    std::filesystem::rename(sudos.path(), other);
    std::filesystem::create_hard_link(other, sudos.path());
    CHECK(kill_waiting_sudos(Processes{CgroupTree{}}, {{kAlice, now_ms()}}, sudos.paths()).size() == 1);
  }
  CHECK(Sudos::killed(waits));
}
