// jitctl trust add-host: the other end of `jitctl enrol`.
#pragma once

#include <string>
#include <vector>

#include "jitctl/context.hpp"

namespace jit::ctl {

struct HostOptions {
  std::vector<std::string> what;  // a line, in one word or in many; a file of lines; "-"
  std::string file;               // trust file; empty: the caller's own, of root the machine's
  bool replace = false;
};

// Verifies each line and adds its host. A host that is there with another key needs --replace; a key that is another
// host's is a copy, and refused.
[[nodiscard]] Outcome trust_hosts(Context& context, const HostOptions& options);

}  // namespace jit::ctl
