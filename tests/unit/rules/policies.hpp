// Policies for tests: one that uses every key, and ways to load a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/rules/load.hpp"
#include "tests/unit/catch.hpp"

namespace jit::test {

// Every key that a policy can have, and nothing to warn of.
inline const std::string kFull = R"(
[defaults]
max_duration = "4h"
[people.carol]
users = ["carol", "carol-adm"]
principals = ["carol@example.org"]
[people.dave]
users = ["dave"]
[people.erin]
users = ["erin"]
principals = ["erin@example.org"]
[approvers]
dba-leads = ["carol", "dave"]
security = ["erin"]
revokers = ["erin"]
[roles.postgres-admin]
description = "Operate PostgreSQL"
eligible = ["@dba", "alice"]
segments = ["pci-db"]
groups = ["postgres"]
opens = ["login", "sudo"]
on_end = "leave"
max_duration = "3h"
[[roles.postgres-admin.sudo]]
as = "postgres"
commands = ["/usr/bin/psql", "/usr/bin/systemctl restart postgresql"]
password = false
record = true
[[roles.postgres-admin.rules]]
name = "on call"
when = { groups = ["oncall"], users = ["alice", "bob"], duration = "2h", ticket = "INC-[0-9]+" }
then = "approve"
[[roles.postgres-admin.rules]]
when = { users = ["mallory"] }
then = "deny"
message = "Call the duty manager."
[[roles.postgres-admin.rules]]
then = "review"
approvals = [ { by = "dba-leads", count = 1 }, { by = "security" } ]
limits = { duration = "1h" }
[[gates]]
name = "login"
services = ["sshd", "login"]
users = ["*"]
except = ["root", "@breakglass"]
mode = "enforce"
help = "Ask with: jitctl request db-login -m why"
[[gates]]
name = "sudo"
services = ["sudo", "sudo-i"]
users = ["@dba"]
except = ["root"]
mode = "enforce"
)";

// The policy of one file, which must load.
inline Policy loaded(std::string_view text) {
  Result<Policy> policy = load_policy({{"p.toml", std::string(text)}});
  if (!policy) INFO(policy.error().message);
  REQUIRE(policy.has_value());
  return *policy;
}

// Every problem of one file, in order.
inline std::vector<std::string> problems(std::string_view text) {
  std::vector<std::string> all;
  const Result<Policy> policy = load_policy({{"p.toml", std::string(text)}}, &all);
  CHECK(policy.has_value() == all.empty());
  return all;
}

}  // namespace jit::test
