#include "jitd/sync/etcd.hpp"

#include "jitd/sync/etcd_mailbox.hpp"

namespace jit {

Result<std::unique_ptr<Mailbox>> make_etcd_mailbox(const SourceSpec& spec) {
  static const SystemClock clock;
  auto client = etcd::make_client(spec, clock);
  if (!client) return tl::unexpected(client.error());
  return etcd::mailbox_over(std::move(*client), clock);
}

}  // namespace jit
