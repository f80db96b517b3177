// What jitd asks of systemd elsewhere (sys/bus.hpp), done by jitd itself on a host without it: a cgroup for each
// command, of the same names as scopes and slices have; and a process of its own, `jitd --expire-at`, for each timer.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "jitd/effects/processes.hpp"
#include "jitd/sys/bus.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/spawn.hpp"

namespace jit {

class OwnUnits final : public Bus {
 public:
  // `timers`: a file of root's; each timer that runs holds a lock on a byte of it, so that it is found by its name by
  // whoever comes later, and forgotten by the kernel when it ends.
  OwnUnits(Spawn& spawn, Clock& clock, CgroupTree tree, std::string timers)
      : spawn_(spawn), clock_(clock), tree_(std::move(tree)), timers_(std::move(timers)) {}

  // The timer is another process and outlives us.
  [[nodiscard]] Result<void> start_timer(const std::string& name, std::int64_t wall_ms,
                                         std::uint64_t from_now_ms) override;
  [[nodiscard]] Result<void> stop_timer(const std::string& name) override;
  // It is a process, which may be killed.
  [[nodiscard]] bool timer_died(const std::string& name) override;
  // What such a timer runs is jitd itself.
  [[nodiscard]] Result<void> check_service(const std::string& /*service*/) override { return {}; }
  // Errc::unavailable: the tree is not writable. Errc::busy: something runs in a scope of that name.
  [[nodiscard]] Result<void> start_scope(const std::string& scope, const std::string& slice,
                                         const std::vector<pid_t>& pids) override;
  void stop_slices(const std::vector<std::string>& slices) override;

 private:
  Spawn& spawn_;
  Clock& clock_;
  CgroupTree tree_;
  std::string timers_;
};

// systemd where it runs, else ourselves.
[[nodiscard]] std::unique_ptr<Bus> make_bus(Spawn& spawn, Clock& clock, const std::string& timers);

// The timer's side: takes the timer's place in `timers`, says on standard output that it runs, and goes on in the
// background until `wall_ms` or `boot_ms` has come or somebody has set the clock. True: due. False: one of that name
// runs already, or this is the process that was started and has done its part.
[[nodiscard]] Result<bool> wait_as_timer(const std::string& timers, const std::string& name, std::int64_t wall_ms,
                                         std::uint64_t boot_ms);

// jitd and its timers, should a command under a grant have started them, leave the cgroup that ends with that grant.
void leave_grants_cgroup(const Processes& processes);

}  // namespace jit
