// What runs under grants, in real cgroups below a folder of the test's own. Needs root and a cgroup2 tree.
#include "jitd/effects/processes.hpp"
#include "jitd/effects/freezer.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "jitd/effects/frozen_users.hpp"
#include "jitd/effects/logins.hpp"
#include "jitd/effects/own_units.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/proc_status.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;
using AtEnd = Processes::AtEnd;

namespace {

const std::string kGrant = "0123456789abcdef";
const std::string kOther = "fedcba9876543210";

std::string cgroup2_mount() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string device, folder, type, rest; mounts >> device >> folder >> type && std::getline(mounts, rest);)
    if (type == "cgroup2") return folder;
  return {};
}

std::string own_cgroup() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("0::")) return line.substr(3) == "/" ? "" : line.substr(3);
  return {};
}

// A folder of our own in the cgroup tree, as if it were systemd's root; gone with all that is in it.
class Tree {
 public:
  Tree() : prefix_(own_cgroup() + "/jit-test-" + std::to_string(::getpid())), root_(cgroup2_mount() + prefix_) {
    std::error_code error;
    usable_ = ::geteuid() == 0 && !cgroup2_mount().empty() && std::filesystem::create_directory(root_, error) &&
              ::access((root_ + "/cgroup.procs").c_str(), W_OK) == 0;
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() {
    if (!usable_) return;
    std::ofstream(root_ + "/cgroup.kill") << "1";
    for (const pid_t pid : children_) (void)::waitpid(pid, nullptr, 0);
    for (int i = 0; i < 500 && !remove_all(root_); ++i) ::usleep(2000);
  }
  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] Processes processes() const { return Processes(CgroupTree{root_, prefix_, true}); }
  [[nodiscard]] const std::string& root() const { return root_; }

  // A process in this folder of the tree, as soon as it runs; it does nothing until it is killed.
  template <class Begin>
  pid_t run(const std::string& below, Begin&& begin) {
    const std::string folder = root_ + below;
    std::filesystem::create_directories(folder);
    int ready[2] = {-1, -1};
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (const int number : {SIGTERM, SIGINT, SIGSEGV, SIGABRT})
        (void)::signal(number, SIG_DFL);  // Catch has its own
      const int procs = ::open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
      if (::write(procs, "0", 1) != 1) ::_exit(1);
      begin();
      (void)!::write(ready[1], "x", 1);
      for (;;) ::pause();
    }
    children_.push_back(child);
    ::close(ready[1]);
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
    return child;
  }
  pid_t run(const std::string& below) {
    return run(below, [] {});
  }
  pid_t elevated(const std::string& grant, AtEnd at_end = AtEnd::taken) {
    return run("/" + std::string(at_end == AtEnd::taken ? "jit" : "jitleft") + ".slice/" +
               Processes::slice(grant, at_end) + "/some.scope");
  }
  // The signal that ended it; 0: it still runs.
  static int ended_by(pid_t child, int ms = 1000) {
    for (int i = 0; i < ms; ++i, ::usleep(1000)) {
      int status = 0;
      if (::waitpid(child, &status, WNOHANG | WNOWAIT) == child || ::waitpid(child, &status, WNOHANG) == child)
        return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
    }
    return 0;
  }

 private:
  static bool remove_all(const std::string& folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
      if (entry.is_directory(error)) (void)remove_all(entry.path());
    return ::rmdir(folder.c_str()) == 0;
  }
  std::string prefix_, root_;
  bool usable_ = false;
  std::vector<pid_t> children_;
};

bool nobody_else(uid_t, gid_t) {
  return false;
}

bool skipped(const Tree& tree) {
  if (!tree.usable()) WARN("needs root and a writable cgroup2 tree");
  return !tree.usable();
}

}  // namespace

