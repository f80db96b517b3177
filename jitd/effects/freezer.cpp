#include "jitd/effects/freezer.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "jitd/sys/files.hpp"
#include "jitd/sys/proc_files.hpp"

namespace jit {
namespace {

constexpr int kPatienceMs = 10;

}  // namespace

bool is_frozen(const std::string& cgroup) {
  const auto events = read_file(cgroup + "/cgroup.events", kMaxProcFile);
  return events && line_of("\n" + *events, "frozen ") == "1";
}

bool freeze(const std::vector<std::string>& cgroups) {
  for (const std::string& cgroup : cgroups) (void)write_word(cgroup + "/cgroup.freeze", "1");
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  for (;;) {
    if (std::all_of(cgroups.begin(), cgroups.end(), is_frozen)) return true;
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

void thaw(const std::string& cgroup) {
  (void)write_word(cgroup + "/cgroup.freeze", "0");
}

}  // namespace jit
