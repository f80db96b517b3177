// Lines on the terminals of a user, as wall(1) writes them.
#pragma once

#include <sys/types.h>

#include <string>

namespace jit {

// Writes `text` (made by us; what came from outside is escaped in it) to every terminal that belongs to `uid`: those
// of DEV/pts and the virtual consoles. One that does not take it at once goes without.
void write_to_terminals(uid_t uid, const std::string& text, const std::string& dev = "/dev");

}  // namespace jit
