#include "policy/document/pieces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "policy/digest.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kFormat = "JITP";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kIdLength = 8;     // 40 bits
constexpr std::size_t kCheckLength = 4;  // 20 bits
constexpr std::size_t kMaxData = (kMaxDocument * 8 + 4) / 5;

std::string digest_start(std::string_view text, std::size_t length) {
  const auto digest = sha256(text);
  const std::string bytes(digest.bytes.begin(), digest.bytes.end());
  return to_base32(bytes).substr(0, length);
}

bool blank(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

// The line's words in capitals with one blank between them.
std::string canonical(std::string_view line) {
  std::string text;
  for (const char byte : line) {
    if (!blank(byte)) {
      text += byte >= 'a' && byte <= 'z' ? static_cast<char>(byte - 'a' + 'A') : byte;
    } else if (!text.empty() && text.back() != ' ') {
      text += ' ';
    }
  }
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

struct Piece {
  std::string id;
  std::size_t index = 0;
  std::size_t count = 0;
  std::string data;
};

// A canonical line whose check is right; nothing when it is not one.
std::optional<Piece> parse_piece(std::string_view line) {
  const auto words = split(line, ' ');
  if (words.size() != 6) return std::nullopt;
  const auto before = line.substr(0, line.size() - words[5].size() - 1);
  if (words[5] != digest_start(before, kCheckLength) || words[1].size() != kIdLength || words[4].empty()) {
    return std::nullopt;
  }
  const auto count = parse_number(words[3], kMaxPieces);
  const auto index = count ? parse_number(words[2], *count) : count;
  if (!index || *index == 0) return std::nullopt;
  return Piece{std::string(words[1]), *index, *count, std::string(words[4])};
}

// What may be wrong with a line whose check is not right, for whoever holds the scanner.
std::string why_not(std::string line) {
  constexpr std::string_view layout = "does not read: is the scanner set to another keyboard layout?";
  const auto strange = std::find_if(line.begin(), line.end(), [](char byte) {
    return byte != ' ' && (byte < '0' || byte > '9') && (byte < 'A' || byte > 'Z');
  });
  if (strange != line.end()) {
    const auto end = std::find_if(strange + 1, line.end(), [](char byte) { return (byte & 0xc0) != 0x80; });
    return fmt::format("{} There is {} in it, where only letters, digits and blanks can be", layout,
                       shown(std::string(strange, end)));
  }
  for (char& byte : line) byte = byte == 'Y' ? 'Z' : byte == 'Z' ? 'Y' : byte;
  if (parse_piece(line)) return fmt::format("{} Y and Z are exchanged", layout);
  return "does not read: scan it again";
}

std::size_t digits(std::size_t number) {
  return std::to_string(number).size();
}

}  // namespace

Result<std::vector<std::string>> split_into_pieces(std::string_view file, std::size_t longest) {
  if (file.empty()) return fail(Errc::invalid, "the document is empty");
  if (file.size() > kMaxDocument) {
    return fail(Errc::invalid, fmt::format("the document is larger than {} bytes", kMaxDocument));
  }
  const auto data = to_base32(file);
  const auto head = fmt::format("{}{} {}", kFormat, kVersion, digest_start(file, kIdLength));
  const auto most = std::min(longest, kMaxPiece);
  std::size_t count = 0;
  for (std::size_t width = 1; width <= digits(kMaxPieces); ++width) {
    const auto around = head.size() + 2 * (1 + width) + 2 + kCheckLength;
    if (most <= around) break;
    const auto wanted = (data.size() + most - around - 1) / (most - around);
    if (digits(wanted) > width) continue;
    count = wanted;
    break;
  }
  if (count == 0 || count > kMaxPieces) {
    return fail(Errc::invalid,
                fmt::format("{} bytes do not go into {} pieces of {} characters", file.size(), kMaxPieces, most));
  }
  const auto each = (data.size() + count - 1) / count;
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < data.size(); at += each) {
    // Shared out evenly, the last may have got nothing: then there are fewer.
    const auto all = (data.size() + each - 1) / each;
    auto line = fmt::format("{} {} {} {}", head, pieces.size() + 1, all, data.substr(at, each));
    line += ' ' + digest_start(line, kCheckLength);
    pieces.push_back(std::move(line));
  }
  return pieces;
}

bool looks_like_piece(std::string_view line) {
  while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  return canonical(line.substr(0, kFormat.size())) == kFormat;
}

Result<Pieces::Taken> Pieces::take(std::string_view typed) {
  if (!looks_like_piece(typed)) return Taken::other_line;
  if (typed.size() > 2 * kMaxPiece) return fail(Errc::invalid, "is too long for a piece");
  const auto line = canonical(typed);
  if (line.size() > kMaxPiece) return fail(Errc::invalid, "is too long for a piece");
  const auto version = line.substr(kFormat.size(), line.find(' ') - kFormat.size());
  if (version != kVersion && parse_number(version, 99)) {
    return fail(Errc::invalid, fmt::format("is of format {}{}, which this release does not know", kFormat, version));
  }
  auto piece = version == kVersion ? parse_piece(line) : std::nullopt;
  if (!piece) return fail(Errc::invalid, why_not(line));
  if (have_ > 0 && piece->id != id_) {
    return fail(Errc::invalid, fmt::format("is piece {} of another document ({}; what is here is of {})",
                                           piece->index, piece->id, id_));
  }
  if (have_ > 0 && piece->count != parts_.size()) {
    return fail(Errc::invalid, fmt::format("is piece {} of {}, and what is here is of {}: scan all of one showing",
                                           piece->index, piece->count, parts_.size()));
  }
  if (have_ == 0) {
    id_ = piece->id;
    parts_.assign(piece->count, "");
  }
  auto& part = parts_[piece->index - 1];
  if (part == piece->data) return Taken::again;
  if (!part.empty()) return fail(Errc::invalid, fmt::format("is another piece {} than is here", piece->index));
  if (characters_ + piece->data.size() > kMaxData) {
    return fail(Errc::invalid, fmt::format("is more than a document can be ({} bytes)", kMaxDocument));
  }
  characters_ += piece->data.size();
  part = std::move(piece->data);
  ++have_;
  return Taken::taken;
}

std::string Pieces::missing() const {
  constexpr std::size_t named = 10;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].empty()) names.push_back(std::to_string(i + 1));
  }
  if (names.empty()) return "";
  if (names.size() == 1) return fmt::format("piece {} of {} is missing", names.front(), parts_.size());
  if (names.size() > named + 1) {
    const auto more = names.size() - named;
    names.resize(named);
    names.push_back(fmt::format("{} more", more));
  }
  return fmt::format("pieces {} of {} are missing", joined(names), parts_.size());
}

Result<std::string> Pieces::join() const {
  if (have_ == 0) return fail(Errc::invalid, "no piece of a document is here");
  if (!complete()) return fail(Errc::invalid, missing());
  std::string data;
  for (const auto& part : parts_) data += part;
  auto file = from_base32(data);
  if (!file || digest_start(*file, kIdLength) != id_) {
    return fail(Errc::invalid, fmt::format("together the {} pieces are not the document {} that they say they are",
                                           parts_.size(), id_));
  }
  return file;
}

}  // namespace jit
