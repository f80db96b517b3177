#include "jitd/sync/etcd_leases.hpp"

#include <algorithm>
#include <bit>

namespace jit::etcd {

using std::chrono::hours;
using std::chrono::minutes;

WallTime lease_end(WallTime until, WallTime now) {
  constexpr Seconds kMost = hours(24 * 366 * 10);
  // Whatever the clocks say; `until` may be the end of time.
  const WallTime wanted = std::max(std::clamp(until, now - kMost, now + kMost) + minutes(10), now + minutes(1));
  const auto quarter = static_cast<std::uint64_t>(std::chrono::duration_cast<hours>((wanted - now) / 4).count());
  const Seconds step = hours(std::max<std::uint64_t>(std::bit_floor(quarter), 1));
  const auto since = wanted.time_since_epoch();
  return WallTime((since + step - Seconds(1)) / step * step);
}

Result<Leases::Lease*> Leases::lease_for(WallTime until) {
  const WallTime now = clock_.now().wall(), end = lease_end(until, now);
  leases_.erase(leases_.begin(), leases_.upper_bound(now));
  if (const auto known = leases_.find(end); known != leases_.end()) return &known->second;
  const auto reply = client_.call("/v3/lease/grant", lease_question(static_cast<std::uint64_t>((end - now).count())));
  if (!reply) return tl::unexpected(reply.error());
  if (!reply->good()) return tl::unexpected(error_of(reply->failure, "make a lease", client_.spec()));
  const auto id = read_lease(reply->body);
  if (!id) return tl::unexpected(id.error());
  return &leases_.emplace(end, Lease{*id, false}).first->second;
}

void Leases::forget(WallTime until) {
  leases_.erase(lease_end(until, clock_.now().wall()));
}

}  // namespace jit::etcd
