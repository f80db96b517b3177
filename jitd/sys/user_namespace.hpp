// User namespaces: a user who makes one may run processes in it under uids that subuid(5) lends them, and these
// processes keep the groups that they came with.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace jit {

// The users who made the user namespaces around a process, its own first, up to the namespace that we are in
// ourselves (ioctl_ns(2)). Empty for a process in ours, and for one that is gone. Takes CAP_SYS_PTRACE for others'
// processes.
[[nodiscard]] std::vector<uid_t> namespace_owners(pid_t pid, const std::string& proc = "/proc");

// Whether a process is in a container that root made: another pid namespace, of our own user namespace. Its uids and
// gids are numbers of its own. One that a user made (unshare -Up) belongs to a user namespace of theirs.
[[nodiscard]] bool in_container(pid_t pid, const std::string& proc = "/proc");

}  // namespace jit
