// Logins that a gate let in by a grant, noted in RUN/logins with the process that opened the session. pam_jit notes
// them there itself when jitd does not answer (pam_jit/system.hpp).
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "jitd/effects/process_notes.hpp"
#include "jitd/effects/processes.hpp"
#include "jitd/sys/files.hpp"

namespace jit {

class Logins {
 public:
  Logins(Files& files, const Processes& processes, std::string dir)
      : processes_(processes), notes_(files, std::move(dir)) {}

  // `pid` opens a session that `grant` lets in.
  [[nodiscard]] Result<void> note(const std::string& grant, pid_t pid) { return notes_.note(grant, pid); }
  // Its session was closed: whichever grant it was of.
  void forget(pid_t pid);

  // Notes of these grants' logins go, the logins stay.
  void drop(const std::function<bool(const std::string& grant)>& which);

  [[nodiscard]] std::vector<NotedProcess> all() const { return notes_.all(); }
  // SIGTERM to those of `grant`. How many were told.
  std::size_t warn(const std::string& grant) const;
  // Kills every login of a grant for which `over` says so, and forgets it. How many processes there were, by grant.
  std::map<std::string, std::size_t> kill(const std::function<bool(const std::string& grant)>& over);

 private:
  const Processes& processes_;
  ProcessNotes notes_;
};

}  // namespace jit