TEST_CASE("P2: a grant's slice is killed whole, forks and cgroups below it too, and no other",
          "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  const Processes processes = tree.processes();
  const pid_t plain = tree.elevated(kGrant);
  const pid_t deep = tree.run("/jit.slice/jit-" + kGrant + ".slice/some.scope/made/by/root");
  const pid_t deaf =
      tree.run("/jit.slice/jit-" + kGrant + ".slice/other.scope", [] { (void)::signal(SIGTERM, SIG_IGN); });
  const pid_t stopped = tree.elevated(kGrant);
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  const pid_t others = tree.elevated(kOther);
  const pid_t left = tree.elevated(kGrant, AtEnd::left);
  const pid_t outside = tree.run("/user.slice");

  CHECK(processes.in_slice(kGrant).size() == 4);
  CHECK(processes.in_slice(kGrant, AtEnd::left) == std::vector<pid_t>{left});
  CHECK(processes.grants() == std::vector<std::string>{kGrant, kOther});
  CHECK(processes.kill(kGrant) == 4);
  CHECK(Tree::ended_by(plain) == SIGKILL);
  CHECK(Tree::ended_by(deep) == SIGKILL);
  CHECK(Tree::ended_by(deaf) == SIGKILL);
  CHECK(Tree::ended_by(stopped) == SIGKILL);
  CHECK(processes.left_after({kGrant}, 1000) == 0);
  CHECK(processes.kill(kGrant) == 0);
  CHECK(Tree::ended_by(others, 20) == 0);
  CHECK(Tree::ended_by(left, 20) == 0);
  CHECK(Tree::ended_by(outside, 20) == 0);
}

TEST_CASE("a warning is SIGTERM, and a stopped process hears it", "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  const pid_t plain = tree.elevated(kGrant);
  const pid_t stopped = tree.elevated(kGrant);
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  CHECK(tree.processes().warn(kGrant) == 2);
  CHECK(Tree::ended_by(plain) == SIGTERM);
  CHECK(Tree::ended_by(stopped) == SIGTERM);
}

TEST_CASE("P2: a command that is held back stands still, whatever becomes of the rest", "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  const Processes processes = tree.processes();
  constexpr pid_t kFirst = 4001, kSecond = 4002;
  const auto run_in = [&](pid_t of) {
    return tree.run("/jit.slice/jit-" + kGrant + ".slice/" + Processes::scope(kGrant, AtEnd::taken, of));
  };
  const pid_t kept = run_in(kFirst), child = run_in(kFirst), other = run_in(kSecond);
  CHECK(processes.in_one_scope(kGrant, kFirst).size() == 2);
  REQUIRE(processes.freeze_scope(kGrant, kFirst));
  CHECK_FALSE(processes.freeze_scope(kGrant, 4003));
  CHECK(processes.warn(kGrant, {kFirst}) == 1);
  CHECK(Tree::ended_by(other) == SIGTERM);
  const pid_t another = run_in(kSecond);
  CHECK(processes.kill(kGrant, {kFirst}) == 1);
  CHECK(Tree::ended_by(another) == SIGKILL);
  CHECK(Tree::ended_by(kept, 50) == 0);
  const std::string scope =
      tree.root() + "/jit.slice/jit-" + kGrant + ".slice/" + Processes::scope(kGrant, AtEnd::taken, kFirst);
  for (int i = 0; i < 5000 && !is_frozen(scope); ++i) ::usleep(1000);
  CHECK(is_frozen(scope));
  CHECK(processes.kill_one_scope(kGrant, kFirst) == 2);
  CHECK(Tree::ended_by(kept) == SIGKILL);
  CHECK(Tree::ended_by(child) == SIGKILL);
}

TEST_CASE("a process is in its scope when its own cgroup says so", "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  const Processes processes = tree.processes();
  const pid_t child = tree.elevated(kGrant);  // in the slice, in another scope
  CHECK_FALSE(processes.in_scope(kGrant, AtEnd::taken, child));
  const std::string scope =
      tree.root() + "/jit.slice/jit-" + kGrant + ".slice/" + Processes::scope(kGrant, AtEnd::taken, child);
  std::filesystem::create_directories(scope);
  std::ofstream(scope + "/cgroup.procs") << child;
  CHECK(processes.in_scope(kGrant, AtEnd::taken, child));
  CHECK_FALSE(processes.in_scope(kGrant, AtEnd::left, child));
  CHECK_FALSE(processes.in_scope(kOther, AtEnd::taken, child));
  CHECK_FALSE(processes.in_scope(kGrant, AtEnd::taken, ::getpid()));
}

