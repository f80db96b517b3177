// Deadlines on two clocks: the earlier one fires, and a clock without one stays quiet.
#include "jitd/server/due.hpp"

#include <chrono>
#include <limits>
#include <thread>

#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

constexpr std::uint64_t kTurnUsec = 20000;

}  // namespace

TEST_CASE("what is due on one clock alone fires, and the loop lives on", "[server][P2]") {
  auto loop = Loop::make();
  REQUIRE(loop.has_value());
  int ticks = 0;
  auto due = DueTimers::make(**loop, [&ticks] { ++ticks; });
  REQUIRE(due.has_value());
  const std::uint64_t boot_ms = Loop::now_usec(CLOCK_BOOTTIME) / 1000;
  const auto wall_ms = static_cast<std::int64_t>(Loop::now_usec(CLOCK_REALTIME) / 1000);
  SECTION("boot time, with no wall time ever") {
    (*due)->set(Instant{std::numeric_limits<std::int64_t>::max(), boot_ms + 50});
  }
  SECTION("wall time, with no boot time ever") {
    (*due)->set(Instant{wall_ms + 50, std::numeric_limits<std::uint64_t>::max()});
  }
  for (int turn = 0; turn < 100 && ticks == 0; ++turn) (*loop)->turn(kTurnUsec);
  CHECK(ticks == 1);
}

TEST_CASE("deadlines that never come arm nothing that the kernel refuses", "[server]") {
  auto loop = Loop::make();
  REQUIRE(loop.has_value());
  int ticks = 0;
  auto due = DueTimers::make(**loop, [&ticks] { ++ticks; });
  REQUIRE(due.has_value());
  (*due)->set(Instant{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::uint64_t>::max()});
  (*due)->set(
      Instant{std::numeric_limits<std::int64_t>::max() / 1000, std::numeric_limits<std::uint64_t>::max() / 1000});
  // A loop that was handed a time it cannot arm ends with an error: it has to run until it is stopped. (Whether a
  // time near the end of 64 bits becomes one that timerfd_settime refuses hangs on sd-event's perturbation by the
  // boot id.)
  auto stop = (*loop)->timer(CLOCK_BOOTTIME, [&loop] { (*loop)->stop(7); });
  stop.arm(Loop::now_usec(CLOCK_BOOTTIME) + 50000);
  const auto ended = (*loop)->run();
  REQUIRE(ended.has_value());
  CHECK(*ended == 7);
  CHECK(ticks == 0);
}
