// A sudoers rule on its way out: who may have matched it is not let go on by it.
#include <functional>

#include "jitd/core/board_file.hpp"
#include "tests/unit/core/effect_host.hpp"

using namespace jit;
using namespace jit::hosttest;

TEST_CASE("P2: while a rule is on its way out every sudo waits, and who began before it went is refused",
          "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  const auto a = host.entitlement(kA);
  host.activate(a, {a});
  const auto at = [&](std::uint64_t started) {
    wire::Query query;
    query.service = "sudo";
    query.subject = "alice";
    query.has_uid = true;
    query.uid = 1001;
    query.started_ms = started;
    query.line_enforces = false;  // a rule of the user's own would let them in
    const wire::Clocks clocks{host.clock.at.wall_ms, host.clock.at.boot_ms};
    return BoardWithout(host.paths.run + "/board", clocks.boot_ms, [](std::string_view) { return false; })
        .answer(query, clocks)
        .verdict;
  };
  // A disk, or a processor, that lets half a second pass before the rule is gone.
  class Slow final : public Files {
   public:
    std::function<void()> before_rule_goes = {};
    int unlinkat(int dir, const char* path, int flags) noexcept override {
      if (std::string_view(path).starts_with("jit-")) before_rule_goes();
      return Files::unlinkat(dir, path, flags);
    }
  } slow;
  const std::uint64_t end = host.clock.at.boot_ms;
  int seen = 0;
  slow.before_rule_goes = [&] {
    ++seen;
    host.clock.pass(500);
    CHECK(at(end + 400) == wire::Verdict::deny);
  };
  auto opened =
      HostEffector::open({slow, host.spawn, host.clock, host.bus, [] { return EffectHost::gates(); }}, host.paths);
  REQUIRE(opened);
  const bool by_jitd = GENERATE(true, false);
  if (by_jitd) {
    CHECK((*opened)->take({EffectHost::order(a)}).empty());
  } else {
    CHECK(host.expire_now(true, slow).failures.empty());
  }
  CHECK(seen == 1);
  host.clock.pass(1000);
  CHECK(at(end + 400) == wire::Verdict::deny);  // it matched the rule
  CHECK(at(end + 700) != wire::Verdict::deny);
  CHECK((*opened)->publish({}).has_value());
  CHECK(at(end + 400) == wire::Verdict::deny);
  CHECK(at(end + 700) != wire::Verdict::deny);
}
