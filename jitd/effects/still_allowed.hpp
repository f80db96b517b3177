// Whether a command that runs by a rule of ours would run by sudo's other rules just the same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jitd/effects/dropins.hpp"
#include "policy/result.hpp"

namespace jit {

// `sudo -l -U USER -u AS -- WORDS`, asked when our rule is gone. True only where what runs is surely what sudo says:
// the command is named by an absolute path, or sudo looks it up in its secure_path and not in the user's PATH; and no
// rule of the user asks for more than we know how to compare (see plain_rules). `words`: as given to sudo
// (core/sudo_words.hpp).
[[nodiscard]] Result<bool> still_allowed(Spawn& spawn, const SudoTool& tool, const std::string& user,
                                         const std::string& as, const std::vector<std::string>& words);

// Of `sudo -ll -U USER`: whether all that its rules say is who, what, and with or without a password. A rule that
// forbids shell escapes (NOEXEC), records, or sets folder, root, time or SELinux role would not let the command run
// as it runs.
[[nodiscard]] bool plain_rules(std::string_view listing);

}  // namespace jit
