// systemd, over sd-bus: the dead-man timers, and the scopes of elevated commands.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "jitd/sys/clock.hpp"
#include "policy/result.hpp"

namespace jit {

class Bus {
 public:
  virtual ~Bus() = default;
  // Starts the transient timer unit NAME.timer that activates NAME.service (of the template jit-expire@.service, when
  // NAME is "jit-expire@..."; a timer without its service does not start) at `wall_ms` (OnCalendar) and after
  // `from_now_ms` (OnActiveSec), whichever is first, and on a clock change; AccuracySec=1ms.
  // One of that name that runs already is left as it is: the name tells the times.
  [[nodiscard]] virtual Result<void> start_timer(const std::string& name, std::int64_t wall_ms,
                                                 std::uint64_t from_now_ms) = 0;
  [[nodiscard]] virtual Result<void> stop_timer(const std::string& name) = 0;
  // Whether a timer that was started, and is not stopped yet, is gone. systemd's do not die.
  [[nodiscard]] virtual bool timer_died(const std::string& /*name*/) { return false; }
  // Whether a timer could start `service`. Errc::unavailable: it is masked, not there, or systemd does not say.
  [[nodiscard]] virtual Result<void> check_service(const std::string& service) = 0;
  // Starts the transient unit `scope` in `slice` with these processes in it, and has systemd forget it when it is
  // empty. The job is queued when this returns: that a process is in it is to be seen in its own cgroup.
  [[nodiscard]] virtual Result<void> start_scope(const std::string& scope, const std::string& slice,
                                                 const std::vector<pid_t>& pids) = 0;
  // Has systemd drop slices that are empty by now. Not waited for, and no harm where it is not done.
  virtual void stop_slices(const std::vector<std::string>& slices) = 0;
};

}  // namespace jit
