// The mailbox of one host, over ssh(1).
#pragma once

#include <memory>

#include "jitd/sync/mailbox.hpp"

namespace jit {

// For make_mailbox. `spec.type` is ssh.
[[nodiscard]] Result<std::unique_ptr<Mailbox>> make_ssh_mailbox(const SourceSpec& spec);

}  // namespace jit
