// What a program that speaks with strangers takes away from itself, once it has opened what needs more.
#pragma once

#include "policy/result.hpp"

namespace jit {

// For a program without children, threads and network, that writes small files: no new privileges, no core dump, no
// other process may look into this one; rlimits on processes, descriptors, sizes, memory and processor time; and no
// system call that starts a program or process, opens a socket, or looks into or changes another process or the
// machine (such calls fail with EPERM). Errors: the kernel refuses any of it.
[[nodiscard]] Result<void> confine();

}  // namespace jit
