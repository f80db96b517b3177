// What was seen of a host, remembered in ~/.local/state/jit/hosts/HOST, so that it is noticed when the host goes
// back, or when two machines speak with its key. The first look trusts what it sees.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jitctl/context.hpp"
#include "jitctl/sight.hpp"

namespace jit::ctl {

struct HostMemory {
  std::string key;                                                // fingerprint; of another one nothing is known
  std::uint64_t sequence = 0;                                     // the highest
  std::uint64_t entry = 0;                                        // of its audit, the highest
  WallTime newest{};                                              // when the last of it was said, by the host's clock
  std::map<std::string, std::pair<WallTime, WallTime>> machines;  // from when to when each was heard of
  std::map<std::uint64_t, Digest> events;                         // by sequence, the last of them
  std::map<std::uint64_t, Digest> heads;                          // of the audit, by entry
  bool operator==(const HostMemory&) const = default;
};

inline constexpr std::size_t kRemembered = 64;  // events, heads
inline constexpr std::size_t kMachines = 8;
inline constexpr std::size_t kMaxMemory = std::size_t{32} * 1024;

// One line a fact. What does not read is nothing: then the next look is a first one.
[[nodiscard]] std::string to_text(const HostMemory& memory);
[[nodiscard]] std::optional<HostMemory> parse_host_memory(std::string_view text);

struct Recollection {
  HostMemory memory;             // with what is seen now
  std::vector<std::string> odd;  // sentences for people
};
// Pure.
[[nodiscard]] Recollection recollect(const HostMemory& before, const HostSight& sight);

// The same with the file of this host; where that cannot be written it is said. What is odd.
[[nodiscard]] std::vector<std::string> remember_host(Context& context, const HostSight& sight);

// From here on what the host shows is right.
[[nodiscard]] Result<void> forget_host(const Context& context, const std::string& host);

}  // namespace jit::ctl
