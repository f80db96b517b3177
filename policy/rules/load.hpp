// Policy text to Policy, all or nothing. Depends on the text alone: what depends on the host (paths, owners, gids,
// sudoers) is checked at request and activation.
#pragma once

#include <string>
#include <vector>

#include "policy/result.hpp"
#include "policy/rules/policy.hpp"

namespace jit {

struct PolicyText {
  std::string file;  // as shown in errors: "/etc/jit/policy.d/10-dba.toml"
  std::string text;
};

inline constexpr std::size_t kMaxPolicyFile = 1024 * 1024;

// Files in name order. Errors name file, line and key, for example
//   /etc/jit/policy.d/10-dba.toml:12: roles.dba.rules[1].escalate: this release cannot enforce it yet; remove the key
// Unknown keys, wrong types, a second definition of a role (naming both), a role without max_duration here or in
// [defaults], an unknown set, gate or person, a count that the set cannot reach, a user or principal under two people,
// a group named in `except` that a role gives, sudo as root with ALL, a shell, an editor, a pager or an interpreter, or
// a root-equivalent group by name, or opens = ["sudo"]-gates without `dangerous = true` are errors.
[[nodiscard]] Result<Policy> load_policy(std::vector<PolicyText> files);

// Root-equivalent by name (DESIGN 4): root, sudo, wheel, adm, disk, shadow, docker, lxd, libvirt, kvm, systemd-journal.
[[nodiscard]] bool root_equivalent_group(std::string_view name);
// Root-equivalent when run as root: ALL, any-argument shells, editors, pagers, interpreters, by the path's last name.
[[nodiscard]] bool root_equivalent_command(const Command& command);

}  // namespace jit
