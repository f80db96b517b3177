// Which time to believe. The wall clock can be set to anything; the boot-time clock only runs. The mark is the
// highest wall time taken for true: it moves with the boot-time clock and at most a tolerance beyond it. A larger
// step forward is taken over after an hour in which both clocks agree, or when root says so; a wall clock behind the
// mark is not believed. One bad time reply that says 2106 thus ends grants, but does not bar the host for ever. Pure:
// time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jitd/sys/clock.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit {

// What the store keeps of it, so that a restart goes on where the last run was.
struct ClockMark {
  std::int64_t wall_ms = 0;         // the mark
  std::string boot_id;              // of the boot-time clock below
  std::uint64_t boot_ms = 0;        // when the mark was noted
  std::int64_t anchor_wall_ms = 0;  // both clocks agreed here
  std::uint64_t anchor_boot_ms = 0;
  bool operator==(const ClockMark&) const = default;
};
[[nodiscard]] std::string to_text(const ClockMark& mark);
[[nodiscard]] Result<ClockMark> parse_clock_mark(std::string_view text);

class ClockGuard {
 public:
  // How long a large step forward has to last before it is believed.
  static constexpr std::uint64_t kAgreementMs = 60ULL * 60 * 1000;
  // Whole seconds are signed; less than one behind is not behind.
  static constexpr std::int64_t kLeewayMs = 1000;

  // `stored`: what the last run left, or nothing on the first start (then the wall clock is believed as it is).
  ClockGuard(const std::optional<ClockMark>& stored, Instant now, std::string boot_id, Seconds tolerance);

  void observe(Instant now);
  // Root says that the wall clock is right, wherever it stands.
  void accept(Instant now);
  void set_tolerance(Seconds tolerance);

  // At the last observe().
  [[nodiscard]] bool behind() const;
  [[nodiscard]] std::int64_t mark_ms() const { return mark_ms_; }
  // The latest time that can be true: never before the mark.
  [[nodiscard]] WallTime latest() const;
  // When a step forward has lasted long enough, on the boot-time clock.
  [[nodiscard]] std::optional<std::uint64_t> agreement_at_boot_ms() const;
  // In words with what to do; empty: fine.
  [[nodiscard]] std::string problem() const;
  [[nodiscard]] ClockMark mark() const;

 private:
  struct Step {
    std::int64_t offset_ms = 0;  // wall minus boot
    std::uint64_t since_boot_ms = 0;
  };

  std::string boot_id_;
  std::int64_t tolerance_ms_;
  Instant now_;
  std::int64_t mark_ms_ = 0;
  std::int64_t anchor_wall_ms_ = 0;
  std::uint64_t anchor_boot_ms_ = 0;
  bool anchored_here_ = true;  // the anchor is of this boot: a step is one of the clock, not the time we were off
  std::optional<Step> step_;
};

}  // namespace jit
