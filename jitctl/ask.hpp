// Asking from elsewhere: a wish that its user signs, for hosts that the user need not be able to log in to. Each host
// makes a request of it, or says why not.
#pragma once

#include <string>

#include "jitctl/context.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/elsewhere.hpp"
#include "jitctl/filing.hpp"

namespace jit::ctl {

struct AskOptions {
  std::string role, start, user, key;
  WishOptions wish;
  Where where;
  SourceOptions source;

  // It is for hosts elsewhere.
  [[nodiscard]] bool given() const {
    return !where.hosts.empty() || !where.segments.empty() || !source.names.empty();
  }
};
void add_ask_options(Command& command, AskOptions& options);

// Signs it, sends it to each host's box, keeps a copy, and on a terminal waits for what becomes of it host by host.
[[nodiscard]] Outcome ask_elsewhere(Context& context, const AskOptions& options);

}  // namespace jit::ctl
