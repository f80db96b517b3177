// Files that decide who may become root: read only when nobody but root could have written them.
#pragma once

#include <cstddef>
#include <string>

#include "jitd/sys/fd.hpp"
#include "policy/result.hpp"

namespace jit {

// Opens a directory. Errors: it does not belong to root (or to whoever runs us), or group or others may write it.
[[nodiscard]] Result<UniqueFd> open_own_dir(const std::string& path);

// Reads a regular file of `dir` under the same rule; `shown_as` is its whole path, for errors.
[[nodiscard]] Result<std::string> read_own_file(int dir, const std::string& name, std::size_t limit,
                                                const std::string& shown_as);

}  // namespace jit
