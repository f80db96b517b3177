// A look at TOML text before toml++ sees it: what the library must not be given (policy/toml.hpp includes it).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace jit {

inline constexpr unsigned kMaxKeyParts =
    32;  // of a dotted key; toml++ makes, and takes down, a table for each in recursion

struct TomlFault {
  unsigned line = 0;
  std::string what;
};

// The first fault: text that is not UTF-8, a dotted key of more than kMaxKeyParts, or a character beyond ASCII
// outside strings and comments. TOML 1.0 has no place for the last, and toml++ 3.3 runs into undefined behaviour when
// it meets one (is_non_ascii_horizontal_whitespace of U+0100).
[[nodiscard]] std::optional<TomlFault> toml_fault(std::string_view text);

}  // namespace jit
