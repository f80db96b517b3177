#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jitd/core/board_file.hpp"
#include "tests/unit/core/effect_host.hpp"

using namespace jit;
using namespace jit::hosttest;

TEST_CASE("a grant is given and taken away, and the host is as it was", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  // Before the first effect: timer, then records.
  host.bus.then = [&] {
    CHECK(host.held_records() == 0);
    CHECK_FALSE(host.end_record(kA));
  };
  REQUIRE(host.effector->prepare(a));
  host.bus.then = nullptr;
  CHECK(host.bus.log.size() == 1);
  CHECK(host.bus.log[0] == "start jit-expire@" + std::to_string(a.not_after * 1000) + "-" +
                               std::to_string(a.boot_deadline_ms) + " " + std::to_string(a.not_after * 1000 + 200) +
                               " 60200");
  CHECK(host.as_it_was());
  CHECK(host.held_records() == 1);
  CHECK(host.end_record(kA)->active);

  REQUIRE(host.effector->give(a));
  CHECK(host.member("alice"));
  CHECK(host.dropin(kA));
  REQUIRE(host.effector->give(a));  // again: nothing new
  REQUIRE(host.effector->publish({a}));
  CHECK(host.live(kA) == true);
  CHECK(host.bus.running.size() == 1);

  CHECK(host.effector->take({EffectHost::order(a)}).empty());
  CHECK(host.as_it_was());
  CHECK(host.live(kA) == false);
  CHECK(host.held_records() == 0);
  CHECK(host.end_record(kA)->reason == "revoked");
  REQUIRE(host.effector->publish({}));
  CHECK_FALSE(host.live(kA));
  CHECK(host.sudo_end(1001) == host.clock.at.boot_ms);
  CHECK(host.bus.running.empty());
  host.effector->settled({kA});
  CHECK_FALSE(host.end_record(kA));
}

TEST_CASE("P3: what was there before stays, and two grants end independently", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  SECTION("a membership of before") {
    const auto a = host.entitlement(kA, "carol");
    host.activate(a, {a});
    CHECK(host.held_records() == 0);
    CHECK(host.effector->take({EffectHost::order(a)}).empty());
    CHECK(host.as_it_was());
  }
  SECTION("two grants for one membership, ending one by one") {
    const auto a = host.entitlement(kA);
    const auto b = host.entitlement(kB);
    host.activate(a, {a});
    host.activate(b, {a, b});
    CHECK(host.held_records() == 2);
    const auto& first = GENERATE_COPY(from_range(std::vector<std::string>{kA, kB})) == kA ? a : b;
    const auto& second = first.grant == kA ? b : a;
    CHECK(host.effector->take({EffectHost::order(first)}).empty());
    CHECK(host.member("alice"));
    CHECK(host.dropin(second.grant));
    CHECK_FALSE(host.dropin(first.grant));
    CHECK(host.effector->take({EffectHost::order(second)}).empty());
    CHECK(host.as_it_was());
  }
  SECTION("two at once: one rewrite") {
    const auto a = host.entitlement(kA);
    const auto b = host.entitlement(kB, "bob", "web", 117);
    host.activate(a, {a});
    host.activate(b, {a, b});
    host.files.log.clear();
    CHECK(host.effector->take({EffectHost::order(a), EffectHost::order(b)}).empty());
    CHECK(std::count(host.files.log.begin(), host.files.log.end(), "renameat") ==
          2 + 2);  // gshadow and group, and the two notes of files
    CHECK(host.as_it_was());
  }
  SECTION("added by somebody else between our look and our write") {
    const auto a = host.entitlement(kA);
    REQUIRE(host.effector->prepare(a));
    put(host.paths.etc + "/group", "root:x:0:\ndba:x:116:carol,alice\nweb:x:117:\n");
    REQUIRE(host.effector->give(a));
    CHECK(host.effector->take({EffectHost::order(a)}).empty());
    CHECK(host.member("alice"));
  }
}

