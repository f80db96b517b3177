// Names as they may stand in documents, policy and files. Each checker says in its error what is wrong with the name;
// nobody needs to escape what passed for the grammar it names, only for sudoers (effects do).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/result.hpp"

namespace jit {

// A user or group name as getpwnam returns it: 1-256 bytes of UTF-8 without control characters, blanks around it,
// ':' ',' '/' , and not starting with '-' '+' '#'; not "." or "..". Real sites have first.last, name@corp, DOM\name.
[[nodiscard]] Result<void> check_user_name(std::string_view name);
[[nodiscard]] Result<void> check_group_name(std::string_view name);

// Names that policy gives: roles, gates, approver sets, people, segments: [A-Za-z0-9][A-Za-z0-9._@-]{0,63}.
[[nodiscard]] Result<void> check_policy_name(std::string_view name, std::string_view what);

// A host's name: 1-253 bytes of [A-Za-z0-9._-], starting with a letter or digit (RFC 1123, lower case preferred).
[[nodiscard]] Result<void> check_host_name(std::string_view name);

// A uid or gid that may belong to an account: not (uint32_t)-1, not 65534 (nobody, unmapped), not 65535.
[[nodiscard]] bool usable_id(std::uint32_t id);

// True for ids that systemd hands out at run time (61184-65519, DynamicUser=): never a requester, never granted.
[[nodiscard]] bool dynamic_id(std::uint32_t id);

}  // namespace jit
