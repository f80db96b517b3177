// Logins that a gate let in by a grant, one small file each in RUN/logins: "GRANT.PID" with the start time of the
// process that opened the session. They are gone with the boot, like the processes; `jitd --expire` reads them too.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/effects/processes.hpp"
#include "jitd/sys/files.hpp"

namespace jit {

class Logins {
 public:
  Logins(Files& files, const Processes& processes, std::string dir)
      : files_(files), processes_(processes), dir_(std::move(dir)) {}

  // `pid` opens a session that `grant` lets in.
  [[nodiscard]] Result<void> note(const std::string& grant, pid_t pid);
  // Its session was closed: whichever grant it was of.
  void forget(pid_t pid);

  // Notes of these grants' logins go, the logins stay.
  void drop(const std::function<bool(const std::string& grant)>& which);

  struct Login {
    std::string grant;
    pid_t pid = 0;
    std::uint64_t start = 0;  // as started_ms tells it
  };
  [[nodiscard]] std::vector<Login> all() const;
  // SIGTERM to those of `grant`. How many were told.
  std::size_t warn(const std::string& grant) const;
  // Kills every login of a grant for which `over` says so, and forgets it. How many processes there were, by grant.
  std::map<std::string, std::size_t> kill(const std::function<bool(const std::string& grant)>& over);

 private:
  Files& files_;
  const Processes& processes_;
  std::string dir_;
};

}  // namespace jit
