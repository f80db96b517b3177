// The daemon put together: one loop, one check thread, and what connects them to the engine.
#pragma once

#include "jitd/core/host.hpp"
#include "policy/result.hpp"

namespace jit {

// Runs until SIGTERM or SIGINT. The exit code; errors are what kept it from starting or from going on. Signals that
// it waits for are blocked here, before the check thread starts.
[[nodiscard]] Result<int> run_daemon(const Paths& paths);

}  // namespace jit
