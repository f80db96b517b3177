// The policy's gates as they stand on the board: subjects resolved from /etc/passwd and /etc/group when it is
// published.
#pragma once

#include <string>
#include <vector>

#include "jitd/sys/accounts.hpp"
#include "jitd/wire/board_writer.hpp"
#include "policy/rules/policy.hpp"

namespace jit {

struct BoardGates {
  std::vector<wire::GateOnBoard> gates;
  std::vector<std::string> warnings;  // subjects that could not be resolved, and what that means
};

// `users`: names as they are, @groups by their local members; a group that is not local cannot be listed, so such a
// gate covers everybody (the safe side) and a warning says so. `except`: local accounts and members of local groups
// that are local accounts, nobody else. A gate without `help` gets one that names the roles that open it, when they
// are few.
[[nodiscard]] BoardGates board_gates(const Policy& policy, const LocalAccounts& accounts);

}  // namespace jit
