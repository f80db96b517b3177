// What the owners of this host delivered, as jitctl reads it; and making such documents (policy sign, trust sign).
#pragma once

#include <string>
#include <vector>

#include "jitctl/app.hpp"
#include "jitd/sys/delivered_files.hpp"
#include "policy/owners.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// [owners] of this host's jitd.toml; nobody where that cannot be read or is wrong, as `jitd --check` says.
[[nodiscard]] Owners owners_here(const Places& places);

// What lies delivered here; nothing without owners. Root alone can read it.
[[nodiscard]] DeliveredState delivered_here(const Places& places, Kind kind);

// "policy 12, signed by carol and dave: 10-dba.toml, 20-web.toml"; without owners of it, why it does not count;
// empty: nothing was delivered.
[[nodiscard]] std::string in_words(const DeliveredState& state);

// Files in parts that fit a document each, in name order: a file that does not fit goes on in the next part, from a
// line on.
[[nodiscard]] Result<std::vector<std::vector<Delivery::File>>> in_parts(const std::vector<Delivery::File>& files);

void add_policy_sign(Commands& commands, Command* family);
void add_trust_sign(Commands& commands, Command* family);

}  // namespace jit::ctl
