// Bytes and text: bounded checks, encodings and the escaping that every text from outside passes on its way to a
// terminal, a log or a file (P10).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

// True when `text` is well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF).
[[nodiscard]] bool valid_utf8(std::string_view text);

// The first thing in `text` that may not stand in a signed payload, named for people ("control character 0x1b at byte
// 12", "bidirectional control U+202E", "zero-width U+200B", "not UTF-8"), or nullopt. LF is allowed.
[[nodiscard]] std::optional<std::string> unclean(std::string_view text);

// `text` for showing: every control, bidi, zero-width or malformed byte as \xHH or \u{HHHH}, LF as \n, at most
// `limit` bytes of it with "…" behind when cut. The result is one line of valid UTF-8.
[[nodiscard]] std::string shown(std::string_view text, std::size_t limit = 4096);

// `text` with every run of blanks as one space, and none at its ends: blanks are what a terminal shows as empty
// columns (Unicode's space separators, tab, LF, the empty Braille cell), so that no field of ours can be aligned with
// them.
[[nodiscard]] std::string without_blank_runs(std::string_view text);
// True when nothing but blanks stands in it.
[[nodiscard]] bool only_blanks(std::string_view text);

// `word` with each byte below 0x21, 0x7f and every byte in `specials` and '\' as \xHH: the words of `effects`,
// `held`, `ends`. unescape_word reads it back and refuses malformed escapes.
[[nodiscard]] std::string escape_word(std::string_view word, std::string_view specials = "[]:,");
[[nodiscard]] Result<std::string> unescape_word(std::string_view word);

[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);
[[nodiscard]] Result<std::string> from_hex(std::string_view text);

// RFC 4648 base64 with padding; from_base64 takes no blanks and refuses non-zero trailing bits.
[[nodiscard]] std::string to_base64(std::string_view bytes, bool padding = true);
[[nodiscard]] Result<std::string> from_base64(std::string_view text);

// RFC 4648 base32 in capitals, without padding; from_base32 takes exactly that and refuses non-zero trailing bits.
[[nodiscard]] std::string to_base32(std::string_view bytes);
[[nodiscard]] Result<std::string> from_base32(std::string_view text);

// A whole unsigned decimal number: digits alone (no sign, blank, 0x or leading zero but "0" itself), at most `max`.
[[nodiscard]] Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t max = UINT64_MAX);

// Parts of `text` between single `separator`s; an empty text has one empty part.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

// "a", "a and b", "a, b and c".
[[nodiscard]] std::string joined(const std::vector<std::string>& parts, std::string_view last = " and ");

}  // namespace jit