TEST_CASE("P2: who still holds a lost group is killed; who has it for their own, or is somebody else, is not",
          "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  constexpr gid_t kLost = 2'000'000'116, kStays = 2'000'000'117;
  constexpr uid_t kAlice = 2'000'001'001, kBob = 2'000'001'002, kDirectory = 2'000'001'003;
  const auto as = [&](uid_t uid, gid_t gid, gid_t more) {
    return tree.run("", [=] {
      if (::setgroups(1, &more) != 0 || ::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0)
        ::_exit(1);
    });
  };
  const pid_t holds = as(kAlice, kStays, kLost);
  const pid_t newgrp = as(kAlice, kLost, kStays);
  const pid_t free = as(kAlice, kStays, kStays);
  const pid_t others = as(kBob, kStays, kLost);
  const pid_t primary = as(kDirectory, kLost, kLost);
  const auto ended = tree.processes().kill_holders({{kLost, {{kAlice, true}, {kDirectory, false}}}}, nobody_else);
  CHECK(ended.killed == std::map<uid_t, std::size_t>{{kAlice, 2}});
  CHECK(ended.all);
  CHECK(Tree::ended_by(holds) == SIGKILL);
  CHECK(Tree::ended_by(newgrp) == SIGKILL);
  CHECK(Tree::ended_by(free, 20) == 0);
  CHECK(Tree::ended_by(others, 20) == 0);
  CHECK(Tree::ended_by(primary, 20) == 0);
}

TEST_CASE("P2: a lost group is not kept by one thread alone", "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  constexpr gid_t kLost = 2'000'000'116;
  constexpr uid_t kAlice = 2'000'001'001, kBob = 2'000'001'002;
  // As by newgidmap(1) in a user namespace of one's own: the first thread, which /proc/PID/status shows, has no
  // group.
  const auto in_a_thread_of = [&](uid_t uid) {
    return tree.run("", [=] {
      const gid_t lost = kLost;
      if (::setgroups(1, &lost) != 0) ::_exit(1);
      std::thread([] {
        for (;;) ::pause();
      }).detach();
      if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::setresuid(uid, uid, uid) != 0) ::_exit(1);
    });
  };
  const pid_t alices = in_a_thread_of(kAlice);
  const pid_t others = in_a_thread_of(kBob);
  REQUIRE(proc_status(alices).value().groups.empty());
  const auto ended = tree.processes().kill_holders({{kLost, {{kAlice, true}}}}, nobody_else);
  CHECK(ended.killed == std::map<uid_t, std::size_t>{{kAlice, 1}});
  CHECK(ended.all);
  CHECK(Tree::ended_by(alices) == SIGKILL);
  CHECK(Tree::ended_by(others, 20) == 0);
}

TEST_CASE("P2: who does not have a lost group, but may take it in a user namespace, is killed",
          "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  constexpr gid_t kLost = 2'000'000'116;
  constexpr uid_t kAlice = 2'000'001'001, kBob = 2'000'001'002;
  // As after newgrp(1), which lets a group be mapped, and setns(2) from a process without it.
  const auto in_a_namespace = [&](uid_t uid, gid_t mapped) {
    return tree.run("", [=] {
      int made[2] = {-1, -1}, done[2] = {-1, -1};
      char byte = 0;
      if (::pipe2(made, O_CLOEXEC) != 0 || ::pipe2(done, O_CLOEXEC) != 0) ::_exit(1);
      const pid_t child = ::getpid();
      if (::fork() == 0) {
        (void)!::read(made[0], &byte, 1);
        std::ofstream("/proc/" + std::to_string(child) + "/gid_map") << "0 " << uid << " 1\n1 " << mapped << " 1\n";
        (void)!::write(done[1], "x", 1);
        ::_exit(0);
      }
      if (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0 ||
          ::unshare(CLONE_NEWUSER) != 0 || ::write(made[1], "x", 1) != 1 || ::read(done[0], &byte, 1) != 1)
        ::_exit(1);
    });
  };
  const pid_t may = in_a_namespace(kAlice, kLost), may_not = in_a_namespace(kAlice, kLost + 1);
  const pid_t others = in_a_namespace(kBob, kLost);
  const auto ended = tree.processes().kill_holders({{kLost, {{kAlice, true}}}}, nobody_else);
  CHECK(ended.killed == std::map<uid_t, std::size_t>{{kAlice, 1}});
  CHECK(Tree::ended_by(may) == SIGKILL);
  CHECK(Tree::ended_by(may_not, 20) == 0);
  CHECK(Tree::ended_by(others, 20) == 0);
}

