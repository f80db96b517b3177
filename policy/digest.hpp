// SHA-256 of a payload, and the short id that people use for it (DESIGN: 80 bits, Crockford base32, 16 characters).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "policy/result.hpp"

namespace jit {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const Digest&) const = default;
};

[[nodiscard]] Digest sha256(std::string_view bytes);

// "sha256:" and 64 lower-case hex digits; parse_digest takes exactly this.
[[nodiscard]] std::string digest_text(const Digest& digest);
[[nodiscard]] Result<Digest> parse_digest(std::string_view text);

// The document's id: the first 80 bits in Crockford base32 (0-9 a-z without i l o u), 16 lower-case characters.
[[nodiscard]] std::string id_of(const Digest& digest);

// An id or a prefix of one as a person typed it (either case, 4-16 characters, i/l read as 1, o as 0), in lower case.
[[nodiscard]] Result<std::string> parse_id_prefix(std::string_view text);

}  // namespace jit
