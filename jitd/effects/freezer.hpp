// The freezer of cgroup2 (cgroups(7); Linux 5.2): processes that stand still, and can be killed or moved all the
// same.
#pragma once

#include <string>
#include <vector>

namespace jit {

[[nodiscard]] bool is_frozen(const std::string& cgroup);
// Freezes these cgroups and waits a few milliseconds for it; a process in the kernel's hands freezes when it comes
// back. Whether all of them are.
bool freeze(const std::vector<std::string>& cgroups);
void thaw(const std::string& cgroup);

}  // namespace jit