TEST_CASE("P2: a lost group is not kept under another uid", "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  constexpr gid_t kLost = 2'000'000'116;
  constexpr uid_t kAlice = 2'000'001'001, kBob = 2'000'001'002, kCarol = 2'000'001'003, kLent = 2'000'100'000;
  const auto become = [](uid_t uid) {
    const gid_t lost = kLost;
    if (::setgroups(1, &lost) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0) ::_exit(1);
  };
  // By a set-uid program of Bob's, run by Alice: the kernel remembers who logged in.
  const auto logged_in_as_alice = [&](uid_t uid) {
    return tree.run("", [&] {
      std::ofstream("/proc/self/loginuid") << kAlice;
      become(uid);
    });
  };
  // In a user namespace of Alice's, under a uid that subuid(5) lends her.
  const auto in_a_namespace_of = [&](uid_t owner) {
    return tree.run("", [&] {
      int made[2] = {-1, -1}, mapped[2] = {-1, -1};
      char byte = 0;
      if (::pipe2(made, O_CLOEXEC) != 0 || ::pipe2(mapped, O_CLOEXEC) != 0) ::_exit(1);
      const pid_t child = ::getpid();
      if (::fork() == 0) {  // newuidmap(1)
        (void)!::read(made[0], &byte, 1);
        std::ofstream("/proc/" + std::to_string(child) + "/uid_map") << "0 " << owner << " 1\n1 " << kLent << " 10\n";
        (void)!::write(mapped[1], "x", 1);
        ::_exit(0);
      }
      become(owner);
      if (::unshare(CLONE_NEWUSER) != 0 || ::write(made[1], "x", 1) != 1 || ::read(mapped[0], &byte, 1) != 1)
        ::_exit(1);
      if (::setresuid(1, 1, 1) != 0) ::_exit(1);
    });
  };
  const pid_t bobs = logged_in_as_alice(kBob);
  const pid_t carols = logged_in_as_alice(kCarol);  // who is a member herself
  const pid_t roots = logged_in_as_alice(0);
  const pid_t lent = in_a_namespace_of(kAlice);
  const pid_t others = in_a_namespace_of(kBob);
  const auto entitled = [](uid_t uid, gid_t) { return uid == kCarol; };
  const auto ended = tree.processes().kill_holders({{kLost, {{kAlice, true}}}}, entitled);
  CHECK(ended.killed == std::map<uid_t, std::size_t>{{kAlice, 2}});
  CHECK(Tree::ended_by(bobs) == SIGKILL);
  CHECK(Tree::ended_by(lent) == SIGKILL);
  CHECK(Tree::ended_by(carols, 20) == 0);
  CHECK(Tree::ended_by(roots, 20) == 0);
  CHECK(Tree::ended_by(others, 20) == 0);
}

