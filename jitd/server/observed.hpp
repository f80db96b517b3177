// Whom observed gates would have denied, out of the audit chain: what an admin wants to know before enforcing one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/core/engine.hpp"

namespace jit {

struct ObservedDenial {
  std::string service, subject, gate;
  std::uint64_t count = 0;
  std::int64_t last = 0;  // seconds, wall clock
};

struct ObservedDenials {
  std::vector<ObservedDenial> denials;  // by service, subject, gate
  bool cut = false;                     // older entries within the time were not read
};

// Reads `check` entries since `since` (wall seconds), of one service or (empty) of all. At most the last 50,000
// entries.
[[nodiscard]] Result<ObservedDenials> observed_denials(Engine& engine, std::int64_t since, std::string_view service);

}  // namespace jit
