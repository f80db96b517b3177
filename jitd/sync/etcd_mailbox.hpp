// The mailbox in an etcd cluster: PREFIX/to/HOST/NAME, PREFIX/to/segment/SEGMENT/NAME, PREFIX/from/HOST/NAME are
// keys, documents their values. News come by watch, and what has expired goes away by leases.
#pragma once

#include <memory>

#include "jitd/sync/etcd_client.hpp"
#include "jitd/sync/mailbox.hpp"

namespace jit::etcd {

// The clock must outlive it.
[[nodiscard]] std::unique_ptr<Mailbox> mailbox_over(std::unique_ptr<Client> client, const Clock& clock);

}  // namespace jit::etcd
