// Local accounts, from /etc/passwd and /etc/group as they are on disk: a name service can hang, and must not decide
// who is exempt. Read in a stream through a small buffer; lines and files of any length are fine, damaged lines are
// nobody.
#pragma once

#include <cstdint>
#include <string_view>

#include "pam_jit/host.hpp"
#include "pam_jit/options.hpp"

namespace jit::pam {

struct LocalAccount {
  bool readable = false;  // the file was read as far as needed
  bool found = false;     // the first line with this name, as the C library has it
  std::uint32_t uid = 0, gid = 0;
  bool uid_is_anothers = false;  // `uid_to_find` is of a line with another name
};

// The line of `name`. Reads on behind it only while it is not found.
[[nodiscard]] LocalAccount local_account(Host& host, std::string_view name, std::uint32_t uid_to_find) noexcept;

// Whether exempt= covers a local account: by name, or as a member or with the primary gid of a local group that it
// lists.
[[nodiscard]] bool exempt(Host& host, const Options& options, std::string_view name,
                          const LocalAccount& account) noexcept;

}  // namespace jit::pam
