// What a sudo was called with, to tell by which grant its command runs. Its own argument list is the user's word, but
// the same word that sudo matched its rules with; nobody can change it afterwards but root.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/document/effects.hpp"

namespace jit {

// The command behind sudo's options (sudo(8)): its words; a shell (-s, -i without a command) is {"-"}. nullopt: none,
// or an option that is not known here.
[[nodiscard]] std::optional<std::vector<std::string>> command_of_sudo(const std::vector<std::string>& argv);

// The same, when nothing but the command and who runs it is asked of a rule: no variables, no option that needs a tag
// (-E), another group, host, folder or root. {"-i"}: the login shell of who runs it.
[[nodiscard]] std::optional<std::vector<std::string>> plain_command_of_sudo(const std::vector<std::string>& argv);

// How well a rule fits these words. sudo compares the last part of the path, and then whether it is the same file; a
// word without a path is looked up by it in PATH or secure_path: `perhaps`.
enum class Fits : std::uint8_t { no, perhaps, exactly };
[[nodiscard]] Fits fits(const SudoEffect& rule, const std::vector<std::string>& words);

}  // namespace jit
