// The patterns of `when.ticket`: a regular subset of regular expressions, matched in time linear in the text.
//
// std::regex and POSIX regexec can run out of stack or for ever on text that a requester chooses; this matcher walks
// all states at once and cannot. Understood: literal characters, `.` (any byte), classes [a-z0-9_] and [^...], \d \D
// \w \W \s \S, groups (...) and (?:...), |, the quantifiers * + ? {n} {n,} {n,m}, and a backslash before punctuation.
// The whole text has to match; ^ at the start and $ at the end say so once more. Refused: backreferences,
// look-around, lazy and doubled quantifiers, \b, and bytes above 0x7f in classes.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

inline constexpr std::size_t kMaxPattern = 256;         // bytes
inline constexpr std::size_t kMaxPatternStates = 4096;  // after {n,m} is written out
inline constexpr std::size_t kMaxTicket = 128;          // bytes of a ticket; a longer one matches nothing

class Pattern {
 public:
  [[nodiscard]] static Result<Pattern> parse(std::string_view pattern);
  // True when all of `text` matches.
  [[nodiscard]] bool matches(std::string_view text) const;

 private:
  friend class PatternParser;
  // A state takes a byte of `bytes` and goes on to `next`; or, being a fork, goes on to `next` and `other` without
  // one.
  struct State {
    bool fork = false;
    std::bitset<256> bytes;
    std::uint32_t next = 0, other = 0;
  };
  std::vector<State> states_;  // the last one accepts
};

}  // namespace jit
