#include "jitd/effects/groups.hpp"

#include <sys/mount.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/unit/catch.hpp"
#include "tests/unit/effects/private_etc.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

const std::string kGroup = "root:x:0:\ndba:x:116:alice\n";
const std::string kShadow = "root:*::\ndba:!::alice\n";

struct Host {
  TempDir dir;
  FailingFiles files;
  SystemSpawn spawn;
  Groups groups;

  explicit Host(const LockPatience& patience = {}) : groups(files, spawn, dir.path(), dir / "reserve", patience) {
    put(dir / "group", kGroup, 0644);
    put(dir / "gshadow", kShadow, 0640);
  }
  Result<GroupChange> add(LockEffort effort = LockEffort::activation) {
    return groups.apply({{"dba", 116, "bob", true}}, effort);
  }
};

// A process that holds the lock of lckpwdf(3), with a real uid that is not root's, and stops itself while it does.
class Stopper {
 public:
  enum class Manner { stops, stops_again, runs };
  Stopper(const std::string& path, uid_t uid, Manner manner) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
      struct flock range {};
      range.l_type = F_WRLCK;
      if (::fcntl(fd, F_SETLK, &range) != 0) ::_exit(1);
      (void)!::setresuid(uid, 0, 0);  // like a setuid passwd
      (void)!::write(ends[1], "y", 1);
      if (manner == Manner::runs) ::sleep(20);
      ::raise(SIGSTOP);
      while (manner == Manner::stops_again) ::raise(SIGSTOP);
      ::_exit(0);  // woken, it goes on and lets go
    }
    char ok = 'n';
    REQUIRE(::read(ends[0], &ok, 1) == 1);
    ::close(ends[0]);
    ::close(ends[1]);
    if (manner != Manner::runs) REQUIRE(::waitpid(pid_, nullptr, WUNTRACED) == pid_);
  }
  Stopper(const Stopper&) = delete;
  Stopper& operator=(const Stopper&) = delete;
  ~Stopper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  // Signal that ended it, 0 for an exit, -1 while it lives.
  int ended() {
    for (int i = 0; i < 300; ++i) {
      siginfo_t info{};
      if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_)
        return info.si_code == CLD_EXITED ? 0 : info.si_status;
      ::usleep(1000);
    }
    return -1;
  }

 private:
  pid_t pid_ = 0;
};

