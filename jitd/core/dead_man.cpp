#include "jitd/core/dead_man.hpp"

#include <algorithm>
#include <utility>

namespace jit {
namespace {

// ms. Somebody is waited for while systemd hangs: ends, behind what is to be given.
constexpr std::uint64_t kTooLate = 300, kPause = 2000;

}  // namespace

EndTime earlier(const EndTime& a, const EndTime& b) {
  return {std::min(a.wall_ms, b.wall_ms), std::min(a.boot_ms, b.boot_ms)};
}

std::string DeadMan::name_of(const EndTime& end) {
  return "jit-expire@" + std::to_string(end.wall_ms) + "-" + std::to_string(end.boot_ms);
}

Result<void> DeadMan::cover(const EndTime& end) {
  const std::uint64_t began = clock_.now().boot_ms;
  if (began < again_boot_ms_) return fail(Errc::busy, "systemd did not answer a moment ago");
  auto covered = cover_now(end);
  const std::uint64_t now = clock_.now().boot_ms;
  if (covered || now - began < kTooLate) return covered;
  again_boot_ms_ = now + kPause;
  return fail(Errc::busy, covered.error().message);
}

Result<void> DeadMan::cover_now(const EndTime& end) {
  // A timer that runs already is worth nothing either when its service was masked since.
  if (auto able = bus_.check_service(name_of(armed_ ? armed_->end : end) + ".service"); !able) return able;
  const Instant now = clock_.now();
  const auto to_come = [&](const EndTime& at) { return at.wall_ms > now.wall_ms && at.boot_ms > now.boot_ms; };
  if (!armed_) return set(end);
  if (to_come(armed_->end)) return set(earlier(armed_->end, end));
  // Within its slack the timer of an end that has come may be all that carries it out: it runs off by itself.
  auto next = start(end);
  if (!next) return tl::unexpected(next.error());
  armed_ = std::move(*next);
  return {};
}

Result<void> DeadMan::set(const std::optional<EndTime>& end) {
  if (armed_ && end && armed_->end == *end && !bus_.timer_died(armed_->name)) return {};
  std::optional<Armed> next;
  if (end) {
    auto started = start(*end);
    if (!started) return tl::unexpected(started.error());
    next = std::move(*started);
  }
  const auto old = std::exchange(armed_, std::move(next));
  // One that stays costs a run of `--expire` that finds nothing to do.
  if (old && !(armed_ && armed_->name == old->name)) (void)bus_.stop_timer(old->name);
  return {};
}

Result<DeadMan::Armed> DeadMan::start(const EndTime& end) {
  const Instant now = clock_.now();
  const std::uint64_t left = end.boot_ms > now.boot_ms ? end.boot_ms - now.boot_ms : 0;
  std::string name = name_of(end);
  if (auto started =
          bus_.start_timer(name, end.wall_ms + static_cast<std::int64_t>(kDeadManSlackMs), left + kDeadManSlackMs);
      !started)
    return tl::unexpected(started.error());
  return Armed{end, std::move(name)};
}

}  // namespace jit
