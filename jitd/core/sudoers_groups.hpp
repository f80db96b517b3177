// Groups that sudoers rules name: whoever joins one gets those rules, so a role may give it only as `dangerous`.
//
// A scan, not a parser: every %group word of sudoers and of all that it includes counts, in rules and aliases alike,
// negated or not. A word too many costs a line in the policy; nothing is asked that could hang (name services, DNS).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

struct SudoersGroups {
  std::set<std::string> names;   // %name, %:name and "%name with blanks", unescaped
  std::set<std::uint32_t> gids;  // %#1000
};

struct SudoersInclude {
  std::string path;  // as written, unquoted, %h not yet replaced
  bool directory = false;
};

// One file (sudoers(5), "User specification", "Including other files"): its groups into `groups`, and what it
// includes.
[[nodiscard]] std::vector<SudoersInclude> scan_sudoers(std::string_view text, SudoersGroups& groups);

// ETC/sudoers, ETC/sudoers-rs and everything that they include; a missing file has no rules. Errors: a file that is
// there and cannot be read, includes deeper than 128.
[[nodiscard]] Result<SudoersGroups> sudoers_groups(const std::string& etc);

}  // namespace jit
