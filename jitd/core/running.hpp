// What still runs when grants are over, ended by jitd and by `jitd --expire` in the same way.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "jitd/core/effector.hpp"
#include "jitd/effects/logins.hpp"
#include "jitd/effects/noted_commands.hpp"
#include "jitd/effects/processes.hpp"
#include "jitd/effects/waiting_sudos.hpp"
#include "jitd/sys/bus.hpp"

namespace jit {

using WhichGrants = std::function<bool(const std::string& grant)>;
// Commands by grant, by the process of their scope.
using Commands = std::map<std::string, std::set<pid_t>>;

// Kills what runs by grants that are over, in their slices and as noted, and says how many processes that were; the
// logins that they let in. `over` is asked about every grant that has any here. `but`: these are dealt with
// elsewhere.
void end_commands(const Processes& processes, NotedCommands& noted, const WhichGrants& over, Taken& taken,
                  const Commands& but = {});
void end_logins(Logins& logins, const WhichGrants& over, Taken& taken);

// Kills each sudo of these users that began before that end and still waits: for a password, stopped, or on its way
// to exec. To be called when the drop-ins are gone. `grant_of`: whose end to count it to, by uid.
void end_waiting_sudos(const Processes& processes, const SudoEnds& ends, const std::map<uid_t, std::string>& grant_of,
                       Taken& taken);

// Kills the processes of users that hold a group which their user has no longer: a process keeps the groups that it
// started with. Who is still in it by ETC/group, or by primary group, keeps them. They cannot
// fork meanwhile (FrozenUsers; `frozen` is its note). False: not all, to be tried again.
[[nodiscard]] bool end_holders(const Processes& processes, const std::string& etc, const std::string& frozen,
                               const std::set<LostGroup>& lost, Taken& taken);

// Waits a moment for what was killed to be gone; what is not is a failure, to be looked at again. systemd then drops
// the slices, and those in which nothing runs on any more that was let run on.
void see_them_gone(const Processes& processes, Bus& bus, const WhichGrants& over, Taken& taken);

}  // namespace jit
