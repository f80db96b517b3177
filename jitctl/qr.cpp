#include "jitctl/qr.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "jitctl/paper.hpp"
#include "policy/document/pieces.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kQuiet = 4;  // modules around a code that are white, as ISO/IEC 18004 wants
constexpr std::size_t kMany = 3;   // codes; from then on it is worth saying how they become fewer

// Black on white: first in the eight colours that every terminal has, then in the two of 256 that no theme changes.
constexpr std::string_view kInk = "\x1b[30;47;38;5;16;48;5;231m";
constexpr std::string_view kNoInk = "\x1b[0m";

struct Screen {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

Screen screen_of(const Context& context) {
  if (context.out_terminal) return {context.columns, context.rows};
  const auto said = [&](const char* name, std::size_t otherwise) {
    const auto number = parse_number(context.env(name).value_or(""), 10'000);
    return number && *number > 0 ? static_cast<std::size_t>(*number) : otherwise;
  };
  return {said("COLUMNS", Screen{}.columns), said("LINES", Screen{}.rows)};
}

// Shows `codes` one after the other, each when somebody has seen the one before. Enter goes on, a number goes to that
// one, the end of input stops.
void page(Context& context, const std::vector<std::string>& codes) {
  for (std::size_t at = 0; at < codes.size();) {
    context.out << codes[at] << std::flush;
    const bool last = at + 1 == codes.size();
    context.err << fmt::format("code {} of {}{} - Enter: {}, a number: that one ", at + 1, codes.size(),
                               at == 0 && codes.size() >= kMany ? " (a smaller font makes fewer)" : "",
                               last ? "done" : "next")
                << std::flush;
    std::string answer;
    if (!std::getline(context.in, answer)) {
      context.err << '\n';
      return;
    }
    const auto wanted = parse_number(answer, codes.size());
    at = wanted && *wanted > 0 ? *wanted - 1 : at + 1;
  }
}

}  // namespace

std::string drawn(const QrCode& code) {
  const auto whole = code.side + 2 * kQuiet;
  // Beyond the left and upper edge the difference wraps around, which is outside as well.
  const auto dark = [&](std::size_t column, std::size_t row) { return code.at(column - kQuiet, row - kQuiet); };
  std::string text;
  for (std::size_t row = 0; row < whole; row += 2) {
    text += kInk;
    for (std::size_t column = 0; column < whole; ++column) {
      const bool upper = dark(column, row);
      const bool lower = dark(column, row + 1);
      text += upper && lower ? "\u2588" : upper ? "\u2580" : lower ? "\u2584" : " ";
    }
    text += kNoInk;
    text += '\n';
  }
  return text;
}

std::size_t longest_shown(std::size_t columns, std::size_t rows) {
  const auto whole = std::min(columns, rows > 1 ? 2 * (rows - 1) : 0);
  return whole > 2 * kQuiet ? qr_capacity(whole - 2 * kQuiet) : 0;
}

Result<void> show_codes(Context& context, std::string_view document) {
  const auto screen = screen_of(context);
  const auto pieces = split_into_pieces(document, longest_shown(screen.columns, screen.rows));
  if (!pieces) {
    return within(fmt::format("QR codes for {} columns and {} rows", screen.columns, screen.rows), pieces.error());
  }
  std::vector<std::string> codes;
  for (const auto& piece : *pieces) {
    const auto code = encode_qr(piece);
    if (!code) return tl::unexpected(code.error());
    codes.push_back(drawn(*code));
  }
  if (context.can_ask() && context.out_terminal && codes.size() > 1) {
    page(context, codes);
  } else {
    for (const auto& code : codes) context.out << code << (codes.size() > 1 ? "\n" : "");
  }
  if (context.out << std::flush) return {};
  return fail(Errc::system, "standard output: cannot be written");
}

Result<void> hand_out(Context& context, const std::string& path, std::string_view document) {
  // Codes on standard output are the document on standard output.
  if (!path.empty() && !(context.qr && path == "-")) {
    if (auto written = write_new(context, path, document); !written) return written;
  }
  return context.qr ? show_codes(context, document) : Result<void>{};
}

}  // namespace jit::ctl