TEST_CASE("a container's process is not the user whose number it has; one in a namespace of their own is",
          "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  constexpr gid_t kLost = 2'000'000'116;
  constexpr uid_t kAlice = 2'000'001'001;
  // The child that is first in a pid namespace made by `maker`; known by its parent, who is not in it.
  const auto first_in_a_pid_namespace = [&](bool by_root, bool logged_in = false) {
    const pid_t parent = tree.run("", [&] {
      if (logged_in) std::ofstream("/proc/self/loginuid") << kAlice;
      const gid_t lost = kLost;
      const auto become = [&] {
        if (::setgroups(1, &lost) != 0 || ::setresgid(kAlice, kAlice, kAlice) != 0 ||
            ::setresuid(kAlice, kAlice, kAlice) != 0)
          ::_exit(1);
      };
      int ready[2] = {-1, -1};
      char byte = 0;
      if (!by_root) become();
      if (::unshare(CLONE_NEWPID | (by_root ? 0 : CLONE_NEWUSER)) != 0 || ::pipe2(ready, O_CLOEXEC) != 0) ::_exit(1);
      if (::fork() == 0) {
        if (by_root) become();
        (void)!::write(ready[1], "x", 1);
        for (;;) ::pause();
      }
      (void)!::read(ready[0], &byte, 1);
    });
    pid_t child = 0;
    std::ifstream("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children") >> child;
    REQUIRE(child > 0);
    return child;
  };
  const auto runs = [](pid_t pid) {
    std::string text;
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::getline(file, text);
    return !text.empty() && text.find(") Z ") == std::string::npos;
  };
  const pid_t contained = first_in_a_pid_namespace(true);
  const pid_t hidden = first_in_a_pid_namespace(false);
  const pid_t by_setuid_program = first_in_a_pid_namespace(true, true);  // as firejail(1) makes one
  (void)tree.processes().kill_holders({{kLost, {{kAlice, true}}}}, nobody_else);
  for (int i = 0; i < 500 && (runs(hidden) || runs(by_setuid_program)); ++i) ::usleep(1000);
  CHECK_FALSE(runs(hidden));
  CHECK_FALSE(runs(by_setuid_program));
  CHECK(runs(contained));
}

TEST_CASE("P2: nobody keeps a lost group by forking faster than the search", "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  constexpr gid_t kLost = 2'000'000'116;
  constexpr uid_t kAlice = 2'000'001'001;
  const std::string session = "/user.slice/user-" + std::to_string(kAlice) + ".slice/session-7.scope";
  for (int i = 0; i < 4; ++i) {
    (void)tree.run(session, [] {
      const gid_t lost = kLost;
      if (::setgroups(1, &lost) != 0 || ::setresuid(kAlice, kAlice, kAlice) != 0) ::_exit(1);
      if (::fork() != 0) return;
      for (;;)
        if (::fork() > 0) ::_exit(0);
    });
  }
  const Processes processes = tree.processes();
  const auto still_there = [&] {
    std::ifstream procs(tree.root() + session + "/cgroup.procs");
    pid_t pid = 0;
    return static_cast<bool>(procs >> pid);
  };
  REQUIRE(still_there());
  const TempDir dir;
  const std::string freeze = tree.root() + "/user.slice/user-" + std::to_string(kAlice) + ".slice/cgroup.freeze";
  {
    const FrozenUsers still(processes.tree(), dir / "frozen", {kAlice, 0});
    CHECK(read_file(freeze, 8).value() == "1\n");
    CHECK(read_file(dir / "frozen", 64).value() == std::to_string(kAlice) + "\n");
    CHECK(processes.kill_holders({{kLost, {{kAlice, true}}}}, nobody_else).all);
    for (int i = 0; i < 500 && still_there(); ++i) ::usleep(1000);
    CHECK_FALSE(still_there());
  }
  CHECK(read_file(freeze, 8).value() == "0\n");
  CHECK_FALSE(std::filesystem::exists(dir / "frozen"));
}

