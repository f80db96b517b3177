// What /proc says of a process: its status (proc_pid_status(5)) and its audit session.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jit {

struct ProcStatus {
  pid_t parent = 0;
  pid_t session = 0;            // setsid(2); 0 where the kernel does not say
  std::uint64_t threads = 1;    // of the process
  std::array<uid_t, 4> uids{};  // real, effective, saved, of file system
  std::array<gid_t, 4> gids{};
  std::vector<gid_t> groups;
  [[nodiscard]] uid_t real_uid() const { return uids[0]; }
};

// Of the thread that the process began with. nullopt: it is gone, or the file is malformed. Whoever signals the
// process opens its pidfd before and looks at has_ended after: what was read is of that process then.
[[nodiscard]] std::optional<ProcStatus> proc_status(pid_t pid, const std::string& proc = "/proc");

// Of each thread that a process has now, its first one too: to the kernel each has ids and groups of its own
// (credentials(7), nptl(7)). nullopt: that thread is gone since. None at all: the process is.
[[nodiscard]] std::vector<std::optional<ProcStatus>> thread_statuses(pid_t pid, const std::string& proc = "/proc");

// The children that a process has now, those of all its threads; none where the kernel does not list them
// (CONFIG_PROC_CHILDREN).
[[nodiscard]] std::vector<pid_t> children_of(pid_t pid, const std::string& proc = "/proc");

// The audit session of a process, which its children inherit and only CAP_AUDIT_CONTROL changes (pam_loginuid(8));
// 0: none is set, or it is gone.
[[nodiscard]] std::uint32_t audit_session(pid_t pid, const std::string& proc = "/proc");

// Every process there is, newest first: what forks to stay ahead of a search is at its top when it was just made.
[[nodiscard]] std::vector<pid_t> all_processes(const std::string& proc = "/proc");

}  // namespace jit
