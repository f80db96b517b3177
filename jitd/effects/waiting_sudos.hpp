// sudo processes that wait while a grant ends. sudo matches its rules once, before it asks for the password: one that
// stands at its prompt, or was stopped on its way to exec, would go on by a rule that is gone. pam_jit refuses it
// when it gets there; this ends it at once.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "jitd/effects/processes.hpp"

namespace jit {

// The boot-time clock (ms) at which the last sudo entitlement of a user ended, by real uid.
using SudoEnds = std::map<uid_t, std::uint64_t>;

// Kills every sudo of these users that began before that end and runs no command yet. `sudos`: paths of every sudo
// that is installed. Left alone are
//  - one that runs a command already: what it does is its own or, under a grant, that slice's matter;
//  - one inside a grant's slice, which ends with that grant;
//  - one in a container that root made, which has users and rules of its own (sys/user_namespace.hpp).
// One walk over all processes, however many users there are. How many there were, by uid.
std::map<uid_t, std::size_t> kill_waiting_sudos(const Processes& processes, const SudoEnds& ends,
                                                const std::vector<std::string>& sudos);

}  // namespace jit
