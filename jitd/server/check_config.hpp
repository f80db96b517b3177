// `jitd --check`: reads jitd.toml, policy and trust as a start would, and changes nothing.
#pragma once

#include <string>
#include <vector>

#include "jitd/core/host.hpp"

namespace jit {

struct ConfigFindings {
  std::vector<std::string> errors;  // jitd would not start, or would go on with the last good policy
  std::vector<std::string> warnings;
};
[[nodiscard]] ConfigFindings check_config(const Paths& paths);

}  // namespace jit
