// Processes of grants, one small file each: "GRANT.PID", or "GRANT.PID.SESSION" where the process has an audit
// session that nobody else has, with its start time. The session is in the name since pids come round: what is left
// of a session is known by its note alone, which a later process of that pid must not take the place of. They are in
// /run, gone with the boot like the processes, and `jitd --expire` reads them too.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "jitd/sys/files.hpp"

namespace jit {

struct NotedProcess {
  std::string grant;
  pid_t pid = 0;
  std::uint64_t start = 0;          // as started_ms (sys/peer.hpp) tells it: another process of that pid is not meant
  std::uint32_t audit_session = 0;  // 0: none of its own
};

class ProcessNotes {
 public:
  ProcessNotes(Files& files, std::string dir) : files_(files), dir_(std::move(dir)) {}

  // Written when this returns. Errc::not_found: the process is gone.
  [[nodiscard]] Result<void> note(const std::string& grant, pid_t pid, std::uint32_t audit_session = 0);
  // Empty where the folder is not there.
  [[nodiscard]] std::vector<NotedProcess> all() const;
  void drop(const std::function<bool(const NotedProcess&)>& which);
  void move(const std::function<bool(const NotedProcess&)>& which, const std::string& grant);

 private:
  Files& files_;
  std::string dir_;
};

}  // namespace jit
