// `jitd --expire [--all]`: takes away what is over, from `held`, `ends`, the drop-ins and the board alone: no
// database, no policy, no name service, no jitd. Run by the dead-man timer and after a crash (what is due), at boot
// and when the package is removed (everything). Safe to run at any time and several times at once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "jitd/core/host.hpp"
#include "jitd/effects/processes.hpp"
#include "jitd/sys/bus.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/spawn.hpp"

namespace jit {

struct ExpirePorts {
  Files& files;
  Spawn& spawn;
  Clock& clock;
  Bus& bus;
  // The daemon to kill when it holds the effects lock for too long: its pid, as its unit tells it. Errc::not_found:
  // none.
  std::function<Result<pid_t>()> daemon;
  Processes processes = Processes();
};

struct Expired {
  std::vector<std::string> grants;    // whose record was turned to ended
  std::vector<std::string> notes;     // for the journal: a daemon killed, the lock not got
  std::vector<std::string> failures;  // something of ours may remain that should not
};

// Due is what is past on either clock, everything with `all`, everything of another boot (boot starts with nothing
// granted), everything whose record is ended or torn, and every effect without a record. Records of another boot that
// are not past stay active, so that jitd may decide those grants again. What is not due gets a new dead-man timer.
// With `all`, a jitd that runs is told to end, so that systemd starts it anew and it believes nothing that is over.
[[nodiscard]] Expired expire(const Paths& paths, const ExpirePorts& ports, bool all);

// The same on this host. Exit status: 0 when nothing of ours remains that should not, else 1 and why on stderr.
[[nodiscard]] int expire_main(bool all);

// `jitd --expire-at NAME WALL_MS BOOT_MS`, which jitd starts where no systemd has timers: the dead-man of that name
// (effects/own_units.hpp). Goes into the background, and does the same without `all` when the time has come.
[[nodiscard]] int expire_at_main(const std::string& name, const std::string& wall_ms, const std::string& boot_ms);

}  // namespace jit
