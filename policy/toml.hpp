// toml++ as this project uses it, included by the two .cpp files that read TOML and by nobody else. Faults of its
// parser (3.3, met by fuzzing) are kept away from it, and every exception of theirs ends in those two files:
//
// Some inputs reach its assertions ("[[[" at the start of a line). As assert() that would end the daemon, with NDEBUG
// it would be undefined behaviour. Here a failed assertion throws.
//
// Letters beyond ASCII that it looks at outside of strings, or behind a line continuation within one, run into
// __builtin_unreachable. toml_fault() names the plain cases with their line (policy/toml_text.hpp); to be sure of
// all, toml++ is only ever given ASCII: toml_ascii() writes other bytes as "@" and two hex digits, and toml_text()
// takes that back from the strings and keys that were read.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "policy/text.hpp"

namespace jit {

constexpr void toml_assertion(bool holds) {
  if (!holds) throw std::runtime_error("the text confuses the TOML parser");
}

// `text` in ASCII. '@' is written so too; outside of strings none of it is TOML, so there it stays an error.
inline std::string toml_ascii(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte < 0x80 && c != '@') {
      out += c;
    } else {
      (out += '@') += to_hex({&byte, 1});
    }
  }
  return out;
}

// A string or key of the parsed text as it was meant. Throws when it holds an '@' that toml_ascii could not have
// written: one that stood there as an escape (\u0040), which nobody needs.
inline std::string toml_text(std::string_view ascii) {
  std::string out;
  out.reserve(ascii.size());
  for (std::size_t at = 0; at < ascii.size(); ++at) {
    if (ascii[at] != '@') {
      out += ascii[at];
      continue;
    }
    const auto byte = from_hex(ascii.substr(at + 1, 2));
    if (!byte || byte->size() != 1 || (byte->front() != '@' && static_cast<std::uint8_t>(byte->front()) < 0x80)) {
      throw std::runtime_error("write @ as it is, not as an escape");
    }
    out += *byte;
    at += 2;
  }
  if (!valid_utf8(out)) throw std::runtime_error("a string is not UTF-8");
  return out;
}

}  // namespace jit

#undef NDEBUG  // with it, toml++ replaces TOML_ASSERT by nothing
#define TOML_ASSERT(expr) ::jit::toml_assertion(static_cast<bool>(expr))
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
