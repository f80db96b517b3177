// Group memberships on the host: the edit of group_file.hpp made durable under lckpwdf's lock.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jitd/effects/group_file.hpp"
#include "jitd/effects/pwd_lock.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/spawn.hpp"

namespace jit {

// How long and how hard to try for /etc/.pwd.lock, which any user can hold with a stopped `passwd`.
enum class LockEffort : std::uint8_t {
  activation,  // one attempt; Errc::busy, the engine tries again for up to 5 s
  // As long as LockPatience says; then a stopped holder whose real uid is not 0 gets SIGCONT and, if it still holds a
  // little later, SIGKILL; then without the lock.
  end,
};

struct GroupChange {
  std::vector<EditResult> results;
  bool without_lock = false;  // an end had to write without it: check again soon
  // Taken away from group, while gshadow, by which newgrp(1) goes, could not be written, or group is not durable: to
  // be done again soon.
  std::optional<Error> behind = {};
  std::vector<std::string> notes = {};  // for the journal: a holder killed, written without the lock, reserve used
};

class Groups {
 public:
  // `etc` is "/etc" but in tests. `reserve` is a preallocated file whose space is given up when the disk is full.
  Groups(Files& files, Spawn& spawn, std::string etc, std::string reserve, LockPatience patience = {});

  // All edits in one rewrite: lock, read again, gshadow and group (the other way round to take away), each fsync +
  // rename, mode, owner and labels (extended attributes) kept, then name-service caches flushed (nscd -i group,
  // sss_cache -G where they are there and running; never waited for longer than 250 ms each).
  [[nodiscard]] Result<GroupChange> apply(const std::vector<MembershipEdit>& edits, LockEffort effort);

  // The text of /etc/group, and of /etc/passwd, now.
  [[nodiscard]] Result<std::string> read_group() const;
  [[nodiscard]] Result<std::string> read_passwd() const;

  // Makes the reserve file as large as group and gshadow together and a half, when it is not.
  [[nodiscard]] Result<void> keep_reserve();

 private:
  // `results`: what the edits come to, also when writing that fails.
  [[nodiscard]] Result<GroupChange> rewrite(const std::vector<MembershipEdit>& edits,
                                            std::vector<EditResult>& results);
  [[nodiscard]] bool free_reserve();
  void flush_caches();

  Files& files_;
  Spawn& spawn_;
  std::string etc_, reserve_;
  LockPatience patience_;
};

}  // namespace jit
