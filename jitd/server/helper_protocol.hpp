// Questions to the helper process and its answers, as datagrams on a socketpair: a kind or code, an id, and texts,
// each with its length. Both ends are this same program; the reader checks every length all the same, since a helper
// that a name service module has damaged may send anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jit {

inline constexpr std::size_t kMaxHelperMessage = std::size_t{128} * 1024;

enum class Ask : std::uint32_t { account_of_uid = 1, account_of_name, readback, standing_rule, still_allowed };

struct HelperMessage {
  std::uint32_t kind = 0;  // Ask, or in answers 0 for success, else 1 + Errc
  std::uint32_t id = 0;
  std::vector<std::string> texts;
};

// Empty when it is larger than kMaxHelperMessage.
[[nodiscard]] std::string encode(const HelperMessage& message);
// nullopt unless every byte is accounted for; at most 65,536 texts.
[[nodiscard]] std::optional<HelperMessage> decode_helper_message(std::string_view bytes);

}  // namespace jit
