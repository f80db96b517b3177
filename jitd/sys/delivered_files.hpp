// VAR/delivered/policy and VAR/delivered/trust: what the owners delivered (policy/delivered.hpp). Each is replaced
// whole, by rename; root removes one to drop what was delivered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jitd/sys/files.hpp"
#include "policy/delivered.hpp"
#include "policy/result.hpp"

namespace jit {

// What lies there, and what it is worth to the owners of now.
struct DeliveredState {
  std::optional<Delivered> counts;
  std::uint64_t number = 0;  // of what lies there, whether it counts or not; 0: nothing, or it cannot be told
  std::string why_not;       // it lies there and does not count: why
  bool damaged = false;      // since nobody could have delivered it so
};
[[nodiscard]] DeliveredState read_delivered(const std::string& var, Kind kind, const Owners& owners);

// The file of `kind`, for people: "VAR/delivered/policy".
[[nodiscard]] std::string delivered_path(const std::string& var, Kind kind);

// Replaces it, durably, by these parts. On an error what was there is there.
[[nodiscard]] Result<void> keep_delivered(Files& files, const std::string& var, Kind kind,
                                          const std::vector<std::string>& documents);

}  // namespace jit
