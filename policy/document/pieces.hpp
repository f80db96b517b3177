// A document as lines that a scanner can type where no cable goes: each is the text of one QR code, and a scanner
// types it like a keyboard. So a line has only what stands at the same place on most keyboards and in a QR code's
// alphanumeric mode: A to Z, digits and single blanks.
//
//   JITP1 ID INDEX COUNT DATA CHECK
//
//   ID      of the whole file: the first 8 characters of its SHA-256 in base32
//   INDEX   from 1 to COUNT, which is at most kMaxPieces; decimal
//   DATA    this piece of the file's base32 (RFC 4648, without padding)
//   CHECK   the first 4 characters of the SHA-256 of everything before the blank in front of it, in base32
//
// All this tells a mistake from what was meant, and no more: what counts are the signatures in the document.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

inline constexpr std::size_t kMaxPieces = 999;
inline constexpr std::size_t kMaxPiece = 4000;  // characters; a terminal takes no line of more than 4095 (termios(3))

// `file` in the fewest lines of at most `longest` characters (and kMaxPiece), all but the last of one length. Errors:
// it is empty or larger than kMaxDocument, or it takes more than kMaxPieces.
[[nodiscard]] Result<std::vector<std::string>> split_into_pieces(std::string_view file, std::size_t longest);

// True when the line's first word is that of a piece, whatever became of the rest: in either case, of any version,
// and as other keyboards than the scanner's have it.
[[nodiscard]] bool looks_like_piece(std::string_view line);

// The pieces of one document as they come: in any order, more than once, in either case, with other lines between
// them.
class Pieces {
 public:
  enum class Taken { other_line, taken, again };

  // One line, with or without its line end. An error changes nothing, and its message goes on behind "line 3": it
  // does not read (was mistyped), is too long, of another format, of another document than the first piece, or of
  // another splitting of the same.
  [[nodiscard]] Result<Taken> take(std::string_view line);

  [[nodiscard]] std::size_t count() const { return parts_.size(); }  // of all; 0 before the first
  [[nodiscard]] std::size_t have() const { return have_; }
  [[nodiscard]] bool complete() const { return have_ > 0 && have_ == parts_.size(); }
  // "piece 2 of 3 is missing", "pieces 2, 3 and 7 of 9 are missing"; "" when none is.
  [[nodiscard]] std::string missing() const;

  // The file. Errors: pieces are missing, or together they are not what their id says.
  [[nodiscard]] Result<std::string> join() const;

 private:
  std::string id_;
  std::vector<std::string> parts_;  // empty: not here yet
  std::size_t have_ = 0;
  std::size_t characters_ = 0;
};

}  // namespace jit
