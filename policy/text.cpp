#include "policy/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace jit {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

// One code point of UTF-8 at the start of `text`: its value and length, or length 0 when malformed (RFC 3629: no
// overlong forms, no surrogates, nothing above U+10FFFF).
struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;
};

std::uint8_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

CodePoint decode(std::string_view text) {
  const std::uint8_t lead = byte_at(text, 0);
  if (lead < 0x80) return {lead, 1};
  std::size_t length = 0;
  char32_t value = 0;
  char32_t least = 0;
  if ((lead & 0xe0) == 0xc0) {
    length = 2, value = lead & 0x1fU, least = 0x80;
  } else if ((lead & 0xf0) == 0xe0) {
    length = 3, value = lead & 0x0fU, least = 0x800;
  } else if ((lead & 0xf8) == 0xf0) {
    length = 4, value = lead & 0x07U, least = 0x10000;
  } else {
    return {};
  }
  if (text.size() < length) return {};
  for (std::size_t i = 1; i < length; ++i) {
    const std::uint8_t next = byte_at(text, i);
    if ((next & 0xc0) != 0x80) return {};
    value = (value << 6) | (next & 0x3fU);
  }
  if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return {};
  return {value, length};
}

// Code points that change how the text around them is shown, or are not shown at all. Unicode: Bidi_Control, and
// those of Default_Ignorable_Code_Point that hide; the line and paragraph separators would forge lines.
std::string_view hidden_kind(char32_t c) {
  if (c < 0x20 || (c >= 0x7f && c <= 0x9f)) return "control character";
  if (c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069)) {
    return "bidirectional control";
  }
  if (c == 0x00ad || c == 0x034f || c == 0x115f || c == 0x1160 || c == 0x17b4 || c == 0x17b5 ||
      (c >= 0x180b && c <= 0x180f) || (c >= 0x200b && c <= 0x200d) || (c >= 0x2060 && c <= 0x2065) ||
      (c >= 0x206a && c <= 0x206f) || c == 0x3164 || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff || c == 0xffa0 ||
      (c >= 0xfff0 && c <= 0xfffb) || (c >= 0x1bca0 && c <= 0x1bca3) || (c >= 0x1d173 && c <= 0x1d17a) ||
      (c >= 0xe0000 && c <= 0xe0fff)) {
    return "zero-width";
  }
  if (c == 0x2028 || c == 0x2029) return "line separator";
  return {};
}

// General category Zs, the controls that move the cursor along, and U+2800, which is drawn as nothing.
bool blank(char32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x2800 ||
         c == 0x3000;
}

int hex_value(char c) {
  const std::size_t at = kHexDigits.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

// Values of the base64 alphabet by character; 64 marks what is not in it.
constexpr std::array<std::uint8_t, 256> base64_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(64);
  for (std::size_t i = 0; i < kBase64.size(); ++i) {
    values[static_cast<std::uint8_t>(kBase64[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

}  // namespace

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = decode(text);
    if (point.length == 0) return false;
    text.remove_prefix(point.length);
  }
  return true;
}

std::optional<std::string> unclean(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode(text.substr(at));
    if (point.length == 0) return fmt::format("a byte 0x{:02x} that is not UTF-8 at byte {}", byte_at(text, at), at);
    if (const std::string_view kind = hidden_kind(point.value); !kind.empty() && point.value != '\n') {
      if (point.value < 0x100 && kind == "control character") {
        return fmt::format("{} 0x{:02x} at byte {}", kind, static_cast<std::uint32_t>(point.value), at);
      }
      return fmt::format("{} U+{:04X} at byte {}", kind, static_cast<std::uint32_t>(point.value), at);
    }
    at += point.length;
  }
  return std::nullopt;
}

std::string shown(std::string_view text, std::size_t limit) {
  std::string out;
  while (!text.empty()) {
    const CodePoint point = decode(text);
    std::string piece;
    std::size_t used = point.length;
    if (used == 0) {
      piece = fmt::format("\\x{:02x}", byte_at(text, 0));
      used = 1;
    } else if (point.value == '\n') {
      piece = "\\n";
    } else if (!hidden_kind(point.value).empty()) {
      piece = point.value < 0x80 ? fmt::format("\\x{:02x}", static_cast<std::uint32_t>(point.value))
                                 : fmt::format("\\u{{{:04x}}}", static_cast<std::uint32_t>(point.value));
    } else {
      piece.assign(text.substr(0, used));
    }
    if (out.size() + piece.size() > limit) {
      out += "…";
      break;
    }
    out += piece;
    text.remove_prefix(used);
  }
  return out;
}

std::string without_blank_runs(std::string_view text) {
  std::string out;
  bool gap = false;
  while (!text.empty()) {
    const CodePoint point = decode(text);
    const std::size_t used = std::max<std::size_t>(point.length, 1);
    if (point.length != 0 && blank(point.value)) {
      gap = !out.empty();
    } else {
      if (gap) out += ' ';
      gap = false;
      out += text.substr(0, used);
    }
    text.remove_prefix(used);
  }
  return out;
}

bool only_blanks(std::string_view text) {
  return without_blank_runs(text).empty();
}

std::string escape_word(std::string_view word, std::string_view specials) {
  std::string out;
  out.reserve(word.size());
  for (const char c : word) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte < 0x21 || byte == 0x7f || c == '\\' || specials.find(c) != std::string_view::npos) {
      out += "\\x";
      out += kHexDigits[byte >> 4];
      out += kHexDigits[byte & 0x0f];
    } else {
      out += c;
    }
  }
  return out;
}

