// The texts that setup writes: a first policy to start from, and the host's name in jitd.toml.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit::ctl {

struct FirstRole {
  std::string role;
  std::vector<std::string> eligible;           // users and @groups
  std::vector<std::string> groups;             // what it gives
  std::string approver;                        // principal of the first approver
  std::vector<std::string> gates;              // PAM services to be gated: sshd, login, sudo, su
  std::vector<std::string> exempt = {"root"};  // local accounts and @groups that the gates never ask
};

// A policy file with comments for people, which load_policy takes; a role for everybody in `eligible`, reviewed by
// the approver; a gate in observe mode for each service. Errors: a name that policy does not take, a group that is as
// good as root (the file then needs `dangerous = true`, which is a decision for a person).
[[nodiscard]] Result<std::string> first_policy(const FirstRole& first);

// jitd.toml with `host = "NAME"`: the line that says so replaced, or put in front of the first table. Nothing else
// changes.
[[nodiscard]] Result<std::string> with_host(std::string_view config, const std::string& host);

}  // namespace jit::ctl
