// systemd, over sd-bus: the dead-man timers.
#pragma once

#include <string>

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
};

}  // namespace jit