Result<std::string> unescape_word(std::string_view word) {
  std::string out;
  out.reserve(word.size());
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '\\') {
      out += word[i];
      continue;
    }
    const int high = i + 3 < word.size() && word[i + 1] == 'x' ? hex_value(word[i + 2]) : -1;
    const int low = high >= 0 ? hex_value(word[i + 3]) : -1;
    if (low < 0) {
      return fail(Errc::invalid, fmt::format("malformed escape in \"{}\": write \\xHH, lower case", shown(word, 80)));
    }
    out += static_cast<char>(high * 16 + low);
    i += 3;
  }
  return out;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    out += kHexDigits[byte >> 4];
    out += kHexDigits[byte & 0x0f];
  }
  return out;
}

Result<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return fail(Errc::invalid, "an odd number of hex digits");
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return fail(Errc::invalid, fmt::format("not a lower-case hex digit at character {}", i));
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

std::string to_base64(std::string_view bytes, bool padding) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = (group << 8) | (k < count ? byte_at(bytes, i + k) : 0U);
    for (std::size_t k = 0; k < 4; ++k) {
      if (k <= count) {
        out += kBase64[(group >> (18 - 6 * k)) & 0x3f];
      } else if (padding) {
        out += '=';
      }
    }
  }
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  static constexpr auto kValues = base64_values();
  if (text.size() % 4 != 0) return fail(Errc::invalid, "base64 that is not in groups of four characters");
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    std::size_t pads = 0;
    if (last && text[i + 3] == '=') pads = text[i + 2] == '=' ? 2 : 1;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const std::uint8_t value = k + pads >= 4 ? 0 : kValues[byte_at(text, i + k)];
      if (value == 64) return fail(Errc::invalid, fmt::format("not a base64 character at {}", i + k));
      group = (group << 6) | value;
    }
    // Bits that no byte takes must be zero, or two texts would stand for the same bytes (RFC 4648 3.5).
    if ((pads == 1 && (group & 0xffU) != 0) || (pads == 2 && (group & 0xffffU) != 0)) {
      return fail(Errc::invalid, "base64 with stray bits at its end");
    }
    for (std::size_t k = 0; k < 3 - pads; ++k) out += static_cast<char>((group >> (16 - 8 * k)) & 0xff);
  }
  return out;
}

std::string to_base32(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 8 + 4) / 5);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bits = (bits << 8) | byte_at(bytes, i);
    for (held += 8; held >= 5; held -= 5) out += kBase32[(bits >> (held - 5)) & 0x1fU];
  }
  if (held > 0) out += kBase32[(bits << (5 - held)) & 0x1fU];
  return out;
}

Result<std::string> from_base32(std::string_view text) {
  std::string out;
  out.reserve(text.size() * 5 / 8);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t value = kBase32.find(text[i]);
    if (value == std::string_view::npos) return fail(Errc::invalid, fmt::format("not a base32 character at {}", i));
    bits = (bits << 5) | static_cast<std::uint32_t>(value);
    held += 5;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>((bits >> held) & 0xffU);
  }
  // A character or bits that no byte takes, and two texts would stand for the same bytes (RFC 4648 3.5).
  if (held >= 5 || (bits & ((1U << held) - 1)) != 0) {
    return fail(Errc::invalid, "base32 with stray bits at its end");
  }
  return out;
}

Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::invalid, fmt::format("\"{}\" is not a whole number: {}", shown(text, 40), why));
  };
  if (text.empty()) return wrong("it is empty");
  if (text.size() > 1 && text[0] == '0') return wrong("it has a leading zero");
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return wrong("digits alone, please");
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (UINT64_MAX - digit) / 10) return wrong("it is too large");
    value = value * 10 + digit;
  }
  if (value > max) return wrong(fmt::format("it is over {}", max));
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string joined(const std::vector<std::string>& parts, std::string_view last) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += i + 1 == parts.size() ? last : std::string_view(", ");
    out += parts[i];
  }
  return out;
}

}  // namespace jit
