// The mailbox on a web server or object store.
#pragma once

#include <memory>

#include "jitd/sync/mailbox.hpp"

namespace jit {

// For make_mailbox. `spec.type` is https.
[[nodiscard]] Result<std::unique_ptr<Mailbox>> make_https_mailbox(const SourceSpec& spec);

}  // namespace jit
