// systemd over sd-bus, as root: its private socket first, as systemctl does (no message bus needed), else the system
// bus.
#pragma once

#include <sys/types.h>

#include <string>

#include "jitd/sys/bus.hpp"

namespace jit {

// Whether systemd is this host's init (sd_booted(3)). It says what this host is, not whether systemd answers.
[[nodiscard]] bool systemd_runs();

class SystemBus final : public Bus {
 public:
  // Returns when systemd says that the timer is active. Errc::unavailable: no systemd, or no answer within 2 s.
  [[nodiscard]] Result<void> start_timer(const std::string& name, std::int64_t wall_ms,
                                         std::uint64_t from_now_ms) override;
  // A timer that is not there is fine.
  [[nodiscard]] Result<void> stop_timer(const std::string& name) override;
  // Errc::unavailable: also where one of its three steps takes more than 400 ms.
  [[nodiscard]] Result<void> check_service(const std::string& service) override;
  // Errc::unavailable: no systemd, or no answer within 400 ms, twice that where it is slow to take the
  // connection.
  [[nodiscard]] Result<void> start_scope(const std::string& scope, const std::string& slice,
                                         const std::vector<pid_t>& pids) override;
  void stop_slices(const std::vector<std::string>& slices) override;
  // Main process of a service unit ("jitd.service"). Errc::not_found: it has none.
  [[nodiscard]] Result<pid_t> main_pid(const std::string& unit);
};

}  // namespace jit
