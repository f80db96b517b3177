// When the engine must be woken: its next deadline on either clock, and every step of the wall clock.
#pragma once

#include <functional>
#include <optional>

#include "jitd/server/loop.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/fd.hpp"

namespace jit {

class DueTimers {
 public:
  // `tick` is called at a deadline or after a clock step.
  [[nodiscard]] static Result<std::unique_ptr<DueTimers>> make(Loop& loop, std::function<void()> tick);

  // The next deadline: on each clock the earliest, 0 for none on that clock. A deadline that stays in the past after
  // a tick (something failed and is to be tried again) is tried every kRetry.
  void set(const std::optional<Instant>& due);

 private:
  static constexpr std::uint64_t kRetryUsec = 200'000;
  DueTimers(Loop& loop, std::function<void()> tick);
  [[nodiscard]] Result<void> watch_steps();
  void fire();

  Loop& loop_;
  std::function<void()> tick_;
  std::uint64_t ticked_ = 0;  // boot time of the last tick
  UniqueFd step_;
  Source wall_, boot_, stepping_;
};

}  // namespace jit
