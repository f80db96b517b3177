// The policy of a directory, and what a person is by the local name service: what `policy`, `gate` and `doctor` judge
// by.
#pragma once

#include <string>
#include <vector>

#include "jitctl/context.hpp"
#include "policy/result.hpp"
#include "policy/rules/decision.hpp"
#include "policy/rules/load.hpp"
#include "policy/rules/policy.hpp"

namespace jit::ctl {

// The policy of this host as jitd has it: /etc/jit/policy.d/*.toml in name order, hidden files not, all or nothing,
// and only where nobody but root (or who runs us) could have written them; and with it what the owners delivered.
[[nodiscard]] Result<Policy> read_policy(const Places& places);
// The same of files that jitd does not read, such as a checkout: whose they are is no matter yet.
[[nodiscard]] Result<Policy> read_draft(const std::string& directory);

// What is wrong with the policy on this very host, beyond its text: groups and run-as accounts that are not here,
// commands that are not root's along the whole path, roles with sudo lines that open no enforced gate on sudo. Lines
// for people.
[[nodiscard]] std::vector<std::string> host_problems(const Policy& policy, const std::string& etc);

// getpwnam and getgrouplist, now. Memberships that grants give are among the groups: only jitd can tell them apart.
[[nodiscard]] Result<Facts> facts_of(const std::string& user);

// A rule in a sentence: "when in group oncall and for at most 1h: approved by itself".
[[nodiscard]] std::string rule_in_words(const Rule& rule);

}  // namespace jit::ctl