TEST_CASE("P5: nobody stays frozen by a search that did not come to its end", "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  const Processes processes = tree.processes();
  const std::string slice = "/user.slice/user-2000001001.slice";
  const pid_t login = tree.run(slice + "/session-7.scope");
  const std::string freeze = tree.root() + slice + "/cgroup.freeze";
  const TempDir dir;
  SECTION("a crash leaves the note") {
    std::ofstream(freeze) << "1";
    put(dir / "frozen", "2000001001\nx\n");
    FrozenUsers::thaw_left(processes.tree(), dir / "frozen");
    CHECK(read_file(freeze, 8).value() == "0\n");
    CHECK_FALSE(std::filesystem::exists(dir / "frozen"));
  }
  SECTION("without a note nobody is frozen") {
    const FrozenUsers still(processes.tree(), dir / "nowhere/frozen", {2'000'001'001});
    CHECK(read_file(freeze, 8).value() == "0\n");
  }
  SECTION("whom somebody else froze stays so") {
    std::ofstream(freeze) << "1";
    for (int i = 0; i < 100; ++i) ::usleep(100);
    { const FrozenUsers still(processes.tree(), dir / "frozen", {2'000'001'001}); }
    CHECK(read_file(freeze, 8).value() == "1\n");
    std::ofstream(freeze) << "0";
  }
  CHECK(Tree::ended_by(login, 20) == 0);
}

TEST_CASE("P2: a login ends with its session, and another process of its pid is left alone", "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  const Processes processes = tree.processes();
  const TempDir dir;
  Logins logins(system_files(), processes, dir.path());
  const std::string session = "/user.slice/user-1001.slice/session-7.scope";
  const pid_t leader = tree.run(session), shell = tree.run(session);
  const pid_t lonely = tree.run("/somewhere.service"), neighbour = tree.run("/somewhere.service");
  const pid_t reused = tree.run("/user.slice/user-1002.slice/session-8.scope");
  REQUIRE(logins.note(kGrant, leader));
  REQUIRE(logins.note(kGrant, lonely));
  REQUIRE(logins.note(kOther, reused));
  put(dir / (kGrant + "." + std::to_string(neighbour)), "1\n");  // started at another time: not the one that came in
  put(dir / ".left.tmp", "1\n");
  CHECK(logins.all().size() == 4);

  const auto killed = logins.kill([](const std::string& grant) { return grant == kGrant; });
  CHECK(killed == std::map<std::string, std::size_t>{{kGrant, 3}});
  CHECK(Tree::ended_by(leader) == SIGKILL);
  CHECK(Tree::ended_by(shell) == SIGKILL);
  CHECK(Tree::ended_by(lonely) == SIGKILL);
  CHECK(Tree::ended_by(neighbour, 20) == 0);
  CHECK(Tree::ended_by(reused, 20) == 0);
  REQUIRE(logins.all().size() == 1);
  logins.drop([](const std::string& grant) { return grant == kGrant; });
  CHECK(logins.all().size() == 1);
  logins.drop([](const std::string& grant) { return grant == kOther; });
  CHECK(logins.all().empty());
  CHECK(Tree::ended_by(reused, 20) == 0);
  REQUIRE(logins.note(kOther, reused));
  logins.forget(reused);
  CHECK(logins.all().empty());
}

TEST_CASE("the tree is where systemd's own process is", "[effects][processes]") {
  const TempDir proc;
  std::filesystem::create_directories(proc.path() + "/self");
  std::filesystem::create_directories(proc.path() + "/1");
  const std::string unified = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
  const std::string hybrid =
      "191 136 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw\n"
      "192 136 0:37 / /sys/fs/cgroup/systemd rw shared:85 - cgroup cgroup rw,xattr,name=systemd\n";
  const auto find = [&](const std::string& mounts, const std::string& first) {
    put(proc / "self/mountinfo", mounts);
    put(proc / "1/cgroup", first);
    return find_cgroup_tree(proc.path(), true);
  };
  CHECK(find(unified, "0::/init.scope\n").folder == "/sys/fs/cgroup");
  CHECK(find(hybrid, "9:name=systemd:/init.scope\n0::/init.scope\n").folder == "/sys/fs/cgroup/unified");
  const CgroupTree old = find(hybrid, "9:name=systemd:/init.scope\n0::/\n");
  CHECK(old.folder == "/sys/fs/cgroup/systemd");
  CHECK_FALSE(old.unified);
  const CgroupTree inside = find(unified, "0::/machine.slice/c1/init.scope\n");
  CHECK(inside.folder == "/sys/fs/cgroup/machine.slice/c1");
  CHECK(inside.prefix == "/machine.slice/c1");
  CHECK(find(unified, "0::/\n").folder.empty());  // another init
  CHECK(find("", "0::/init.scope\n").folder.empty());
  CHECK_FALSE(Processes(find("", "")).available());
}

TEST_CASE("without systemd the tree is the cgroup2 mount, where it shows our own cgroup and is writable",
          "[effects][processes]") {
  const TempDir dir;
  const std::string mount = dir / "cgroup";
  std::filesystem::create_directories(dir / "self");
  std::filesystem::create_directories(mount + "/app");
  put(mount + "/cgroup.procs", "");
  put(mount + "/app/cgroup.procs", "");
  const auto find = [&](const std::string& root, const std::string& own) {
    put(dir / "self/mountinfo", "30 25 0:26 " + root + " " + mount + " rw shared:4 - cgroup2 cgroup2 rw\n");
    put(dir / "self/cgroup", "1:name=systemd:/elsewhere\n0::" + own + "\n");
    return find_cgroup_tree(dir.path(), false);
  };
  const CgroupTree own = find("/", "/app");
  CHECK(own.folder == mount);
  CHECK(own.prefix.empty());
  CHECK(Processes(own).way() == Processes::Way::cgroups);
  const CgroupTree without_namespace = find("/docker/1", "/docker/1/app");
  CHECK(without_namespace.folder == mount);
  CHECK(without_namespace.prefix == "/docker/1");
  CHECK(Processes(find("/docker/1", "/app")).way() == Processes::Way::notes);  // of another namespace
  CHECK(Processes(find("/", "/gone")).way() == Processes::Way::notes);
  CHECK(Processes(find_cgroup_tree(dir / "nowhere", false)).way() == Processes::Way::notes);
  CHECK(Processes(find_cgroup_tree(dir / "nowhere", true)).way() == Processes::Way::none);  // systemd is there
  CHECK(Processes(CgroupTree{mount, "", true, true}).way() == Processes::Way::scopes);
}

TEST_CASE("P2: without systemd a command is in a cgroup of jitd's own, which its end finds like a scope",
          "[effects][processes]") {
  Tree tree;
  if (skipped(tree)) return;
  const Processes processes = tree.processes();
  SystemSpawn spawn;
  SystemClock clock;
  OwnUnits units(spawn, clock, processes.tree(), "");
  const pid_t first = tree.run(""), second = tree.run("");
  const std::string slice = Processes::slice(kGrant, AtEnd::taken);
  const auto elevate = [&](pid_t pid) {
    REQUIRE(units.start_scope(Processes::scope(kGrant, AtEnd::taken, pid), slice, {pid}));
    return processes.in_scope(kGrant, AtEnd::taken, pid);
  };
  REQUIRE(elevate(first));
  const std::string of_first =
      tree.root() + "/jit.slice/" + slice + "/" + Processes::scope(kGrant, AtEnd::taken, first);
  std::filesystem::create_directories(of_first + "/made/by/root");
  REQUIRE(elevate(second));
  CHECK(processes.in_scope(kGrant, AtEnd::taken, first));
  // Pids come round: what is in it need not be of the process that comes.
  const auto again = units.start_scope(Processes::scope(kGrant, AtEnd::taken, first), slice, {second});
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Errc::busy);
  CHECK(processes.in_scope(kGrant, AtEnd::taken, second));
  CHECK(processes.kill(kGrant) == 2);
  CHECK(Tree::ended_by(first) == SIGKILL);
  CHECK(Tree::ended_by(second) == SIGKILL);
  const pid_t third = tree.run("");
  REQUIRE(elevate(third));  // what ended before it is collected
  CHECK_FALSE(std::filesystem::exists(of_first));
  units.stop_slices({slice});
  CHECK(processes.grants() == std::vector<std::string>{kGrant});  // not while something is in it
  CHECK(processes.kill(kGrant) == 1);
  CHECK(processes.left_after({kGrant}, 1000) == 0);
  const std::string left = tree.root() + "/jitleft.slice/" + Processes::slice(kGrant, AtEnd::left);
  std::filesystem::create_directories(left + "/over.scope");
  const pid_t spared = tree.run("/jitleft.slice/" + Processes::slice(kOther, AtEnd::left) + "/runs.scope");
  units.stop_slices({slice});
  CHECK(processes.grants().empty());
  CHECK_FALSE(std::filesystem::exists(left));
  CHECK(processes.in_slice(kOther, AtEnd::left) == std::vector<pid_t>{spared});
  CHECK_FALSE(OwnUnits(spawn, clock, CgroupTree{}, "").start_scope("jit-x-1.scope", "jit-x.slice", {third}));
}
