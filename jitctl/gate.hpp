// jitctl gate: shared by its subcommands.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jitctl/context.hpp"
#include "policy/result.hpp"
#include "policy/rules/policy.hpp"

namespace jit::ctl {

struct GateOptions {
  std::string service, exempt, confirm = "10m", proof, key;
  bool request = false;
  bool yes = false, end_grants = false;
};

// A service's lines as they stand now.
struct GateNow {
  std::string service;
  std::string where;                  // "/etc/pam.d/sshd:3", empty: no line
  std::string mode;                   // "observe", "enforce"; empty: no line
  std::string exempt;                 // the value of exempt=
  bool marked = false;                // ours to change
  std::vector<std::string> problems;  // of the proof over the effective stacks
};
[[nodiscard]] std::string pam_dir(const Context& context);
[[nodiscard]] Result<GateNow> gate_now(const Context& context, const std::string& service);

// The gates of `policy` on this service: "login (enforce)".
[[nodiscard]] std::string policy_gates(const Policy& policy, const std::string& service);

// The proof that an approver of this host can sign right now: a file made with ssh-keygen, or asked of the caller's
// own key.
[[nodiscard]] Result<std::string> prove_approver(Context& context, const std::string& host,
                                                 const std::string& proof_file, const std::string& key_option);

[[nodiscard]] Outcome gate_enforce(Context& context, const GateOptions& options);

}  // namespace jit::ctl
