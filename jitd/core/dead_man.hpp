// The dead-man: a systemd timer for the next end, which runs `jitd --expire` when jitd itself did not end it. The new
// timer runs before the old one is stopped, so at no moment is there none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "jitd/sys/bus.hpp"
#include "jitd/sys/clock.hpp"
#include "policy/result.hpp"

namespace jit {

// How long after an end the timer fires: a healthy jitd has always moved it by then.
inline constexpr std::uint64_t kDeadManSlackMs = 200;

// When something ends, on both clocks: whichever comes first.
struct EndTime {
  std::int64_t wall_ms = 0;
  std::uint64_t boot_ms = 0;
  bool operator==(const EndTime&) const = default;
};
[[nodiscard]] EndTime earlier(const EndTime& a, const EndTime& b);  // on each clock

class DeadMan {
 public:
  DeadMan(Bus& bus, const Clock& clock) : bus_(bus), clock_(clock) {}

  // Sees to it that a timer runs for `end` or earlier, and that its service can be started. Errc::busy: systemd was
  // slow to say so, and is left alone for two seconds.
  [[nodiscard]] Result<void> cover(const EndTime& end);
  // Sees to it that the timer runs for exactly `end`; nullopt: for nothing.
  [[nodiscard]] Result<void> set(const std::optional<EndTime>& end);

 private:
  struct Armed {
    EndTime end;
    std::string name;
  };
  // After its time: whoever arms for the same end arms the same timer.
  [[nodiscard]] static std::string name_of(const EndTime& end);
  [[nodiscard]] Result<Armed> start(const EndTime& end);
  [[nodiscard]] Result<void> cover_now(const EndTime& end);
  Bus& bus_;
  const Clock& clock_;
  std::optional<Armed> armed_;
  std::uint64_t again_boot_ms_ = 0;  // before that systemd is not asked
};

}  // namespace jit