TEST_CASE("a group that is gone, renumbered or renamed meanwhile", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  SECTION("before it is given") {
    REQUIRE(host.effector->prepare(a));
    put(host.paths.etc + "/group", "dba:x:999:\n");
    CHECK(host.effector->give(a).error().message.find("another gid") != std::string::npos);
  }
  SECTION("while it lasts: the member that we gave goes, wherever it stands now, and no other") {
    host.activate(a, {a});
    std::string then;
    std::string after;
    SECTION("renumbered") {
      then = "dba:x:999:bob,alice\nweb:x:33:alice\n";
      after = "dba:x:999:bob\nweb:x:33:alice\n";
    }
    SECTION("renamed") {
      then = "dbadmins:x:116:alice,bob\nweb:x:33:alice\n";
      after = "dbadmins:x:116:bob\nweb:x:33:alice\n";
    }
    SECTION("both: another group has the name") {
      then = "dba:x:999:alice\nold:x:116:alice\n";
      after = "dba:x:999:\nold:x:116:\n";
    }
    SECTION("gone") {
      then = "web:x:33:alice\n";
      after = then;
    }
    put(host.paths.etc + "/group", then);
    CHECK_FALSE(host.effector->take({EffectHost::order(a)}).empty());
    CHECK(host.group() == after);
    CHECK(host.held_records() == 0);
    CHECK_FALSE(host.dropin(kA));
  }
  SECTION("while it lasts, and another grant gave the group as it is now") {
    host.activate(a, {a});
    put(host.paths.etc + "/group", "dba:x:999:alice\nweb:x:33:\n");
    auto b = host.entitlement(kB);
    b.effects.groups = {{"dba", 999}};
    host.activate(b, {a, b});
    CHECK_FALSE(host.effector->take({EffectHost::order(a)}).empty());
    CHECK(host.group() == "dba:x:999:alice\nweb:x:33:\n");
    CHECK(host.held_records() == 1);
  }
  SECTION("while it lasts, and another group of that gid was there all the time") {
    put(host.paths.etc + "/group", "dba:x:116:\nalias:x:116:alice\n");
    host.activate(a, {a});
    CHECK(host.effector->take({EffectHost::order(a)}).empty());
    CHECK(host.group() == "dba:x:116:\nalias:x:116:alice\n");
  }
  SECTION("malformed while it lasts: tried again until it is mended") {
    host.activate(a, {a});
    put(host.paths.etc + "/group", "dba:x:116:alice:\n");
    CHECK_FALSE(host.effector->take({EffectHost::order(a)}).empty());
    CHECK(host.held_records() == 1);
    put(host.paths.etc + "/group", "dba:x:116:alice\n");
    CHECK(host.effector->reconcile({}).empty());
    CHECK(host.group() == "dba:x:116:\n");
  }
}

TEST_CASE("P2: a user who is renamed while a grant is active loses it under the new name", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const std::string passwd = "root:x:0:0::/:/bin/sh\ncarol:x:1003:100::/:/bin/sh\n";
  put(host.paths.etc + "/passwd", passwd + "alice:x:1001:100::/:/bin/sh\n");
  const auto a = host.entitlement(kA);
  host.activate(a, {a});
  std::string then = "dba:x:116:carol,alicia\nweb:x:117:alicia\n";
  std::string after = "dba:x:116:carol\nweb:x:117:alicia\n";
  std::string users = "alicia:x:1001:100::/:/bin/sh\n";
  SECTION("renamed") {}
  SECTION("renamed, and somebody else has the old name") {
    users += "alice:x:2001:100::/:/bin/sh\n";
  }
  SECTION("renamed, and so is the group") {
    then = "dbadmins:x:116:carol,alicia\nweb:x:117:alicia\n";
    after = "dbadmins:x:116:carol\nweb:x:117:alicia\n";
  }
  SECTION("not renamed: a second name of the same uid keeps what it has") {
    then = "dba:x:116:carol,alice,alicia\n";
    after = "dba:x:116:carol,alicia\n";
    users += "alice:x:1001:100::/:/bin/sh\n";
  }
  put(host.paths.etc + "/passwd", passwd + users);
  put(host.paths.etc + "/group", then);
  (void)host.effector->take({EffectHost::order(a)});
  CHECK(host.group() == after);
  CHECK(host.held_records() == 0);
}

