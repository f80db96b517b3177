// The two clocks, read in one place that tests replace.
#pragma once

#include <cstdint>
#include <string>

#include "policy/time.hpp"

namespace jit {

// One reading of both clocks. wall_ms: CLOCK_REALTIME, ms since 1970. boot_ms: CLOCK_BOOTTIME, ms since boot,
// counting suspend.
struct Instant {
  std::int64_t wall_ms = 0;
  std::uint64_t boot_ms = 0;
  [[nodiscard]] WallTime wall() const { return WallTime(Seconds(wall_ms / 1000)); }
};

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Instant now() const noexcept = 0;
  // /proc/sys/kernel/random/boot_id, 36 characters; empty when it cannot be read: then nothing can be given.
  [[nodiscard]] virtual const std::string& boot_id() const noexcept = 0;
};

// The real clocks. Debug builds and the packaged binary alike: there is no switch to fake time from outside.
class SystemClock final : public Clock {
 public:
  SystemClock();
  [[nodiscard]] Instant now() const noexcept override;
  [[nodiscard]] const std::string& boot_id() const noexcept override { return boot_id_; }

 private:
  std::string boot_id_;
};

}  // namespace jit
