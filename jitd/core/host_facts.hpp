// What the engine must know of the host to make `effects`: ids of local names, who owns the commands, whether sudo is
// gated. Read from files at each use, never cached across a change; fakes in tests.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/document/effects.hpp"
#include "policy/result.hpp"
#include "policy/rules/policy.hpp"

namespace jit {

// Memberships of ours at one moment, so that they make nobody eligible.
class Gifts {
 public:
  // `uid`: nullopt where it is not known.
  void add(const std::string& user, std::optional<std::uint32_t> uid, const std::string& group);
  // Groups that this account has from us, under its name or its uid: a user may have been renamed.
  [[nodiscard]] std::set<std::string> of(const std::string& user, std::uint32_t uid) const;

 private:
  std::unordered_multimap<std::string, std::string> by_user_;
  std::unordered_multimap<std::uint32_t, std::string> by_uid_;
};

class HostFacts {
 public:
  virtual ~HostFacts() = default;
  [[nodiscard]] virtual Result<std::uint32_t> gid_of(const std::string& group) const = 0;  // local groups only
  [[nodiscard]] virtual Result<std::uint32_t> uid_of(const std::string& user) const = 0;   // local run-as accounts
  [[nodiscard]] virtual bool local_member(const std::string& user, const std::string& group) const = 0;
  // Names of the groups that share `gid` with a root-equivalent one, or that a sudoers rule names.
  [[nodiscard]] virtual Result<bool> root_equivalent(const std::string& group, std::uint32_t gid) const = 0;
  // Root-owned and not writable by others along the whole path.
  [[nodiscard]] virtual Result<void> check_command(const Command& command) const = 0;
  // pam_jit stands, proven, in sudo's and sudo-i's account and session stacks; and in enforce mode.
  struct SudoStack {
    bool account = false, session = false, enforce = false;
    std::string problem;  // what doctor would say
  };
  [[nodiscard]] virtual SudoStack sudo_stack() const = 0;
  // The file that the command's path leads to, links followed: what it is called tells an editor behind another name.
  [[nodiscard]] virtual Result<std::string> resolved(const Command& command) const { return command.path; }
  // Groups named in `exempt=` on our PAM lines: to give one would open every gate.
  [[nodiscard]] virtual std::vector<std::string> exempt_groups() const { return {}; }
  // Only sudo-rs, only classic, or both are installed (effects/dropins.hpp).
  [[nodiscard]] virtual SudoDialect dialect() const = 0;
  // What `held` says of memberships now.
  [[nodiscard]] virtual Gifts gifts() const = 0;
};

// What this host would give for `role`: ids filled in, everything checked that depends on the host. The error says
// what to do. A role with sudo lines needs an enforced gate on sudo that it opens, and our lines in sudo's PAM
// stacks.
[[nodiscard]] Result<Effects> make_effects(const Policy& policy, const Role& role, const HostFacts& facts);

}  // namespace jit
