// Processes by descriptor (pidfd_open(2)). By syscall(2): glibc 2.36's <sys/pidfd.h> does not declare them for C++.
#pragma once

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jitd/sys/fd.hpp"

namespace jit {

// Empty, and errno, when there is no such process.
[[nodiscard]] inline UniqueFd open_pidfd(pid_t pid) noexcept {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
}

// 0, or -1 and errno: ESRCH when it is gone.
inline int signal_pidfd(const UniqueFd& pidfd, int signal) noexcept {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0U));
}

// Waits up to `ms` for the process to end; true when it has, reaped or not.
inline bool has_ended(const UniqueFd& pidfd, int ms = 0) noexcept {
  pollfd entry{pidfd.get(), POLLIN, 0};
  return ::poll(&entry, 1, ms) != 0;
}

}  // namespace jit