TEST_CASE("P2, P3: a renamed user keeps what another grant gave under the new name", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  put(host.paths.etc + "/passwd", "alice:x:1001:100::/:/bin/sh\n");
  const auto a = host.entitlement(kA);
  host.activate(a, {a});
  put(host.paths.etc + "/passwd", "alicia:x:1001:100::/:/bin/sh\n");
  put(host.paths.etc + "/group", "dba:x:116:carol\n");  // by hand
  const auto b = host.entitlement(kB, "alicia");
  host.activate(b, {a, b});
  (void)host.effector->take({EffectHost::order(a)});
  CHECK(host.member("alicia"));
  (void)host.effector->take({EffectHost::order(b)});
  CHECK_FALSE(host.member("alicia"));
}

TEST_CASE("P2: a membership that was written but not synced, on a full disk, is ours", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  int count = 0;
  {
    EffectHost measured;  // how many calls a give takes
    REQUIRE(measured.effector->prepare(a));
    measured.files.calls = 0;
    REQUIRE(measured.effector->give(a));
    count = measured.files.calls;
  }
  const bool reserve = GENERATE(true, false);
  for (int at = 0; at < count; ++at) {
    EffectHost full;
    REQUIRE(full.effector->prepare(a));
    if (!reserve) std::filesystem::remove(full.paths.etc_jit + "/.reserve");
    full.files.calls = 0;
    full.files.fail_at = at;
    const auto given = full.effector->give(a);
    full.files.fail_at = -1;
    INFO("call " << at << (given ? ", given" : ", not given"));
    if (!given) (void)full.effector->reconcile({a});
    CHECK(full.effector->take({EffectHost::order(a)}).empty());
    CHECK(full.as_it_was());
    CHECK(full.held_records() == 0);
  }
}

TEST_CASE("P4: stopped dead at any call of an activation, the next start takes all of it away", "[core][effector]") {
  if (needs_root()) return;
  for (int at = 0;; ++at) {
    EffectHost host;
    const auto a = host.entitlement(kA);
    host.files.calls = 0;
    host.files.fail_at = at;
    host.files.from_then = true;
    const bool through = host.effector->prepare(a).has_value() && host.effector->give(a).has_value();
    INFO("stopped at call " << at);
    host.start();
    CHECK(host.effector->reconcile({}).empty());
    CHECK(host.as_it_was());
    CHECK(host.held_records() == 0);
    if (through) {
      CHECK(at > 20);
      break;
    }
  }
}

TEST_CASE("P4: stopped dead at any call of an end, the next start finishes it, and nothing revives it",
          "[core][effector]") {
  if (needs_root()) return;
  for (int at = 0;; ++at) {
    EffectHost host;
    const auto a = host.entitlement(kA);
    host.activate(a, {a});
    host.files.calls = 0;
    host.files.fail_at = at;
    host.files.from_then = true;
    const bool through = host.effector->take({EffectHost::order(a)}).empty();
    INFO("stopped at call " << at);
    const bool marked = !host.end_record(kA)->active;
    host.start();
    CHECK(host.effector->reconcile({}).empty());
    CHECK(host.as_it_was());
    CHECK(host.held_records() == 0);
    if (marked) {
      CHECK(host.effector->prepare(a).error().code == Errc::refused);
      CHECK_FALSE(host.effector->reconcile({a}).empty());
      CHECK(host.as_it_was());
    }
    if (at > 4) CHECK(marked);  // after the drop-in and the board's words, which want no disk
    if (through) {
      CHECK(at > 10);
      break;
    }
  }
}

TEST_CASE("P6: with a full disk an end takes away what needs no space, and the rest when there is some",
          "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  host.activate(a, {a});
  // No new file can be made; what is there can be written in place. The reserve does not help either.
  class Full final : public Files {
   public:
    bool full = true;
    int openat(int dir, const char* path, int flags, mode_t mode) noexcept override {
      if (full && (flags & O_CREAT) != 0) {
        errno = ENOSPC;
        return -1;
      }
      return Files::openat(dir, path, flags, mode);
    }
  } full;
  auto opened =
      HostEffector::open({full, host.spawn, host.clock, host.bus, [] { return EffectHost::gates(); }}, host.paths);
  REQUIRE(opened);
  CHECK_FALSE((*opened)->take({EffectHost::order(a)}).empty());
  CHECK_FALSE(host.dropin(kA));
  CHECK(host.live(kA) == false);
  CHECK_FALSE(host.end_record(kA)->active);
  CHECK(host.member("alice"));
  CHECK(host.held_records() == 1);
  CHECK_FALSE((*opened)->prepare(host.entitlement(kB)));  // and gives nothing meanwhile
  full.full = false;
  CHECK((*opened)->reconcile({}).empty());
  CHECK(host.as_it_was());
}

