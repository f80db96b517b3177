// Names that nobody can have made a file of beforehand.
#pragma once

#include <sys/random.h>

#include <array>
#include <cstdint>
#include <string>

#include "policy/text.hpp"

namespace jit {

// 128 bits of the kernel's as 32 hex digits. getrandom(2): 16 bytes come whole, or not yet at an early boot.
inline std::string unguessable_name() {
  std::array<std::uint8_t, 16> bytes{};
  while (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
  }
  return to_hex(bytes);
}

}  // namespace jit
