// /etc/.pwd.lock: the lock of lckpwdf(3), which passwd, gpasswd, usermod and their like hold while they change
// account files. Taken by fcntl, since lckpwdf itself uses SIGALRM; an open-file-description lock conflicts with the
// classic lock that those tools take, both ways, and is not lost when somebody closes another descriptor of the file.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "jitd/sys/lock.hpp"
#include "policy/result.hpp"

namespace jit {

struct PwdLock {
  std::optional<FileLock> lock;    // nullopt: not got, write without it
  std::vector<std::string> notes;  // what was done to get it
};

// For giving: one attempt. Errc::busy: somebody holds it.
[[nodiscard]] Result<PwdLock> try_pwd_lock(const std::string& path);

// How long each step of force_pwd_lock waits for the lock. Other values are for tests, where a holder that is to go
// on may have to wait for its turn on a busy machine.
struct LockPatience {
  std::chrono::milliseconds at_first{200};
  std::chrono::milliseconds after_waking{100};
  std::chrono::milliseconds after_killing{100};
};

// For taking away, which nobody may hold up: waits a little; then a stopped holder whose real uid is not 0 is woken
// and, if it still holds the lock a little later, killed (any user can stop a `passwd` of theirs that holds it);
// failing that, no lock.
[[nodiscard]] PwdLock force_pwd_lock(const std::string& path, const LockPatience& patience);

}  // namespace jit
