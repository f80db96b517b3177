// jitctl source: the places that documents travel through.
#include "jitctl/app.hpp"
#include "jitctl/source_ssh.hpp"

namespace jit::ctl {

void add_source(Commands& commands) {
  auto* source = commands.add_family("source", "The places that documents travel through");
  add_source_index(commands, source);
  add_source_init(commands, source);
  add_source_ssh(commands, source);
}

}  // namespace jit::ctl
