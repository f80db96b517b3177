// One QR code (ISO/IEC 18004) out of a line of text, by libqrencode.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit::ctl {

// The modules of a code, without its quiet zone.
struct QrCode {
  std::size_t side = 0;    // 21 to 177
  std::vector<bool> dark;  // side * side, row by row
  // False beyond the code's edge, too: that is the quiet zone.
  [[nodiscard]] bool at(std::size_t column, std::size_t row) const {
    return column < side && row < side && dark[row * side + column];
  }
};

// The smallest code for `text` in alphanumeric mode (digits, capitals, blank, $%*+-./:) with the lowest error
// correction: a screen has no scratches. Errors: another character; more than the largest code holds.
[[nodiscard]] Result<QrCode> encode_qr(std::string_view text);

// How many characters a code of at most `side` modules holds so; 0 where not even the smallest fits.
[[nodiscard]] std::size_t qr_capacity(std::size_t side);

}  // namespace jit::ctl
