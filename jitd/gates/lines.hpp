// Our own lines in /etc/pam.d: written and taken out by an admin's `jitctl gate` and by package removal, never by an
// install. Each is marked, so that only what we wrote is ever removed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

inline constexpr std::string_view kMark = "# jit-gate";  // ends every line of ours

enum class GateMode : std::uint8_t { observe, enforce };

// The service file's text with our lines: account first of the account stack, session last; any marked lines that were
// there are replaced. `services` goes into services=. Extra arguments (exempt=, timeout=) are kept from the old lines.
[[nodiscard]] Result<std::string> with_lines(std::string_view text, GateMode mode, const std::vector<std::string>& services,
                                             const std::vector<std::string>& extra_args);
// Without any marked line.
[[nodiscard]] std::string without_lines(std::string_view text);

// The same on a directory: replaced atomically, owner, mode and labels kept. Names are of files in `pam_dir`.
[[nodiscard]] Result<void> write_lines(const std::string& pam_dir, const std::string& service, GateMode mode,
                                       const std::vector<std::string>& services, const std::vector<std::string>& extra_args);
[[nodiscard]] Result<bool> remove_lines(const std::string& pam_dir, const std::string& service);

// Every file with a line that names pam_jit.so, marked or not: "FILE:LINE".
struct LineFound {
  std::string file;
  unsigned line = 0;
  bool marked = false;
  std::string text;
};
[[nodiscard]] Result<std::vector<LineFound>> find_lines(const std::string& pam_dir);

}  // namespace jit
