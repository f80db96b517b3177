// The mailbox that a host keeps for ssh (jit-mailbox(8)), reached as git reaches a repository: /usr/bin/ssh runs as a
// child, with the caller's own configuration, agent, known hosts, terminal and standard error.
#pragma once

#include <memory>
#include <string>

#include "jitd/sync/mailbox.hpp"

namespace jit {

// Of type ssh. One connection, made at the first call and kept for the object's life; one that the host closed, since
// it keeps none for ever, is made again. Its boxes are from/HOST and to/HOST of that host by the name it gives
// itself: any other is empty, and takes nothing. Nothing is ever removed from here: remove() is refused. `program`:
// for tests.
[[nodiscard]] Result<std::unique_ptr<Mailbox>> make_ssh_mailbox(const SourceSpec& spec,
                                                                const std::string& program = "/usr/bin/ssh");

}  // namespace jit
