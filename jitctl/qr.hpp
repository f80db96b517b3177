// Documents as QR codes on the terminal, for places that no cable goes to.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "jitctl/context.hpp"
#include "jitctl/qr_code.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// A code as a terminal shows it: two rows of modules a line, with the quiet zone of four modules, black on white
// whatever the terminal's own colours are.
[[nodiscard]] std::string drawn(const QrCode& code);

// How long the text of a code may be that a terminal of this size shows whole, with a line left below it; 0 where it
// shows none.
[[nodiscard]] std::size_t longest_shown(std::size_t columns, std::size_t rows);

// Prints a document as its pieces (policy/document/pieces.hpp), a code each, of a size that the terminal shows. On a
// terminal it waits between them, and shows one again by its number. Where standard output is none, COLUMNS and LINES
// say how large the codes may be, else 80 by 24, so that they can be shown on any terminal later. Errors: the
// terminal is too small.
[[nodiscard]] Result<void> show_codes(Context& context, std::string_view document);

// Hands out a document of ours that does not go to jitd: into a new file where `path` is not empty ("-" is standard
// output), and as QR codes with --qr.
[[nodiscard]] Result<void> hand_out(Context& context, const std::string& path, std::string_view document);

}  // namespace jit::ctl
