#include "jitd/core/expire.hpp"

#include <sys/wait.h>

#include <csignal>

#include "tests/unit/core/effect_host.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

struct Three : EffectHost {
  Entitlement a = entitlement(kA);
  Entitlement b = entitlement(kB, "bob", "web", 117);
  Entitlement c = entitlement(kC, "alice", "web", 117);
  Three() {
    b.not_after += 60;
    b.boot_deadline_ms += 60'000;
    c.not_after += 120;
    c.boot_deadline_ms += 120'000;
    activate(a, {a});
    activate(b, {a, b});
    activate(c, {a, b, c});
  }
};

}  // namespace

TEST_CASE("what is due goes on either clock, the rest stays and gets its timer", "[core][expire]") {
  if (needs_root()) return;
  Three host;
  CHECK(host.expire_now(false).grants.empty());
  SECTION("by the wall clock") {
    host.clock.at.wall_ms = host.a.not_after * 1000;
  }
  SECTION("by the boot clock, though the wall clock was set back") {
    host.clock.at.boot_ms = host.a.boot_deadline_ms;
    host.clock.at.wall_ms -= 3'600'000;
  }
  host.bus.log.clear();
  const auto expired = host.expire_now(false);
  CHECK(expired.grants == std::vector<std::string>{kA});
  CHECK(expired.failures.empty());
  CHECK_FALSE(host.member("alice"));
  CHECK_FALSE(host.dropin(kA));
  CHECK(host.live(kA) == false);
  CHECK(host.end_record(kA)->reason == "expired");
  for (const auto& one : {host.b, host.c}) {
    CHECK(host.member(one.user, "web"));
    CHECK(host.dropin(one.grant));
    CHECK(host.live(one.grant) == true);
    CHECK(host.end_record(one.grant)->active);
  }
  REQUIRE(host.bus.log.size() == 1);
  CHECK(host.bus.log[0].starts_with("start jit-expire@" + std::to_string(host.b.not_after * 1000)));
  CHECK(host.expire_now(false).grants.empty());  // again: nothing to do
  CHECK(host.effector->prepare(host.a).error().code == Errc::refused);
}

TEST_CASE("--all takes everything and says so; at boot records that are not past may be decided again",
          "[core][expire]") {
  if (needs_root()) return;
  Three host;
  put(host.paths.run + "/sudoers.d/jit-0000000000000000", "#1 ALL=(ALL) ALL\n", 0440);  // nobody knows of it
  SECTION("in this boot: for good") {
    const auto expired = host.expire_now(true);
    CHECK(expired.failures.empty());
    CHECK(expired.grants.size() == 3);
    CHECK(host.end_record(kB)->reason == "removed");
    for (const auto& id : {kA, kB, kC}) CHECK(host.live(id) == false);
  }
  SECTION("after a reboot: what is past is over, the rest is decided again") {
    std::filesystem::remove(host.paths.run + "/board");
    host.clock.boot = "fedcba98-7654-3210-fedc-ba9876543210";
    host.clock.at.boot_ms = 9000;
    host.clock.at.wall_ms = host.a.not_after * 1000 + 5;
    const bool all = GENERATE(true, false);
    const auto expired = host.expire_now(all);
    CHECK(expired.failures.empty());
    CHECK(expired.grants == std::vector<std::string>{kA});
    CHECK(host.end_record(kA)->reason == "expired");
    CHECK(host.end_record(kB)->active);
    host.start();
    REQUIRE(host.effector->prepare(host.entitlement(kB, "bob", "web", 117)));
    CHECK(host.end_record(kB)->boot_id == host.clock.boot);
    CHECK(host.expire_now(true).failures.empty());
  }
  CHECK(host.as_it_was());
  CHECK(host.held_records() == 0);
  CHECK(host.expire_now(true).failures.empty());
}

TEST_CASE("a torn record is an end", "[core][expire]") {
  if (needs_root()) return;
  Three host;
  const UniqueFd raw(::open((host.paths.var + "/ends").c_str(), O_WRONLY));
  REQUIRE(::pwrite(raw.get(), "9", 1, 95) == 1);  // in the time of a's record
  const auto expired = host.expire_now(false);
  CHECK(expired.grants == std::vector<std::string>{kA});
  CHECK(expired.failures.empty());
  CHECK_FALSE(host.member("alice"));
  CHECK_FALSE(host.dropin(kA));
  CHECK(host.live(kA) == false);
  CHECK(host.end_record(kA)->reason == "torn");
  CHECK(host.member("bob", "web"));
  // Nothing readable left of any: all goes.
  const std::string zeros(3 * kRecordSize, 'x');
  REQUIRE(::pwrite(raw.get(), zeros.data(), zeros.size(), 0) == static_cast<ssize_t>(zeros.size()));
  CHECK(host.expire_now(false).failures.empty());
  CHECK(host.as_it_was());
}

