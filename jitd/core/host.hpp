// What this host is: jitd.toml, the host key, trust files and the policy, loaded together and replaced whole.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/core/machine.hpp"
#include "jitd/sys/delivered_files.hpp"
#include "policy/document/signature.hpp"
#include "policy/document/verify.hpp"
#include "policy/owners.hpp"
#include "policy/result.hpp"
#include "policy/rules/load.hpp"
#include "policy/rules/policy.hpp"
#include "policy/sources.hpp"

namespace jit {

// /etc/jit/jitd.toml (jitd.toml(5)). Unknown keys are errors that name file, line and key.
struct HostConfig {
  std::string host;
  std::vector<std::string> segments;
  Seconds grant_ceiling = std::chrono::hours(24);
  Seconds absolute_ceiling = std::chrono::days(14);
  Seconds pending_life = std::chrono::hours(24);
  Seconds clock_tolerance = std::chrono::minutes(5);
  unsigned pending_per_user = 10;
  unsigned requests_per_minute = 30;  // per uid
  Seconds audit_retention = std::chrono::days(400);
  Owners owners;                                // who may sign its policy and trust
  std::optional<Seconds> max_view_age;          // of revocations, for roles that say nothing (rules/view.hpp)
  Seconds heartbeat = std::chrono::minutes(5);  // how often the outbox says that the host is alive
  std::vector<std::string> residue_paths;       // looked through after a grant, beside homes and temporary folders
  std::vector<SourceSpec> sources;              // jitd-sync's; here they are only checked
};
[[nodiscard]] Result<HostConfig> parse_host_config(std::string_view text, const std::string& file);

// Where everything is; only tests say otherwise.
struct Paths {
  std::string etc_jit = "/etc/jit";
  std::string var = "/var/lib/jit";
  std::string run = "/run/jit";
  std::string etc = "/etc";  // passwd, group, gshadow, pam.d
  std::string recordings = kRecordingDir;
};

// jitd.toml as it stands. A missing one is one that says nothing.
[[nodiscard]] Result<HostConfig> read_host_config(const Paths& paths);

// One consistent reading of it all. Immutable: a reload makes another.
struct HostView {
  HostConfig config;
  SigningKey* key = nullptr;  // lives as long as the daemon
  std::string host_key;       // its fingerprint
  Machine machine;            // that the key was made on, or another one
  Policy policy;
  bool last_good = false;                            // the files are bad: this is the policy that loaded last
  std::string policy_error;                          // why, with file, line and key
  TrustSet trust;                                    // approvers, who may ask from elsewhere, owners; its own key
  DeliveredState delivered_policy, delivered_trust;  // part of policy and trust, where they count (deliveries.hpp)
  std::vector<std::string> warnings;
};

// The pinned host name: jitd.toml's `host`, else the one written to VAR/host at the first start (from the kernel's
// node name, never asked of the network).
[[nodiscard]] Result<std::string> pinned_host(const HostConfig& config, const Paths& paths);

// Reads the key, or makes it (0600, and .pub beside it) at the first start.
[[nodiscard]] Result<std::shared_ptr<SigningKey>> host_key(const Paths& paths);

// Makes another key in its place; the old one is gone when this returns.
[[nodiscard]] Result<std::shared_ptr<SigningKey>> new_host_key(const Paths& paths);

// The same view for another key or machine.
[[nodiscard]] std::shared_ptr<const HostView> with_identity(const HostView& view, SigningKey& key,
                                                            const Machine& machine);

// The *.toml files of policy.d, in name order.
[[nodiscard]] Result<std::vector<PolicyText>> read_policy_files(const Paths& paths);

// How a warning begins that says that there is no approver.
inline constexpr std::string_view kNobodyApproves = "nobody is trusted to approve: ";

// Loads config, trust and policy. A bad jitd.toml is an error on the first load and keeps `before` later; bad policy
// files give the last good ones, kept whole in VAR/last-good; trust has no last-good. What the owners delivered is
// part of both as long as enough owners of now have signed it.
[[nodiscard]] Result<std::shared_ptr<const HostView>> load_host(const Paths& paths,
                                                                const std::shared_ptr<SigningKey>& key,
                                                                const HostView* before, const Machine& machine = {});

}  // namespace jit
