#include "pam_jit/text.hpp"

#include <cstring>

namespace jit::pam {
namespace {

struct Character {
  std::uint32_t code = 0;
  std::size_t length = 0;  // bytes; 0: broken
};

// The UTF-8 sequence at the start of `text` (RFC 3629: shortest form, no surrogates, at most U+10FFFF).
Character decode(std::string_view text) noexcept {
  const auto byte = [&](std::size_t at) noexcept {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at]));
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  std::uint32_t code = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {};
    code = code << 6U | (byte(i) & 0x3fU);
  }
  const bool shortest = length == 2 || (length == 3 ? code >= 0x800 : code >= 0x10000);
  if (!shortest || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, length};
}

// Characters that move the cursor, change the direction of what follows, or cannot be seen.
bool deceives(std::uint32_t code) noexcept {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
         (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

}  // namespace

std::size_t append_clean(char* into, std::size_t size, std::size_t used, std::string_view from, bool lines) noexcept {
  while (!from.empty()) {
    const Character character = decode(from);
    const std::size_t length = character.length == 0 ? 1 : character.length;
    std::string_view shown(from.data(), length);
    if (character.code == '\t') {
      shown = " ";
    } else if (character.length == 0 || (deceives(character.code) && !(lines && character.code == '\n'))) {
      shown = "?";
    }
    if (used + shown.size() >= size) break;
    std::memcpy(into + used, shown.data(), shown.size());
    used += shown.size();
    from.remove_prefix(length);
  }
  return used;
}

}  // namespace jit::pam
