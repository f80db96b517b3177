// Ends by the host's view of revocations, as they stand on the disk: moved on by jitd, kept without it.
#include "tests/unit/core/effect_host.hpp"

using namespace jit;
using namespace jit::hosttest;

TEST_CASE("P2: an end by the view of revocations stands on disk and board, and is moved on", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  auto a = host.entitlement(kA);
  const auto b = host.entitlement(kB, "bob", "web", 117);
  a.view_not_after = a.not_after - 40;
  a.view_deadline_ms = a.boot_deadline_ms - 40'000;
  host.activate(b, {b});
  host.activate(a, {a, b});
  CHECK(host.end_record(kA)->not_after == a.view_not_after);
  CHECK(host.end_record(kA)->boot_ms == a.view_deadline_ms);
  CHECK(host.bus.running == std::set<std::string>{"jit-expire@" + std::to_string(a.view_not_after * 1000) + "-" +
                                                  std::to_string(a.view_deadline_ms)});
  // The drop-in says its own end: it is not written again for each list.
  const std::string dropin = get(host.paths.run + "/sudoers.d/jit-" + kA);

  SECTION("a list comes") {
    a.view_not_after += 30;
    a.view_deadline_ms += 30'000;
    REQUIRE(host.effector->move_ends({a, b}));
    REQUIRE(host.effector->publish({a, b}));
    CHECK(host.end_record(kA)->not_after == a.view_not_after);
    CHECK(host.end_record(kB)->not_after == b.not_after);
    CHECK(host.bus.running.size() == 1);
    CHECK(get(host.paths.run + "/sudoers.d/jit-" + kA) == dropin);
    host.clock.pass(21'000);
    CHECK(host.expire_now(false).grants.empty());
    host.clock.pass(30'000);
    CHECK(host.expire_now(false).grants == std::vector<std::string>{kA});
    CHECK_FALSE(host.member("alice"));
    CHECK(host.member("bob", "web"));
  }
  SECTION("none does, and jitd is dead") {
    host.clock.pass(19'000);
    CHECK(host.expire_now(false).grants.empty());
    host.clock.pass(1'000);
    CHECK(host.expire_now(false).grants == std::vector<std::string>{kA});
    CHECK_FALSE(host.member("alice"));
    CHECK_FALSE(host.dropin(kA));
  }
  SECTION("what has ended is not moved") {
    REQUIRE(host.effector->take({EffectHost::order(a)}).empty());
    REQUIRE(host.effector->move_ends({a}));
    CHECK_FALSE(host.end_record(kA)->active);
  }
  SECTION("whichever write fails, the record says one of both") {
    const std::int64_t before = a.view_not_after;
    a.view_not_after += 30;
    for (int call = 0; call < 2; ++call) {
      host.files.calls = 0;
      host.files.fail_at = call;
      CHECK_FALSE(host.effector->move_ends({a, b}).has_value());
      host.files.fail_at = -1;
      CHECK((host.end_record(kA)->not_after == before || host.end_record(kA)->not_after == a.view_not_after));
    }
    REQUIRE(host.effector->move_ends({a, b}));
    CHECK(host.end_record(kA)->not_after == a.view_not_after);
  }
}
