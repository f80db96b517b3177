// What the board says of a grant between its first effect and its proof.
#include "jitd/core/board_file.hpp"
#include "tests/unit/core/effect_host.hpp"

using namespace jit;
using namespace jit::hosttest;

TEST_CASE("a grant that is being given is on the board, and opens nothing", "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  auto a = host.entitlement(kA);
  a.effects.opens = {"sudo"};
  a.being_given = true;
  REQUIRE(host.effector->prepare(a));
  REQUIRE(host.effector->publish({a}));
  const auto asked = [&](wire::Phase phase) {
    wire::Query query;
    query.phase = phase;
    query.service = "sudo";
    query.subject = "alice";
    query.uid = 1001;
    query.has_uid = true;
    query.line_enforces = true;
    query.started_ms = host.clock.at.boot_ms;
    const BoardWithout board(host.paths.run + "/board", host.clock.at.boot_ms,
                             [](std::string_view) { return false; });
    return board.answer(query, {host.clock.at.wall_ms, host.clock.at.boot_ms});
  };
  CHECK(asked(wire::Phase::session).live_sudo);
  CHECK(asked(wire::Phase::session).verdict != wire::Verdict::allow);
  CHECK(asked(wire::Phase::account).verdict != wire::Verdict::allow);
  a.being_given = false;
  REQUIRE(host.effector->publish({a}));
  CHECK(asked(wire::Phase::session).verdict == wire::Verdict::allow);
}
