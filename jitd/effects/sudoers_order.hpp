// Where our drop-ins stand among the other sudoers rules: the last match wins, so nothing may come after them.
#pragma once

#include <string>

#include "policy/result.hpp"

namespace jit {

// Reads ETC/sudoers (ETC/sudoers-rs where `rs` and it is there) and the files of ETC/sudoers.d that sudo reads, in
// its order (sudoers(5), "Including other files": byte order, no names with "." or ending in "~"). Errc::refused when
// `dir` is not included, or a rule or another include follows: file, line, and what to do. Defaults and aliases are
// not rules.
[[nodiscard]] Result<void> check_included_last(const std::string& etc, const std::string& dir, bool rs);

}  // namespace jit
