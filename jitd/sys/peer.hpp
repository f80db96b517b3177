// Who is at the other end of a Unix socket, from the kernel alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "jitd/sys/fd.hpp"
#include "policy/result.hpp"

namespace jit {

struct Peer {
  pid_t pid;
  uid_t uid;
  gid_t gid;
  std::optional<uid_t> loginuid;  // audit login uid of that very process; unset (4294967295) is nullopt
  UniqueFd pidfd;                 // of the process that connected
};

// SO_PEERCRED, then a pidfd (SO_PEERPIDFD where the kernel has it, else pidfd_open), then /proc/PID/loginuid, then
// the pidfd again: a peer that is gone by then is an error, never a default (CVE-2021-3560). uid 65534 (unmapped) is
// refused.
[[nodiscard]] Result<Peer> peer_of(int socket);

// Uid of the socket's peer as a client sees its server; the client refuses any but 0.
[[nodiscard]] Result<uid_t> server_uid(int socket);

// Boot-time clock (ms) at which a process started, from /proc/PID/stat field 22, read behind the last ')'
// (CVE-2017-1000367).
[[nodiscard]] Result<std::uint64_t> started_ms(pid_t pid, const std::string& proc = "/proc");

}  // namespace jit
