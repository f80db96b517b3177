// Whether a path is root's alone, from the root directory to the file: whoever can write any part of it chooses what
// runs.
#pragma once

#include <string>

#include "policy/result.hpp"

namespace jit {

// Walks `path` name by name below the directory `root`, by descriptor, reading every link itself (/bin -> usr/bin),
// and returns the path that it leads to. Errors (Errc::refused) name the part that does not belong to root or that
// others may write; the last part must be a regular file that can be executed. Links count as well: one that is not
// root's could be pointed elsewhere. At most 40 links, as the kernel has it (path_resolution(7)).
[[nodiscard]] Result<std::string> check_root_path(int root, const std::string& path);

}  // namespace jit
