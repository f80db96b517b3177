// The mailbox in etcd, by its JSON gateway.
#pragma once

#include <memory>

#include "jitd/sync/mailbox.hpp"

namespace jit {

// For make_mailbox. `spec.type` is etcd.
[[nodiscard]] Result<std::unique_ptr<Mailbox>> make_etcd_mailbox(const SourceSpec& spec);

}  // namespace jit
