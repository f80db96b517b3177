// Who holds a group that a grant gave, when the end of the grant and jitd's own fall together. As root; /proc is a
// folder that says of sleeping children what a test wants.
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/core/effect_host.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

class Holder {
 public:
  Holder(const EffectHost& host, const Entitlement& of) : pid_(::fork()) {
    if (pid_ == 0) {
      ::execl("/bin/sleep", "sleep", "100", static_cast<char*>(nullptr));
      ::_exit(1);
    }
    const std::string folder = host.dir / ("proc/" + std::to_string(pid_)), uid = std::to_string(of.uid);
    std::filesystem::create_directories(folder);
    put(folder + "/status", "Name:\tsleep\nPPid:\t1\nUid:\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid +
                                "\nGid:\t100\t100\t100\t100\nGroups:\t100 " +
                                std::to_string(of.effects.groups.at(0).gid) + "\n");
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() {
    if (pid_ > 0) (void)::kill(pid_, SIGKILL);
    if (pid_ > 0) (void)::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] bool lives(int ms = 20) {
    for (int i = 0; i < ms && pid_ > 0; ++i) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
      ::usleep(1000);
    }
    return pid_ > 0;
  }

 private:
  pid_t pid_;
};

struct HolderHost : EffectHost {
  HolderHost() {
    std::filesystem::create_directories(dir / "proc");
    processes = Processes(CgroupTree{}, dir / "proc");
    start();
  }
  [[nodiscard]] Expired expire_all() {
    return expire(
        paths,
        {system_files(), spawn, clock, bus, [] { return Result<pid_t>(fail(Errc::not_found, "none")); }, processes},
        true);
  }
  [[nodiscard]] static EndOrder released(const Entitlement& one) {
    return {one.grant, one.user, one.uid, one.effects, "released", false, true};
  }
  [[nodiscard]] static EndOrder left(const Entitlement& one) {
    return {one.grant, one.user, one.uid, one.effects, "expired", true, false};
  }
};

}  // namespace

TEST_CASE("P2: jitd dies between a release and the end of who holds the group: the next start ends them",
          "[core][effector]") {
  if (needs_root()) return;
  HolderHost host;
  const Entitlement a = host.entitlement(kA), b = host.entitlement(kB, "bob", "web", 117);
  host.activate(a, {a});
  host.activate(b, {a, b});
  Holder of_a(host, a), of_b(host, b);
  const Taken taken = host.effector->take({HolderHost::released(a)});
  CHECK(taken.failures.empty());
  CHECK(taken.more_soon);
  CHECK_FALSE(host.member("alice"));
  CHECK(of_a.lives());  // a moment to leave by itself

  host.start();
  SECTION("by jitd") {
    CHECK(host.effector->reconcile({}).failures.empty());
    CHECK_FALSE(of_a.lives(1000));
    CHECK(of_b.lives());  // its grant may be decided again
    REQUIRE(host.effector->prepare(b));
    REQUIRE(host.effector->give(b));
    CHECK(host.member("bob", "web"));
    CHECK(host.effector->reconcile({b}).failures.empty());
    CHECK(of_b.lives());
    CHECK(host.held_records() == 1);
  }
  SECTION("without it") {
    CHECK(host.expire_all().failures.empty());
    CHECK_FALSE(of_a.lives(1000));
    CHECK_FALSE(of_b.lives(1000));
    CHECK(host.held_records() == 0);
  }
}

TEST_CASE("P2: a release without a crash ends who holds the group a moment later, once", "[core][effector]") {
  if (needs_root()) return;
  HolderHost host;
  const Entitlement a = host.entitlement(kA);
  host.activate(a, {a});
  Holder of_a(host, a);
  REQUIRE(host.effector->take({HolderHost::released(a)}).failures.empty());
  CHECK(host.effector->reconcile({}).failures.empty());
  CHECK_FALSE(of_a.lives(1000));
  CHECK(host.held_records() == 0);
  Holder later(host, a);  // by another hand than ours
  CHECK(host.effector->reconcile({}).failures.empty());
  CHECK(later.lives());
}

TEST_CASE("on_end = leave: who holds the group stays, also when taking it away took two attempts",
          "[core][effector]") {
  if (needs_root()) return;
  HolderHost host;
  const Entitlement a = host.entitlement(kA);
  host.activate(a, {a});
  Holder of_a(host, a);
  const bool fails = GENERATE(false, true);
  const std::string group = host.paths.etc + "/group";
  if (fails) std::filesystem::rename(group, group + ".away");
  CHECK(host.effector->take({HolderHost::left(a)}).failures.empty() == !fails);
  if (fails) std::filesystem::rename(group + ".away", group);
  CHECK(host.held_records() == (fails ? 1 : 0));
  CHECK(host.effector->reconcile({}).failures.empty());
  CHECK(host.as_it_was());
  CHECK(host.held_records() == 0);
  CHECK(of_a.lives());
}

TEST_CASE("P2: a record that somebody else freed, and that has a new owner, is not freed with the old one",
          "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  auto held = HeldFile::open(host.files, host.paths.var, "held");
  REQUIRE(held);
  Groups groups(host.files, host.spawn, host.paths.etc, host.paths.etc_jit + "/.reserve");
  Ledger ledger(*held, groups);
  const auto a = host.entitlement(kA), b = host.entitlement(kB, "bob");
  const auto all = [](const auto&) { return true; };
  REQUIRE(ledger.note({&a}));
  REQUIRE(ledger.give({&a}));
  REQUIRE(ledger.take(all).lost.size() == 1);
  REQUIRE(ledger.take(all).lost.size() == 1);  // until it is forgotten
  REQUIRE(held->clear(0));                     // as `jitd --expire` does
  REQUIRE(ledger.note({&b}));
  REQUIRE(ledger.give({&b}));
  ledger.forget_lost(all);
  REQUIRE(held->read()->size() == 1);
  CHECK(held->read()->at(0).record->grant == kB);
}

TEST_CASE("P2: where no new board can be written, the old one opens nothing that is not wanted any more",
          "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const Entitlement a = host.entitlement(kA), b = host.entitlement(kB, "bob", "web", 117);
  host.activate(a, {a});
  host.activate(b, {a, b});
  host.start();
  {
    const auto other = FileLock::take(host.paths.run + "/effects.lock", std::chrono::milliseconds(0));
    REQUIRE(other);
    CHECK_FALSE(host.effector->publish({b}));
  }
  CHECK(host.live(kA) == false);
  CHECK(host.live(kB) == true);
  REQUIRE(host.effector->publish({b}));
  CHECK_FALSE(host.live(kA).has_value());
  CHECK(host.live(kB) == true);
}