TEST_CASE("a host with nothing of ours, and one whose folders are gone", "[core][expire]") {
  if (needs_root()) return;
  EffectHost host;
  CHECK(host.expire_now(true).failures.empty());
  for (const auto& folder : {host.paths.run, host.paths.etc_jit}) std::filesystem::remove_all(folder);
  std::filesystem::remove(host.paths.var + "/held");
  std::filesystem::remove(host.paths.var + "/ends");
  const auto expired = host.expire_now(true);
  CHECK(expired.failures.empty());
  CHECK(expired.notes.empty());
  CHECK_FALSE(there(host.paths.var + "/held"));
}

TEST_CASE("a jitd that hangs with the lock is killed, and only if it is jitd", "[core][expire]") {
  if (needs_root()) return;
  Three host;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t jitd = ::fork();
  if (jitd == 0) {
    const auto lock = FileLock::try_take(host.paths.run + "/effects.lock");
    (void)!::write(ends[1], lock ? "y" : "n", 1);
    for (;;) ::pause();
  }
  char ok = 'n';
  REQUIRE(::read(ends[0], &ok, 1) == 1);
  REQUIRE(ok == 'y');
  const bool known = GENERATE(true, false);
  const auto daemon = [&]() -> Result<pid_t> {
    if (known) return jitd;
    return fail(Errc::not_found, "jitd.service is not running");
  };
  const auto before = SystemClock().now().boot_ms;
  const auto expired = expire(host.paths, {system_files(), host.spawn, host.clock, host.bus, daemon}, true);
  CHECK(SystemClock().now().boot_ms - before < 3000);
  CHECK(expired.failures.empty());
  CHECK(host.as_it_was());
  int status = 0;
  ::usleep(20'000);
  CHECK(::waitpid(jitd, &status, WNOHANG) == (known ? jitd : 0));
  if (known) CHECK(WTERMSIG(status) == SIGKILL);
  ::kill(jitd, SIGKILL);
  ::waitpid(jitd, nullptr, 0);
}

TEST_CASE("a jitd that runs is started anew when everything was ended beside it", "[core][expire]") {
  if (needs_root()) return;
  Three host;
  const pid_t jitd = ::fork();
  if (jitd == 0) {
    (void)std::signal(SIGTERM, SIG_DFL);  // the test runner has a handler that reports
    for (;;) ::pause();
  }
  const auto daemon = [&]() -> Result<pid_t> { return jitd; };
  const ExpirePorts ports{system_files(), host.spawn, host.clock, host.bus, daemon};
  CHECK(expire(host.paths, ports, false).grants.empty());
  ::usleep(20'000);
  int status = 0;
  CHECK(::waitpid(jitd, &status, WNOHANG) == 0);  // nothing was due: nothing to know
  CHECK(expire(host.paths, ports, true).grants.size() == 3);
  CHECK(::waitpid(jitd, &status, 0) == jitd);
  CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE("several at once take away once", "[core][expire]") {
  if (needs_root()) return;
  Three host;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto expired = host.expire_now(true);
      ::_exit(expired.failures.empty() ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  CHECK(host.as_it_was());
  CHECK(host.held_records() == 0);
}

TEST_CASE("stopped dead at any call, the next run finishes it", "[core][expire]") {
  if (needs_root()) return;
  for (int at = 0;; ++at) {
    Three host;
    host.files.calls = 0;
    host.files.fail_at = at;
    host.files.from_then = true;
    const ExpirePorts broken{host.files, host.spawn, host.clock, host.bus,
                             [] { return Result<pid_t>(fail(Errc::not_found, "none")); }};
    (void)expire(host.paths, broken, true);
    const bool through = host.files.calls <= at;
    INFO("stopped at call " << at);
    CHECK(host.expire_now(true).failures.empty());
    CHECK(host.as_it_was());
    CHECK(host.held_records() == 0);
    for (const auto& id : {kA, kB, kC}) CHECK(host.live(id) == false);
    if (through) {
      CHECK(at > 15);
      break;
    }
  }
}
