// The text of a pam.d file: logical lines and words, cut exactly as libpam cuts them (pam.d(5), libpam's
// _pam_assemble_line and _pam_tokenize).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/gates/stack.hpp"
#include "policy/result.hpp"

namespace jit {

// One rule of a file, which may span several lines by backslashes.
struct LogicalLine {
  unsigned first = 0;   // number of its first line, from 1
  unsigned last = 0;    // and of its last
  std::string text;     // without comment and continuation
  std::string comment;  // behind the '#', blanks around it cut
};

// libpam before 1.6 reads rules into 1024 bytes and gives up on the whole file at a longer one.
inline constexpr std::size_t kLongestRule = 1000;

// The rules of a file. Errors: NUL bytes, a rule that is longer than every libpam reads, a continuation into a blank
// line, a comment or the end of the file (releases of libpam read those differently, or not at all).
[[nodiscard]] Result<std::vector<LogicalLine>> logical_lines(std::string_view text);

// Words between blanks; [...] is one word without its brackets, in which \] stands for ].
[[nodiscard]] std::vector<std::string> pam_words(std::string_view text);

struct PamRule {
  enum class Kind : std::uint8_t { module, include, substack };
  Kind kind = Kind::module;
  std::optional<PamType> type;  // absent: `@include`, which is of every type
  std::string target;           // the file, of an include or substack
  PamLine line;                 // of a module or substack
};

// One rule, or what is wrong with it in words (libpam makes a wrong rule fail always). `file` is only put into the
// result.
[[nodiscard]] Result<PamRule> parse_rule(const LogicalLine& line, const std::string& file);

}  // namespace jit
