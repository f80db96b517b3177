// The dead-man while its timers die or systemd is slow. As root.
#include "tests/unit/core/effect_host.hpp"

using namespace jit;
using namespace jit::hosttest;

TEST_CASE("P2: a dead-man that died is started again before more is given", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  const auto b = host.entitlement(kB, "bob");
  host.activate(a, {a});
  const auto timers = host.bus.running;
  REQUIRE(timers.size() == 1);
  host.bus.running.clear();
  REQUIRE(host.effector->prepare(b));
  CHECK(host.bus.running == timers);
}

TEST_CASE("a systemd that is slow to answer is left alone for two seconds", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  int asked = 0;
  host.bus.masked = true;  // as good as any other failure
  host.bus.asked = [&] {
    ++asked;
    host.clock.pass(400);
  };
  for (int i = 0; i < 4; ++i) {
    const auto refused = host.effector->prepare(a);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::busy);  // tried again
    CHECK(asked == 1);
    host.clock.pass(500);
  }
  host.bus.masked = false;
  REQUIRE(host.effector->prepare(a));
  CHECK(asked == 2);
}
