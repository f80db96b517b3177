// Which roles allow a command, the one with the fewest rights first. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "policy/rules/policy.hpp"

namespace jit {

struct Allowing {
  std::string role;
  std::string as;      // the user to run it as
  bool exact = false;  // these very arguments, and not any
  bool dangerous = false;
  std::size_t commands = 0;  // that the role allows
};

// Whether this command of a role allows exactly `argv`, whose first word is the absolute path.
[[nodiscard]] bool allows(const Command& command, const std::vector<std::string>& argv);

// The roles of the policy that allow `argv`, each once and for the least of its users that may run it (exact before
// any arguments, another user before root). Least first: with exactly these arguments before any, not dangerous
// before dangerous, with fewer commands, by name. Who is eligible, and where, is for others to say.
[[nodiscard]] std::vector<Allowing> roles_allowing(const Policy& policy, const std::vector<std::string>& argv);

}  // namespace jit
