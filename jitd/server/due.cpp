#include "jitd/server/due.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace jit {
namespace {

// Later than any clock of ours gets, and still a time that timerfd_settime(2) takes: what lies behind it, as the
// engine says of the clock that has nothing due, is no deadline.
constexpr std::uint64_t kLatestMs = 0x7fffffffffff;

std::uint64_t usec_of(std::uint64_t ms) {
  return ms <= kLatestMs ? ms * 1000 : 0;
}

}  // namespace

DueTimers::DueTimers(Loop& loop, std::function<void()> tick) : loop_(loop), tick_(std::move(tick)) {
  wall_ = loop_.timer(CLOCK_REALTIME, [this] { fire(); });
  boot_ = loop_.timer(CLOCK_BOOTTIME, [this] { fire(); });
}

Result<std::unique_ptr<DueTimers>> DueTimers::make(Loop& loop, std::function<void()> tick) {
  std::unique_ptr<DueTimers> self(new DueTimers(loop, std::move(tick)));
  self->step_.reset(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!self->step_) return fail_errno(errno, "cannot watch the clock");
  if (auto armed = self->watch_steps(); !armed) return tl::unexpected(armed.error());
  self->stepping_ = loop.io(self->step_.get(), EPOLLIN, [raw = self.get()](std::uint32_t) {
    std::uint64_t count = 0;
    (void)!::read(raw->step_.get(), &count, sizeof count);  // ECANCELED: the clock was set
    (void)raw->watch_steps();
    raw->fire();
  });
  return self;
}

// A timer that never comes, but is cancelled when the wall clock is set (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
Result<void> DueTimers::watch_steps() {
  itimerspec never{};
  never.it_value.tv_sec = 0x7fffffffffff / 1000;
  if (::timerfd_settime(step_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr) != 0 &&
      errno != ECANCELED)
    return fail_errno(errno, "cannot watch the clock");
  return {};
}

void DueTimers::fire() {
  ticked_ = Loop::now_usec(CLOCK_BOOTTIME);
  tick_();
}

void DueTimers::set(const std::optional<Instant>& due) {
  wall_.disarm();
  boot_.disarm();
  if (!due) return;
  const std::uint64_t boot_now = Loop::now_usec(CLOCK_BOOTTIME);
  const std::uint64_t wall_now = Loop::now_usec(CLOCK_REALTIME);
  const std::uint64_t boot_at = usec_of(due->boot_ms);
  const std::uint64_t wall_at = due->wall_ms > 0 ? usec_of(static_cast<std::uint64_t>(due->wall_ms)) : 0;
  const bool past = (boot_at != 0 && boot_at <= boot_now) || (wall_at != 0 && wall_at <= wall_now);
  if (past) {
    boot_.arm(std::max(boot_now, ticked_ + kRetryUsec));
    return;
  }
  if (boot_at != 0) boot_.arm(boot_at);
  if (wall_at != 0) wall_.arm(wall_at);
}

}  // namespace jit
