// jitctl source ssh: the mailbox of this host over ssh, on and off.
#pragma once

#include "jitctl/app.hpp"

namespace jit::ctl {

// `source ssh on`, `off` and `status`, below `source`.
void add_source_ssh(Commands& commands, Command* source);

}  // namespace jit::ctl
