#include "jitctl/typed.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "policy/document/envelope.hpp"
#include "policy/document/pieces.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxTyped = std::size_t{1} << 20;  // bytes; a document in the smallest pieces is a tenth of it

// The next line with its line end, or the first `most` bytes of it; nothing at the end of input.
std::optional<std::string> next_line(std::istream& in, std::size_t most) {
  std::string line;
  char byte = 0;
  while (line.size() < most && in.get(byte)) {
    line += byte;
    if (byte == '\n') break;
  }
  if (line.empty()) return std::nullopt;
  return line;
}

// Ctrl-D ends what was pasted into a terminal, not the terminal: a question may follow.
void go_on_after_end(Context& context) {
  if (!context.in_terminal || !context.in.eof()) return;
  context.in.clear();
  if (&context.in == &std::cin) std::clearerr(stdin);
}

// `line` is the first that looks like a piece, and the `number`-th of all.
Result<std::string> read_pieces(Context& context, std::optional<std::string> line, std::size_t number) {
  Pieces pieces;
  for (std::size_t read = 0; line; line = next_line(context.in, kMaxTyped), ++number) {
    read += line->size();
    if (read > kMaxTyped) {
      return fail(Errc::invalid, fmt::format("standard input: more than {} bytes and no document yet", kMaxTyped));
    }
    const auto taken = pieces.take(*line);
    if (!taken) complain(context, fmt::format("line {} {}", number, taken.error().message));
    if (context.in_terminal && taken && *taken != Pieces::Taken::other_line) {
      context.err << fmt::format("scan: {} of {} {} here\n", pieces.have(), pieces.count(),
                                 pieces.have() == 1 ? "is" : "are")
                  << std::flush;
    }
    if (pieces.complete()) break;
  }
  go_on_after_end(context);
  auto document = pieces.join();
  if (!document) return within("standard input", document.error());
  return document;
}

}  // namespace

Result<std::string> read_typed(Context& context) {
  context.typed = context.in_terminal;
  if (context.in_terminal) {
    context.err << "scan its codes, or paste the document and press Ctrl-D\n" << std::flush;
  }
  std::string text;
  std::size_t number = 0;
  // A document has no blank lines in front, and whatever stands in front of pieces is not theirs.
  while (auto line = next_line(context.in, kMaxDocument + 1 - text.size())) {
    ++number;
    if (looks_like_piece(*line)) return read_pieces(context, std::move(line), number);
    text += *line;
    if (text.size() > kMaxDocument || !only_blanks(*line)) break;
  }
  while (text.size() <= kMaxDocument) {
    const auto line = next_line(context.in, kMaxDocument + 1 - text.size());
    if (!line) break;
    text += *line;
  }
  go_on_after_end(context);
  if (text.size() <= kMaxDocument) return text;
  return fail(Errc::invalid, fmt::format("standard input: larger than a document may be ({} bytes)", kMaxDocument));
}

}  // namespace jit::ctl
