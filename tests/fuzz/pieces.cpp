// Any lines as pieces of a document. What joins is a document's size at most, comes back from pieces of any length,
// and a piece is taken in either case.
#include <cctype>
#include <cstdlib>
#include <string>
#include <string_view>

#include "policy/document/envelope.hpp"
#include "policy/document/pieces.hpp"
#include "policy/text.hpp"

namespace {

void demand(bool good) {
  if (!good) std::abort();
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& byte : result) byte = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  jit::Pieces pieces;
  for (const auto line : jit::split(input, '\n')) {
    const auto taken = pieces.take(line);
    if (!taken) demand(jit::valid_utf8(taken.error().message));
    if (taken && *taken != jit::Pieces::Taken::other_line)
      demand(pieces.take(lower(line)).value() == jit::Pieces::Taken::again);
    demand(pieces.have() <= pieces.count() && pieces.count() <= jit::kMaxPieces);
    demand(pieces.complete() == (pieces.have() > 0 && pieces.missing().empty()));
  }
  if (const auto file = pieces.join()) demand(pieces.complete() && file->size() <= jit::kMaxDocument);

  // The input itself as a file, cut into pieces of a length that it says.
  const std::size_t longest = size == 0 ? 0 : 30 + data[0] * 4U;
  const auto lines = jit::split_into_pieces(input, longest);
  if (!lines) return 0;
  jit::Pieces again;
  for (auto line = lines->rbegin(); line != lines->rend(); ++line) {
    demand(line->size() <= longest);
    demand(again.take(*line).value() == jit::Pieces::Taken::taken);
  }
  demand(again.join().value() == input);
  return 0;
}
