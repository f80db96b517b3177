#include "jitd/effects/waiting_sudos.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <optional>
#include <string_view>

#include "jitd/sys/files.hpp"
#include "jitd/sys/peer.hpp"
#include "jitd/sys/pidfd.hpp"
#include "jitd/sys/proc_status.hpp"
#include "jitd/sys/user_namespace.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

// Which processes run a sudo: by file, should somebody have linked it elsewhere, or by path, which an upgrade in
// between only marks "(deleted)".
class Sudos {
 public:
  Sudos(const std::vector<std::string>& paths, std::string proc) : paths_(paths), proc_(std::move(proc)) {
    for (const std::string& path : paths_)
      if (struct stat seen{}; ::stat(path.c_str(), &seen) == 0) files_.emplace_back(seen.st_dev, seen.st_ino);
  }

  [[nodiscard]] bool runs(pid_t pid) const {
    const std::string link = proc_ + "/" + std::to_string(pid) + "/exe";
    struct stat seen {};
    // No file: a kernel thread, or gone. Every sudo is setuid, and hardly anything else.
    if (::stat(link.c_str(), &seen) != 0 || (seen.st_mode & S_ISUID) == 0) return false;
    if (std::ranges::find(files_, std::pair(seen.st_dev, seen.st_ino)) != files_.end()) return true;
    std::array<char, PATH_MAX> text{};
    const ssize_t size = ::readlink(link.c_str(), text.data(), text.size());
    if (size <= 0) return false;
    std::string_view path(text.data(), static_cast<std::size_t>(size));
    constexpr std::string_view kDeleted = " (deleted)";
    if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
    return std::ranges::find(paths_, path) != paths_.end();
  }

 private:
  const std::vector<std::string>& paths_;
  std::string proc_;
  std::vector<std::pair<dev_t, ino_t>> files_;
};

// Whose sudo it is: the real uid. For a moment (sudoedit) that is root's; then who logged in, or started it.
std::optional<uid_t> whose(pid_t pid, const ProcStatus& status, const SudoEnds& ends, const std::string& proc) {
  if (status.real_uid() != 0) return status.real_uid();
  if (const auto text = read_file(proc + "/" + std::to_string(pid) + "/loginuid", 32))
    if (const auto login = parse_number(*text, UINT32_MAX); login && ends.contains(static_cast<uid_t>(*login)))
      return static_cast<uid_t>(*login);
  if (const auto parent = proc_status(status.parent, proc)) return parent->real_uid();
  return std::nullopt;
}

// A child that is not its user's own is the command, and one that is sudo again the monitor of a terminal with the
// command below it. A helper that asks for the password (sudo -A) is the user's own.
bool runs_command(pid_t pid, uid_t user, const Sudos& sudos, const std::string& proc, int depth = 0) {
  for (const pid_t child : children_of(pid, proc)) {
    const auto status = proc_status(child, proc);
    if (!status) continue;
    if (!sudos.runs(child)) {
      if (status->real_uid() != user) return true;
    } else if (depth < 2 && runs_command(child, user, sudos, proc, depth + 1)) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::map<uid_t, std::size_t> kill_waiting_sudos(const Processes& processes, const SudoEnds& ends,
                                                const std::vector<std::string>& paths) {
  const std::string& proc = processes.proc();
  std::map<uid_t, std::size_t> killed;
  if (ends.empty() || paths.empty()) return killed;
  const Sudos sudos(paths, proc);
  for (const pid_t pid : all_processes(proc)) {
    if (!sudos.runs(pid)) continue;
    // The descriptor first: what is read then is of the process that is signalled, or of none.
    const UniqueFd process = open_pidfd(pid);
    const auto status = process ? proc_status(pid, proc) : std::nullopt;
    if (!status || !sudos.runs(pid)) continue;
    const auto user = whose(pid, *status, ends, proc);
    const auto end = user ? ends.find(*user) : ends.end();
    if (end == ends.end()) continue;
    const auto started = started_ms(pid, proc);
    if (!started || *started > end->second || in_container(pid, proc)) continue;
    // The monitor of a sudo goes with it, or runs the command.
    if (processes.under_a_grant(pid) || runs_command(pid, *user, sudos, proc) || has_ended(process)) continue;
    if (signal_pidfd(process, SIGKILL) == 0) ++killed[*user];
  }
  return killed;
}

}  // namespace jit
