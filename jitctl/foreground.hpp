// A command that has our terminal, our standard streams and our place for as long as it runs.
#pragma once

#include <string>
#include <vector>

#include "policy/result.hpp"

namespace jit::ctl {

// Runs argv (argv[0]: an absolute path) and gives its exit status, or 128 + the signal that ended it. Ctrl-C and
// Ctrl-Backslash are for the command alone, which gets them from the terminal itself. SIGTERM and SIGHUP to us are
// passed on; where that is not permitted (sudo is root's), they end the waiting: 128 + the signal. Errors: it could
// not be started.
[[nodiscard]] Result<int> run_in_foreground(const std::vector<std::string>& argv);

}  // namespace jit::ctl
