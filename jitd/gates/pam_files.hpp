// Files of a pam.d directory, by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

// A service's name as a file of /etc/pam.d: [A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}, in the case in which it is written.
[[nodiscard]] Result<void> check_service_name(std::string_view service);

// The text of DIR/NAME, or of NAME when it is absolute; links are followed (authselect's files are links), but only
// to a regular file of at most 1 MiB. Errc::not_found when there is none.
[[nodiscard]] Result<std::string> read_pam_file(const std::string& pam_dir, const std::string& name);

// Names of what libpam would take for services: no hidden files and none that a package manager left behind
// (.dpkg-old, .rpmsave, ~ and the like). Sorted.
[[nodiscard]] Result<std::vector<std::string>> pam_files(const std::string& pam_dir);

}  // namespace jit
