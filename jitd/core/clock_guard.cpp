#include "jitd/core/clock_guard.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "policy/text.hpp"

namespace jit {
namespace {

std::int64_t milliseconds(Seconds seconds) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(seconds).count();
}

}  // namespace

std::string to_text(const ClockMark& mark) {
  return std::to_string(mark.wall_ms) + ' ' + mark.boot_id + ' ' + std::to_string(mark.boot_ms) + ' ' +
         std::to_string(mark.anchor_wall_ms) + ' ' + std::to_string(mark.anchor_boot_ms);
}

Result<ClockMark> parse_clock_mark(std::string_view text) {
  const std::vector<std::string_view> words = split(text, ' ');
  if (words.size() != 5) return fail(Errc::invalid, "the clock mark in the database is damaged");
  std::array<std::uint64_t, 4> numbers{};
  const std::array<std::size_t, 4> at{0, 2, 3, 4};
  for (std::size_t i = 0; i < at.size(); ++i) {
    Result<std::uint64_t> number = parse_number(words[at[i]], INT64_MAX);
    if (!number) return within("the clock mark in the database", number.error());
    numbers[i] = *number;
  }
  return ClockMark{static_cast<std::int64_t>(numbers[0]), std::string(words[1]), numbers[1],
                   static_cast<std::int64_t>(numbers[2]), numbers[3]};
}

ClockGuard::ClockGuard(const std::optional<ClockMark>& stored, Instant now, std::string boot_id, Seconds tolerance)
    : boot_id_(std::move(boot_id)), tolerance_ms_(milliseconds(tolerance)), now_(now) {
  if (!stored) {
    accept(now);
    return;
  }
  mark_ms_ = stored->wall_ms;
  anchored_here_ = stored->boot_id == boot_id_ && stored->anchor_boot_ms <= now.boot_ms;
  anchor_wall_ms_ = anchored_here_ ? stored->anchor_wall_ms : stored->wall_ms;
  anchor_boot_ms_ = anchored_here_ ? stored->anchor_boot_ms : now.boot_ms;
  observe(now);
}

void ClockGuard::observe(Instant now) {
  now_ = now;
  const std::uint64_t elapsed = now.boot_ms > anchor_boot_ms_ ? now.boot_ms - anchor_boot_ms_ : 0;
  const std::int64_t expected = anchor_wall_ms_ + static_cast<std::int64_t>(elapsed);
  if (now.wall_ms <= expected + tolerance_ms_) {
    step_.reset();
    mark_ms_ = std::max(mark_ms_, now.wall_ms);
    return;
  }
  mark_ms_ = std::max(mark_ms_, expected);
  const std::int64_t offset = now.wall_ms - static_cast<std::int64_t>(now.boot_ms);
  const bool agrees =
      step_ && offset <= step_->offset_ms + tolerance_ms_ && offset >= step_->offset_ms - tolerance_ms_;
  if (!agrees) {
    step_ = Step{offset, now.boot_ms};
  } else if (now.boot_ms - step_->since_boot_ms >= kAgreementMs) {
    anchor_wall_ms_ = now.wall_ms;
    anchor_boot_ms_ = now.boot_ms;
    anchored_here_ = true;
    mark_ms_ = std::max(mark_ms_, now.wall_ms);
    step_.reset();
  }
}

void ClockGuard::accept(Instant now) {
  now_ = now;
  mark_ms_ = anchor_wall_ms_ = now.wall_ms;
  anchor_boot_ms_ = now.boot_ms;
  anchored_here_ = true;
  step_.reset();
}

void ClockGuard::set_tolerance(Seconds tolerance) {
  tolerance_ms_ = milliseconds(tolerance);
}

bool ClockGuard::behind() const {
  return now_.wall_ms + kLeewayMs < mark_ms_;
}

WallTime ClockGuard::latest() const {
  return WallTime(Seconds(std::max(mark_ms_, now_.wall_ms) / 1000));
}

std::optional<std::uint64_t> ClockGuard::agreement_at_boot_ms() const {
  if (!step_) return std::nullopt;
  return step_->since_boot_ms + kAgreementMs;
}

std::string ClockGuard::problem() const {
  if (behind()) {
    return "the clock of this host is " + format_about(Seconds((mark_ms_ - now_.wall_ms) / 1000)) +
           " behind the latest time seen (" + format_utc(WallTime(Seconds(mark_ms_ / 1000))) +
           "): nothing new is granted until it is right again; if it is right, root says so with "
           "'jitctl doctor --accept-clock'";
  }
  if (step_ && anchored_here_) {
    return "the clock of this host jumped ahead to " + format_utc(now_.wall()) +
           "; it is believed after an hour, or when root says so with 'jitctl doctor --accept-clock'";
  }
  return "";
}

ClockMark ClockGuard::mark() const {
  return {mark_ms_, boot_id_, now_.boot_ms, anchor_wall_ms_, anchor_boot_ms_};
}

}  // namespace jit
