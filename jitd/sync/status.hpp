// How a source of this host is doing, as jitd-sync leaves it for people: STATE/NAME.status, read by jitctl.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit {

struct SourceStatus {
  std::string url;
  bool good = false;                     // the last look at it succeeded
  WallTime started{};                    // since when the counts below are
  std::optional<WallTime> last_success;  // of a look
  std::optional<WallTime> last_error;    // and
  std::string error;                     // what it was; kept when it is over
  std::string post_error;                // why it takes nothing of ours now; empty: it does
  std::uint64_t taken = 0;               // documents delivered to jitd
  std::uint64_t posted = 0;              // files put there
  std::uint64_t refused = 0;             // items that are no documents
  std::uint64_t waiting = 0;             // delivered, and not taken in by jitd yet
  bool operator==(const SourceStatus&) const = default;
};

inline constexpr std::size_t kMaxStatus = 16384;  // bytes of such a file

// One line a value, "WORD TEXT"; what is absent has no line.
[[nodiscard]] std::string to_text(const SourceStatus& status);
// Unknown words are passed over: a later release may say more. Errors: a line that is none, a time or number that is
// none.
[[nodiscard]] Result<SourceStatus> parse_status(std::string_view text);

}  // namespace jit
