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

inline constexpr std::size_t kMaxPolicyFile = std::size_t{1024} * 1024;

// Files in the order of their names, without folders, whatever order they come in. Errors name file, line and key,
// for example
//   /etc/jit/policy.d/10-dba.toml:12: roles.dba.rules[1].escalate: this release cannot enforce it yet; remove the key
// (rules[1] is the first). Unknown keys, wrong types, a second definition of a role, person, set or gate (naming
// both), a role without max_duration here or in [defaults], an unknown set or gate, counts that the sets cannot reach
// with different people, a user or principal under two people, a group named in `except` that a role gives, and
// without `dangerous = true` a root-equivalent group by name or command as root are errors. What opening a gate on
// sudo amounts to depends on the host's sudoers, and is asked at activation. The error is the first one with the
// number of others; `all` gets each of them.
[[nodiscard]] Result<Policy> load_policy(std::vector<PolicyText> files, std::vector<std::string>* all = nullptr);

// Root-equivalent by name: root, sudo, wheel, adm, disk, shadow, docker, lxd, libvirt, kvm, systemd-journal.
[[nodiscard]] bool root_equivalent_group(std::string_view name);
// Root-equivalent when run as root, by the path's last name (versions and variants alike: python3.11, vim.basic):
// ALL, shells, editors, pagers and interpreters with any arguments; programs that run others or write what they are
// told (env, find, tar, systemctl ...) with "..." only, or where a fixed argument starts an editor (systemctl edit).
[[nodiscard]] bool root_equivalent_command(const Command& command);

}  // namespace jit
