// The files of the kernel below /proc and in the cgroup tree (proc(5), cgroups(7)): words and numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace jit {

constexpr std::size_t kMaxProcFile = 1U << 20U;
constexpr std::size_t kMaxProcesses = 1U << 22U;  // PID_MAX_LIMIT

// The numbers at the start of `text`, between blanks and line ends; what is no number ends the list.
[[nodiscard]] std::vector<std::uint64_t> numbers(std::string_view text);
// What follows `key` on its line of /proc/PID/status, "Groups:" for one; not its first line. Empty: no such line.
[[nodiscard]] std::string_view line_of(std::string_view text, std::string_view key);
// Writes to a file that is there, as cgroup.kill.
bool write_word(const std::string& path, std::string_view word);

}  // namespace jit
