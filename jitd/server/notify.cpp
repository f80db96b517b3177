#include "jitd/server/notify.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include "policy/text.hpp"

namespace jit {

void notify_ready() {
  (void)sd_notify(0, "READY=1");
}

void notify_reloading() {
  // Type=notify-reload wants the monotonic clock beside it.
  (void)sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", Loop::now_usec(CLOCK_MONOTONIC)).c_str());
}

void notify_stopping() {
  (void)sd_notify(0, "STOPPING=1");
}

void StatusLine::set(const std::string& text) {
  if (text == last_) return;
  last_ = text;
  (void)sd_notify(0, ("STATUS=" + shown(text, 500)).c_str());
}

Watchdog::Watchdog(Loop& loop, std::function<bool()> alive, std::function<void()> ping)
    : alive_(std::move(alive)), ping_(std::move(ping)) {
  std::uint64_t limit = 0;
  if (sd_watchdog_enabled(0, &limit) <= 0 || limit == 0) return;
  every_ = limit / 2;  // sd_watchdog_enabled(3)
  timer_ = loop.timer(CLOCK_BOOTTIME, [this] { beat(); });
  beat();
}

void Watchdog::beat() {
  if (alive_()) {
    (void)sd_notify(0, "WATCHDOG=1");
    ping_();
  }
  timer_.arm(Loop::now_usec(CLOCK_BOOTTIME) + every_);
}

}  // namespace jit
