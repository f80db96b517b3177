// Leases of etcd, so that documents which nobody needs any more go away by themselves.
#pragma once

#include <cstdint>
#include <map>

#include "jitd/sync/etcd_client.hpp"
#include "policy/time.hpp"

namespace jit::etcd {

// When a document that nobody needs after `until` is to go: ten minutes later, at least a minute from now, and
// rounded up, to whole hours or, far away, by up to a quarter of the time, so that many documents share a lease. The
// steps are powers of two hours since 1970: all of a fleet round to the same times.
[[nodiscard]] WallTime lease_end(WallTime until, WallTime now);

// The leases of one process. etcd lets a user attach a key only to a lease all of whose keys that user may write, so
// that a fleet cannot share them; one process has a few dozen at most.
class Leases {
 public:
  Leases(Client& client, const Clock& clock) : client_(client), clock_(clock) {}

  struct Lease {
    std::uint64_t id = 0;
    bool used = false;  // something is attached to it
  };
  // The lease that ends when a document of this `until` is to go; made where there is none.
  [[nodiscard]] Result<Lease*> lease_for(WallTime until);
  // It is not what we took it for: the next document with this `until` gets another.
  void forget(WallTime until);

 private:
  Client& client_;
  const Clock& clock_;
  std::map<WallTime, Lease> leases_;  // by their end
};

}  // namespace jit::etcd
