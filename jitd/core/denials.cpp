#include "jitd/core/denials.hpp"

#include <algorithm>

namespace jit {
namespace {

constexpr std::uint64_t kHourMs = 60ULL * 60 * 1000;

}  // namespace

bool Denials::single(const std::string& whose, const Who& who, std::uint64_t most, std::uint64_t boot_ms) {
  Hour& hour = hours_[whose];
  if (hour.told == 0) hour = {who, boot_ms + kHourMs, most, 0, 0};
  if (hour.told < most) {
    ++hour.told;
    return true;
  }
  ++hour.counted;
  return false;
}

std::vector<Denials::Counted> Denials::over(std::uint64_t boot_ms) {
  std::vector<Counted> found;
  std::erase_if(hours_, [&](const auto& entry) {
    const Hour& hour = entry.second;
    if (boot_ms < hour.until_boot_ms) return false;
    if (hour.counted > 0) found.push_back({hour.who, hour.most, hour.counted});
    return true;
  });
  return found;
}

std::optional<std::uint64_t> Denials::due_boot_ms() const {
  std::optional<std::uint64_t> due;
  for (const auto& [whose, hour] : hours_)
    if (hour.counted > 0) due = std::min(due.value_or(hour.until_boot_ms), hour.until_boot_ms);
  return due;
}

}  // namespace jit