TEST_CASE("reconcile makes the host hold exactly what is wanted", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  const auto b = host.entitlement(kB, "bob", "web", 117);
  host.activate(a, {a});
  host.activate(b, {a, b});
  SECTION("what somebody removed or changed comes back") {
    put(host.paths.etc + "/group", kGroupText);
    put(host.paths.run + "/sudoers.d/jit-" + kA, "root ALL=(ALL) ALL\n");
    std::filesystem::remove(host.paths.run + "/sudoers.d/jit-" + kB);
    CHECK(host.effector->reconcile({a, b}).empty());
    CHECK(host.member("alice"));
    CHECK(host.member("bob", "web"));
    CHECK(get(host.paths.run + "/sudoers.d/jit-" + kA).find("root ALL") == std::string::npos);
    CHECK(host.dropin(kB));
  }
  SECTION("what is not wanted goes, and stays free to be decided again") {
    put(host.paths.run + "/sudoers.d/jit-" + kC, "#1 ALL=(ALL) ALL\n", 0440);
    put(host.paths.run + "/sudoers.d/.jit-" + kC + ".tmp", "half", 0440);
    CHECK(host.effector->reconcile({b}).empty());
    CHECK_FALSE(host.member("alice"));
    CHECK(host.member("bob", "web"));
    CHECK_FALSE(host.dropin(kA));
    CHECK_FALSE(host.dropin(kC));
    CHECK_FALSE(there(host.paths.run + "/sudoers.d/.jit-" + kC + ".tmp"));
    CHECK(host.end_record(kA)->active);
    host.activate(a, {a, b});
    CHECK(host.member("alice"));
    CHECK(host.live(kA) == true);
  }
  SECTION("a record torn on the disk is written anew") {
    const UniqueFd raw(::open((host.paths.var + "/held").c_str(), O_WRONLY));
    REQUIRE(::pwrite(raw.get(), "2", 1, 45) == 1);
    CHECK(host.effector->reconcile({a, b}).empty());
    CHECK(host.effector->take({EffectHost::order(a), EffectHost::order(b)}).empty());
    CHECK(host.as_it_was());
  }
}

TEST_CASE("a new board forgets no end", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  auto b = host.entitlement(kB, "bob", "web", 117);
  b.uid = 1002;
  host.activate(a, {a});
  host.activate(b, {a, b});
  host.clock.pass(10'000);
  CHECK(host.effector->take({EffectHost::order(a)}).empty());
  host.clock.pass(1000);
  // The engine, for whatever reason, still thinks that it lives; also after a restart.
  if (GENERATE(false, true)) host.start();
  REQUIRE(host.effector->publish({a, b}));
  CHECK(host.live(kA) == false);
  CHECK(host.live(kB) == true);
  CHECK(host.sudo_end(1001) > 0);
  CHECK(host.sudo_end(1001) <= host.clock.at.boot_ms);
  CHECK(host.sudo_end(1002) == 0);
  const auto first = host.sudo_end(1001);
  REQUIRE(host.effector->publish({}));
  CHECK(host.sudo_end(1001) == first);
  CHECK(host.sudo_end(1002) == host.clock.at.boot_ms);  // it left without being taken
}

TEST_CASE("P2: nothing is given when the dead-man could not be started", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  auto b = host.entitlement(kB, "bob");
  SECTION("the first") {}
  SECTION("a later one, while the timer of an earlier end runs") {
    b.not_after += 30;
    b.boot_deadline_ms += 30'000;
    host.activate(a, {a});
  }
  host.bus.masked = true;
  const auto refused = host.effector->prepare(b);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("nothing would end this grant if jitd did not") != std::string::npos);
  CHECK(refused.error().message.find("is masked") != std::string::npos);
  CHECK_FALSE(host.end_record(kB));
  host.bus.masked = false;
  CHECK(host.effector->prepare(b));
}

