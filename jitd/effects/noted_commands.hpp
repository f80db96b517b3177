// NotedCommands by a grant on a host where no cgroup can be made for them (Processes::Way::notes): each sudo is noted
// in RUN/commands, and at the end it is killed with all that descends from it. The folder is there on such a host
// alone: by it pam_jit knows that sudo needs an audit session of its own.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "jitd/effects/process_notes.hpp"
#include "jitd/sys/files.hpp"

namespace jit {

class NotedCommands {
 public:
  NotedCommands(Files& files, std::string dir, std::string proc = "/proc")
      : notes_(files, std::move(dir)), proc_(std::move(proc)) {}

  // `pid`, a sudo that runs nothing yet, is to end with `grant`. Its audit session counts as its own where no other
  // process has it: whoever has it later descends from this one, however it was forked.
  [[nodiscard]] Result<void> note(const std::string& grant, pid_t pid);
  // Its session was closed. What it left behind is still found where it has an audit session of its own.
  void forget(pid_t pid);
  // Notes of these grants' commands go, the commands stay.
  void drop(const std::function<bool(const std::string& grant)>& which);

  // SIGTERM to what runs under `grant`, and SIGCONT so that a stopped one hears it. How many were told.
  std::size_t warn(const std::string& grant) const;
  struct Ended {
    std::map<std::string, std::size_t> killed;  // by grant
    // Of them, not gone after a moment; one more where want of descriptors hid who else there is. The notes stay.
    std::size_t left = 0;
  };
  // Kills what runs under grants for which `over` says so, and forgets it: the sudo, its descendants by parent, what
  // is in a session (setsid(2)) that one of these began, and what has its audit session. They are stopped first,
  // until a look at all processes finds no other: what is stopped forks nothing and orphans nobody. jitd itself,
  // should root have started it under a grant, is left alone.
  Ended kill(const std::function<bool(const std::string& grant)>& over);

 private:
  void sweep();

  ProcessNotes notes_;
  std::string proc_;
};

}  // namespace jit