bool contains(const std::vector<std::string>& texts, const std::string& part) {
  for (const auto& text : texts)
    if (text.find(part) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("both files are rewritten with mode and owner kept, gshadow first", "[effects][groups]") {
  Host host;
  if (::geteuid() == 0) {
    REQUIRE(::chown((host.dir / "gshadow").c_str(), 0, 42) == 0);
    REQUIRE(::chmod((host.dir / "gshadow").c_str(), 0640) == 0);
  }
  const mode_t mask = ::umask(0);
  const auto change = host.add();
  ::umask(mask);
  REQUIRE(change);
  CHECK(get(host.dir / "group") == "root:x:0:\ndba:x:116:alice,bob\n");
  CHECK(get(host.dir / "gshadow") == "root:*::\ndba:!::alice,bob\n");
  CHECK((look(host.dir / "group").st_mode & 07777U) == 0644);
  CHECK((look(host.dir / "gshadow").st_mode & 07777U) == 0640);
  if (::geteuid() == 0) CHECK(look(host.dir / "gshadow").st_gid == 42);
  const std::vector<std::string> one = {"openat", "fchown", "fchmod", "pwrite", "fsync", "renameat", "fsync"};
  std::vector<std::string> two = one;
  two.insert(two.end(), one.begin(), one.end());
  CHECK(host.files.log == two);
  host.files.log.clear();
  CHECK(host.add()->results[0] == EditResult::already);
  CHECK(host.files.log.empty());
}

TEST_CASE("whichever call fails, group is whole, old or new, and the next try makes it right", "[effects][groups]") {
  for (int at = 0; at < 14; ++at) {
    Host host;
    host.files.fail_at = at;
    host.files.error = EIO;
    CHECK_FALSE(host.add());
    INFO(at);
    const std::string group = get(host.dir / "group");
    CHECK((group == kGroup || (at == 13 && group == "root:x:0:\ndba:x:116:alice,bob\n")));
    CHECK_FALSE(there(host.dir / ".group.tmp"));
    CHECK_FALSE(there(host.dir / ".gshadow.tmp"));
    host.files.fail_at = -1;
    REQUIRE(host.groups.apply({{"dba", 116, "bob", false}}, LockEffort::end));
    CHECK(get(host.dir / "group") == kGroup);
    CHECK(get(host.dir / "gshadow") == kShadow);
  }
}

TEST_CASE("a member that is given again after a failed removal is in both files", "[effects][groups]") {
  for (int at = 0; at < 14; ++at) {
    INFO(at);
    Host host;
    REQUIRE(host.add());
    host.files.calls = 0;
    host.files.fail_at = at;
    host.files.error = EIO;
    // Whether it is gone from group is told: who holds it is ended then.
    const auto change = host.groups.apply({{"dba", 116, "bob", false}}, LockEffort::end);
    CHECK(change.has_value() == (get(host.dir / "group") == kGroup));
    if (change) CHECK(change->behind->errnum == EIO);
    host.files.fail_at = -1;
    // At no time is somebody a member whom gshadow does not know.
    CHECK((get(host.dir / "group") == kGroup || get(host.dir / "gshadow") == "root:*::\ndba:!::alice,bob\n"));
    REQUIRE(host.add());
    CHECK(get(host.dir / "group") == "root:x:0:\ndba:x:116:alice,bob\n");
    CHECK(get(host.dir / "gshadow") == "root:*::\ndba:!::alice,bob\n");
  }
}

TEST_CASE("a host without gshadow, and a group file that is a link", "[effects][groups]") {
  Host host;
  REQUIRE(::unlink((host.dir / "gshadow").c_str()) == 0);
  REQUIRE(host.add());
  CHECK_FALSE(there(host.dir / "gshadow"));
  REQUIRE(::rename((host.dir / "group").c_str(), (host.dir / "elsewhere").c_str()) == 0);
  REQUIRE(::symlink("elsewhere", (host.dir / "group").c_str()) == 0);
  CHECK(host.groups.apply({{"dba", 116, "bob", false}}, LockEffort::end).error().message.find("symbolic link") !=
        std::string::npos);
  CHECK(get(host.dir / "elsewhere").find("bob") != std::string::npos);
}

TEST_CASE("a lock that somebody holds: giving tells at once, taking away gets through", "[effects][groups][lock]") {
  if (::geteuid() != 0) {
    WARN("needs root");
    return;
  }
  // Who was woken or killed may have to wait for its turn on a busy machine: the wait ends when the lock is free.
  constexpr std::chrono::milliseconds kShort{50};
  constexpr std::chrono::milliseconds kLong{8000};
  Host host({kShort, kLong, kLong});
  Host hasty({kShort, kShort, kLong});
  const SystemClock clock;
  const auto busy_at_once = [&](Host& at) {
    const auto before = clock.now().boot_ms;
    CHECK(at.add().error().code == Errc::busy);
    CHECK(clock.now().boot_ms - before < 4000);
    CHECK(get(at.dir / "group") == kGroup);
  };
  const auto taken = [&](Host& at) {
    const auto before = clock.now().boot_ms;
    const auto change = at.groups.apply({{"dba", 116, "alice", false}}, LockEffort::end);
    CHECK(clock.now().boot_ms - before < 16'000);
    REQUIRE(change);
    CHECK(get(at.dir / "group") == "root:x:0:\ndba:x:116:\n");
    return change;
  };
  SECTION("a user's stopped passwd is woken and goes on") {
    Stopper stopper(host.dir / ".pwd.lock", 1000, Stopper::Manner::stops);
    busy_at_once(host);
    const auto change = taken(host);
    CHECK_FALSE(change->without_lock);
    CHECK(contains(change->notes, "woke"));
    CHECK_FALSE(contains(change->notes, "killed"));
    CHECK(stopper.ended() == 0);
  }
  SECTION("one that is stopped again is killed") {
    Stopper stopper(hasty.dir / ".pwd.lock", 1000, Stopper::Manner::stops_again);
    busy_at_once(hasty);
    const auto change = taken(hasty);
    CHECK_FALSE(change->without_lock);
    CHECK(contains(change->notes, "killed"));
    CHECK(stopper.ended() == SIGKILL);
  }
  SECTION("root's own is left in peace, and written past") {
    Stopper stopper(host.dir / ".pwd.lock", 0, Stopper::Manner::stops_again);
    const auto change = taken(host);
    CHECK(change->without_lock);
    CHECK(contains(change->notes, "without the lock"));
    CHECK(stopper.ended() == -1);
  }
  SECTION("one that runs is left in peace, and written past") {
    Stopper stopper(host.dir / ".pwd.lock", 1000, Stopper::Manner::runs);
    const auto change = taken(host);
    CHECK(change->without_lock);
    CHECK(stopper.ended() == -1);
  }
}

TEST_CASE("on a full disk the reserve is given up, and what cannot be done is not half done", "[effects][groups]") {
  const auto etc = PrivateEtc::make();
  if (!etc) {
    WARN("needs root and mounts");
    return;
  }
  Host host;
  const std::string small = host.dir / "small";
  REQUIRE(::mkdir(small.c_str(), 0755) == 0);
  REQUIRE(::mount("small", small.c_str(), "tmpfs", 0, "size=1m,mode=0755") == 0);
  std::string group = kGroup;
  for (int i = 0; i < 3000; ++i) group += "g" + std::to_string(i) + ":x:" + std::to_string(2000 + i) + ":\n";
  put(small + "/group", group);
  put(small + "/gshadow", kShadow, 0640);
  Groups groups(system_files(), host.spawn, small, small + "/reserve");
  REQUIRE(groups.keep_reserve());
  CHECK(look(small + "/reserve").st_size >= static_cast<off_t>(group.size() + kShadow.size()));
  CHECK((look(small + "/reserve").st_mode & 07777U) == 0600);
  const auto fill = [&] {
    CHECK(run({"/bin/dd", "if=/dev/zero", "of=" + small + "/fill", "bs=4k"})->exit_status == 1);
  };
  fill();
  const auto change = groups.apply({{"dba", 116, "alice", false}}, LockEffort::end);
  REQUIRE(change);
  CHECK(contains(change->notes, "full"));
  CHECK_FALSE(is_member(get(small + "/group"), "dba", "alice"));
  CHECK(get(small + "/gshadow") == "root:*::\ndba:!::\n");
  CHECK_FALSE(there(small + "/reserve"));
  // And without one: an error, the files whole.
  fill();
  const std::string before = get(small + "/group");
  CHECK(groups.apply({{"dba", 116, "alice", true}}, LockEffort::end).error().errnum == ENOSPC);
  CHECK(get(small + "/group") == before);
  CHECK_FALSE(groups.keep_reserve());
}

TEST_CASE("what was meant is what getent and grpck read", "[effects][groups][tools]") {
  const auto etc = PrivateEtc::make();
  if (!etc) {
    WARN("needs root and mounts");
    return;
  }
  SystemSpawn spawn;
  Groups groups(system_files(), spawn, "/etc", "/etc/.reserve");
  REQUIRE(run({"/usr/sbin/groupadd", "-g", "4242", "jitgroup"})->exit_status == 0);
  REQUIRE(run({"/usr/sbin/useradd", "-u", "4243", "-M", "jituser"})->exit_status == 0);
  const auto members = [] { return run({"/usr/bin/getent", "-s", "files", "group", "jitgroup"})->out; };
  const auto clean = [] {
    const auto outcome = run({"/usr/sbin/grpck", "-r"});
    INFO(outcome->out + outcome->err);
    CHECK(outcome->exit_status == 0);
    CHECK(outcome->out.find("jit") == std::string::npos);
  };
  REQUIRE(groups.apply({{"jitgroup", 4242, "jituser", true}}, LockEffort::activation));
  CHECK(members() == "jitgroup:x:4242:jituser\n");
  CHECK(run({"/usr/bin/id", "-nG", "jituser"})->out.find("jitgroup") != std::string::npos);
  clean();
  REQUIRE(groups.apply({{"jitgroup", 4242, "jituser", false}}, LockEffort::end));
  CHECK(members() == "jitgroup:x:4242:\n");
  clean();
}

TEST_CASE("no update is lost between us and gpasswd, usermod and useradd", "[effects][groups][tools][race]") {
  const auto etc = PrivateEtc::make();
  if (!etc) {
    WARN("needs root and mounts");
    return;
  }
  const int rounds = std::getenv("JIT_ROUNDS") != nullptr ? std::atoi(std::getenv("JIT_ROUNDS")) : 60;
  SystemSpawn spawn;
  Groups groups(system_files(), spawn, "/etc", "/etc/.reserve");
  REQUIRE(run({"/usr/sbin/groupadd", "-g", "4242", "jitgroup"})->exit_status == 0);
  for (const char* user : {"jituser", "other"}) REQUIRE(run({"/usr/sbin/useradd", "-M", user})->exit_status == 0);
  // gpasswd has a group of its own: it reads a group's members before it takes the lock (shadow-maint/shadow#347), so
  // on one group it undoes whatever anybody changed in between, under whatever lock.
  REQUIRE(run({"/usr/sbin/groupadd", "-g", "4245", "theirs"})->exit_status == 0);
  // The tools, one after the other in another process, as many times as we change the group.
  const std::string script =
      "n=0; while [ $n -lt " + std::to_string(rounds) +
      " ]; do n=$((n+1)); gpasswd -a other theirs >/dev/null || exit 1; usermod -c c$n other || exit 2; "
      "useradd -M u$n || exit 3; usermod -aG jitgroup u$n || exit 4; gpasswd -d other theirs >/dev/null || exit 5; "
      "done";
  const pid_t tools = ::fork();
  if (tools == 0) {
    ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
    ::_exit(127);
  }
  int ours = 0;
  int busy = 0;
  bool member = false;
  int status = 0;
  while (::waitpid(tools, &status, WNOHANG) == 0) {
    const auto change = groups.apply({{"jitgroup", 4242, "jituser", !member}}, LockEffort::activation);
    if (!change) {
      REQUIRE(change.error().code == Errc::busy);
      ++busy;
      ::usleep(500);
      continue;
    }
    // Nobody else touches this membership: what we wrote last must still be there.
    REQUIRE(change->results[0] == EditResult::changed);
    member = !member;
    ++ours;
    ::usleep(500);
  }
  CHECK(status == 0);
  CHECK(ours > rounds);
  CHECK(busy > 0);
  const std::string text = groups.read_group().value();
  CHECK(is_member(text, "jitgroup", "jituser") == member);
  CHECK_FALSE(is_member(text, "theirs", "other"));
  for (int i = 1; i <= rounds; ++i) {
    INFO(i);
    CHECK(is_member(text, "jitgroup", "u" + std::to_string(i)));
  }
  const auto check = run({"/usr/sbin/grpck", "-r"});
  INFO(check->out + check->err);
  CHECK(check->exit_status == 0);
  CHECK(check->out.find("jitgroup") == std::string::npos);
}
