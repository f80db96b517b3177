// What stands below `jitctl source`, each in a file of its own.
#pragma once

#include "jitctl/app.hpp"

namespace jit::ctl {

void add_source_clean(Commands& commands, Command* source);
void add_source_index(Commands& commands, Command* source);
void add_source_init(Commands& commands, Command* source);
void add_source_ssh(Commands& commands, Command* source);

}  // namespace jit::ctl