TEST_CASE("the dead-man's timer is always there for the next end", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  auto a = host.entitlement(kA);
  auto b = host.entitlement(kB, "bob");
  b.not_after -= 30;
  b.boot_deadline_ms -= 30'000;
  host.activate(a, {a});
  const std::size_t before = host.bus.log.size();
  // b is on its way: its end is covered though it is not on the board yet, and stays so when another board is made.
  REQUIRE(host.effector->prepare(b));
  REQUIRE(host.bus.log.size() == before + 2);
  CHECK(host.bus.log[before].starts_with("start jit-expire@" + std::to_string(b.not_after * 1000)));
  CHECK(host.bus.log[before + 1].starts_with("stop jit-expire@" + std::to_string(a.not_after * 1000)));
  REQUIRE(host.effector->publish({a}));
  CHECK(host.bus.log.size() == before + 2);
  CHECK(host.effector->take({EffectHost::order(b)}).empty());
  REQUIRE(host.effector->publish({a}));
  CHECK(host.bus.running == std::set<std::string>{"jit-expire@" + std::to_string(a.not_after * 1000) + "-" +
                                                  std::to_string(a.boot_deadline_ms)});
  // The timer of an end that has just come still has to fire: another activation leaves it alone.
  host.clock.pass(60'000);
  b = host.entitlement(kC, "bob");
  REQUIRE(host.effector->prepare(b));
  CHECK(host.bus.running.contains("jit-expire@" + std::to_string(a.not_after * 1000) + "-" +
                                  std::to_string(a.boot_deadline_ms)));
  CHECK(host.bus.running.size() == 2);
  // Without systemd nothing is given.
  host.bus.works = false;
  b = host.entitlement(kB, "dora");
  b.not_after -= 30;
  CHECK_FALSE(host.effector->prepare(b));
  CHECK(host.held_records() == 2);
}

TEST_CASE("locks that others hold: giving waits for another time, taking does not", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  host.activate(a, {a});
  const auto lock = FileLock::try_take(host.paths.run + "/effects.lock");
  REQUIRE(lock);
  CHECK(host.effector->prepare(host.entitlement(kB)).error().code == Errc::busy);
  CHECK(host.effector->give(a).error().code == Errc::busy);
  const auto texts = host.effector->take({EffectHost::order(a)});
  REQUIRE(texts.failures.size() == 1);
  CHECK(texts.failures[0].find("effects lock") != std::string::npos);
  CHECK(host.as_it_was());
}

TEST_CASE("P7: the record of an end is kept for a day past its time", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto ended = host.entitlement(kA), active = host.entitlement(kB);
  host.activate(ended, {ended});
  host.activate(active, {ended, active});
  (void)host.effector->take({EffectHost::order(ended)});
  const auto records = [&] { return host.effector->ends().value().size(); };
  constexpr std::int64_t kDay = 24 * 3600;
  host.effector->forget(ended.not_after + kDay);
  CHECK(records() == 2);
  REQUIRE_FALSE(host.effector->prepare(ended));  // it stays refused as long as that
  host.effector->forget(ended.not_after + kDay + 1);
  CHECK(records() < 2);
}

TEST_CASE("a thousand grants are prepared and given in a few writes", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  std::vector<Entitlement> many;
  for (int i = 0; i < 1500; ++i) {
    many.push_back(host.entitlement("g" + std::to_string(i), "u" + std::to_string(i)));
    many.back().effects.sudo.clear();
  }
  host.files.log.clear();
  REQUIRE(host.effector->prepare_all(many));
  REQUIRE(host.effector->give_all(many));
  CHECK(std::count(host.files.log.begin(), host.files.log.end(), "fsync") < 20);
  CHECK(std::count(host.files.log.begin(), host.files.log.end(), "renameat") == 2);
  CHECK(host.held_records() == 1500);
  CHECK(host.member("u1499"));
  SECTION("one of them has ended: none is prepared, and nothing is left of it") {
    (void)host.effector->take({EffectHost::order(many[7])});
    CHECK(host.effector->prepare_all(many).error().code == Errc::refused);
    CHECK_FALSE(host.member("u7"));
  }
  CHECK(host.expire_now(true).failures.empty());
  CHECK(host.as_it_was());
}

TEST_CASE("what a check would say without a grant is read from the board, before and after its end",
          "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const Entitlement one = host.entitlement(kA), two = host.entitlement(kB);
  host.activate(one, {one});
  wire::Query query;
  query.service = "sudo";
  query.subject = "alice";
  query.has_uid = true;
  query.uid = 1001;
  query.started_ms = host.clock.at.boot_ms + 1000;
  const wire::Clocks clocks{host.clock.at.wall_ms, host.clock.at.boot_ms};
  const std::string board = host.paths.run + "/board";
  const auto without = [&](const std::string& id) {
    const BoardWithout copy(board, clocks.boot_ms, [&](std::string_view each) { return each == id; });
    return copy.answer(query, clocks);
  };
  CHECK(without("").verdict == wire::Verdict::allow);
  CHECK(without(kA).verdict == wire::Verdict::deny);
  CHECK(host.live(kA) == true);  // the board itself is as it was
  host.activate(two, {one, two});
  CHECK(without(kA).verdict == wire::Verdict::allow);
  CHECK(std::string(without(kA).grant) == kB);
  put(board, "damaged");
  CHECK(without(kA).verdict == wire::Verdict::unknown);
}

TEST_CASE("P2: without systemd and cgroups a command is noted, and ends with its grant, by jitd and without it",
          "[effector][processes]") {
  if (needs_root()) return;
  EffectHost host;
  host.processes = Processes(CgroupTree{"", "", true, false});
  host.start();
  const auto begin = [] {
    int runs[2] = {-1, -1};
    REQUIRE(::pipe2(runs, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl("/bin/sleep", "sleep", "100", static_cast<char*>(nullptr));
      ::_exit(1);
    }
    ::close(runs[1]);
    char byte = 0;
    CHECK(::read(runs[0], &byte, 1) == 0);  // until then it runs this program, which is spared as jitd itself is
    ::close(runs[0]);
    return child;
  };
  const auto ended_by = [](pid_t child) {
    int status = 0;
    for (int i = 0; i < 1000 && ::waitpid(child, &status, WNOHANG) != child; ++i) ::usleep(1000);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  };
  const Entitlement a = host.entitlement(kA), b = host.entitlement(kB), c = host.entitlement(kC);
  host.activate(a, {a});
  host.activate(b, {a, b});
  host.activate(c, {a, b, c});
  const pid_t of_a = begin(), of_b = begin(), left = begin();
  REQUIRE(host.effector->elevate(kA, false, of_a));
  REQUIRE(host.effector->elevate(kB, false, of_b));
  REQUIRE(host.effector->elevate(kC, true, left));
  CHECK(std::find_if(host.bus.log.begin(), host.bus.log.end(),
                     [](const std::string& line) { return line.starts_with("scope"); }) == host.bus.log.end());
  const Taken taken = host.effector->take({EffectHost::order(a)});
  CHECK(taken.ended.at(kA) == 1);
  CHECK(ended_by(of_a) == SIGKILL);
  CHECK(::kill(of_b, 0) == 0);

  const Expired expired = expire(host.paths,
                                 {system_files(), host.spawn, host.clock, host.bus,
                                  [] { return Result<pid_t>(fail(Errc::not_found, "none")); }, host.processes},
                                 true);
  CHECK(std::find(expired.notes.begin(), expired.notes.end(), "1 processes of grant " + kB + " were ended") !=
        expired.notes.end());
  CHECK(ended_by(of_b) == SIGKILL);
  CHECK(::kill(left, 0) == 0);
  (void)::kill(left, SIGKILL);
  (void)::waitpid(left, nullptr, 0);
}

TEST_CASE("P2: where systemd runs, and has no cgroups to be seen, no command is run by a grant",
          "[effector][processes]") {
  if (needs_root()) return;
  EffectHost host;
  host.processes = Processes(CgroupTree{});
  host.start();
  const Entitlement a = host.entitlement(kA);
  host.activate(a, {a});
  const auto refused = host.effector->elevate(kA, false, ::getpid());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::unavailable);
  CHECK(std::filesystem::is_empty(host.paths.run + "/commands"));
}
