// Commands by a grant, as noted in RUN/commands: each sudo, and the audit session that pam_jit began for it. Where no
// cgroup can be made for them (Processes::Way::notes) a sudo is killed at the end with all that descends from it;
// elsewhere what its cgroup does not hold any more: what `sudo su -` runs is moved into a login session's by
// pam_systemd(8), and stays in the audit session.
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
  // `held`: a cgroup of its grant's has the process, and ends it.
  NotedCommands(
      Files& files, std::string dir, std::string proc = "/proc",
      std::function<bool(pid_t)> held = [](pid_t) { return false; })
      : notes_(files, std::move(dir)), proc_(std::move(proc)), held_(std::move(held)) {}

  // `pid`, a sudo that runs nothing yet, is to end with `grant`. Its audit session counts as its own where no other
  // process has it: whoever has it later descends from this one, however it was forked.
  [[nodiscard]] Result<void> note(const std::string& grant, pid_t pid);
  // The same where it cannot be written down: known as long as this process is, and to no other.
  void keep_in_mind(const std::string& grant, pid_t pid);
  // Every one that is noted, written down or not.
  [[nodiscard]] std::vector<NotedProcess> all() const;
  // Its session was closed. What it left behind is still found where it has an audit session of its own.
  void forget(pid_t pid);
  using Which = std::function<bool(const NotedProcess& noted)>;
  // Notes of these commands go, the commands stay.
  void drop(const Which& which);
  // What is noted of `pid` under `from` is `to`'s by now.
  void move(const std::string& from, pid_t pid, const std::string& to);

  // SIGTERM to what these run, and SIGCONT so that a stopped one hears it. How many were told.
  std::size_t warn(const Which& which) const;
  struct Ended {
    std::map<std::string, std::size_t> killed;  // by grant
    // Of them, not gone after a moment; one more where want of descriptors hid who else there is. The notes stay.
    std::size_t left = 0;
  };
  // Kills what these run, and forgets them: the sudo, its descendants by parent, what is in a session (setsid(2))
  // that one of these began, and what has its audit session. They are stopped first, until a look at all processes
  // finds no other: what is stopped forks nothing and orphans nobody. jitd itself, should root have started it under
  // a grant, is left alone.
  Ended kill(const Which& which);

 private:
  // The audit session of `pid` that no other process has; 0: none.
  [[nodiscard]] std::uint32_t own_session(pid_t pid) const;
  void sweep();

  ProcessNotes notes_;
  std::vector<NotedProcess> in_mind_;
  std::string proc_;
  std::function<bool(pid_t)> held_;
};

}  // namespace jit
