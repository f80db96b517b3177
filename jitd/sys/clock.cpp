#include "jitd/sys/clock.hpp"

#include <ctime>

#include "jitd/sys/files.hpp"

namespace jit {
namespace {

std::int64_t milliseconds(clockid_t id) noexcept {
  timespec now{};
  ::clock_gettime(id, &now);  // cannot fail for these clocks
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

SystemClock::SystemClock() {
  if (auto text = read_file("/proc/sys/kernel/random/boot_id", 64); text && text->size() >= 36)
    boot_id_ = text->substr(0, 36);
}

Instant SystemClock::now() const noexcept {
  return {milliseconds(CLOCK_REALTIME), static_cast<std::uint64_t>(milliseconds(CLOCK_BOOTTIME))};
}

}  // namespace jit
