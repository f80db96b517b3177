// What /proc/PID/status says of a process (proc_pid_status(5)).
#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace jit {

struct ProcStatus {
  pid_t parent = 0;
  std::array<uid_t, 4> uids{};  // real, effective, saved, of file system
  std::array<gid_t, 4> gids{};
  std::vector<gid_t> groups;
  [[nodiscard]] uid_t real_uid() const { return uids[0]; }
};

// nullopt: it is gone, or the file is malformed. Whoever signals the process opens its pidfd before and looks at
// has_ended after: what was read is of that process then.
[[nodiscard]] std::optional<ProcStatus> proc_status(pid_t pid, const std::string& proc = "/proc");

// The children that a process has now, those of all its threads; none where the kernel does not list them
// (CONFIG_PROC_CHILDREN).
[[nodiscard]] std::vector<pid_t> children_of(pid_t pid, const std::string& proc = "/proc");

// Every process there is, in no order.
[[nodiscard]] std::vector<pid_t> all_processes(const std::string& proc = "/proc");

}  // namespace jit
