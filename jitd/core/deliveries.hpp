// Policy and trust that the owners delivered, beside what lies in /etc/jit: read together with it as one.
#pragma once

#include <string>
#include <vector>

#include "jitd/core/host.hpp"
#include "jitd/sys/files.hpp"
#include "policy/rules/load.hpp"

namespace jit {

// Reads what was delivered and counts by `view.config`, with warnings of what does not.
void read_deliveries(HostView& view, const Paths& paths);

// Its policy files, under names that no file of policy.d can have ("delivered policy 12/10-dba.toml").
[[nodiscard]] std::vector<PolicyText> delivered_policy(const DeliveredState& state);

// Adds the lines of its trust files to those of the local ones.
void add_delivered_trust(HostView& view);

// Takes over what enough owners have signed: all the parts of one number. A policy has to load together with the
// local files, or it is refused with what is wrong with it; nothing has changed then.
[[nodiscard]] Result<void> take_over(Files& files, const Paths& paths, const HostConfig& config, Kind kind,
                                     const std::vector<std::string>& documents);

}  // namespace jit
