// Users who cannot fork for a moment, while their processes are looked through: who forks fast enough is never where
// the search looks.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "jitd/effects/processes.hpp"

namespace jit {

// While it lives, the slices of these users (user-UID.slice, systemd.special(7)) are frozen: milliseconds. SIGKILL
// ends frozen processes too. Where there is no such slice, or no freezer (cgroup2, Linux 5.2), nothing is frozen.
class FrozenUsers {
 public:
  // `note`: a file that says who is frozen, so that a crash in between leaves nobody so; unwritable, nobody is
  // frozen.
  FrozenUsers(const CgroupTree& tree, std::string note, const std::vector<uid_t>& users);
  FrozenUsers(const FrozenUsers&) = delete;
  FrozenUsers& operator=(const FrozenUsers&) = delete;
  ~FrozenUsers();

  // Thaws whom a process that is dead by now left frozen.
  static void thaw_left(const CgroupTree& tree, const std::string& note);

 private:
  std::string note_;
  std::vector<std::string> slices_;
};

}  // namespace jit
