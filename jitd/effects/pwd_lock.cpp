#include "jitd/effects/pwd_lock.hpp"

#include <csignal>

#include "jitd/sys/files.hpp"
#include "jitd/sys/pidfd.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

// State letter and real uid of a process: proc(5), "State:" and "Uid:" in /proc/PID/status.
struct ProcessState {
  char state = '?';
  std::optional<std::uint64_t> real_uid;
};

std::string_view value_of(std::string_view status, std::string_view key) {
  const auto at = status.find(key);
  if (at == std::string_view::npos) return {};
  const auto line = status.substr(at + key.size());
  return line.substr(0, line.find('\n'));
}

ProcessState look_at(pid_t pid) {
  const auto status = read_file("/proc/" + std::to_string(pid) + "/status", std::size_t{64} * 1024);
  if (!status) return {};
  ProcessState found;
  if (const auto state = value_of(*status, "\nState:\t"); !state.empty()) found.state = state.front();
  const auto uids = value_of(*status, "\nUid:\t");
  if (const auto uid = parse_number(uids.substr(0, uids.find('\t'))); uid) found.real_uid = *uid;
  return found;
}

// A user's process that holds the lock and was stopped, held by its pidfd.
struct Holder {
  pid_t pid;
  UniqueFd pidfd;
};

std::optional<Holder> stopped_holder(const std::string& path) {
  const pid_t pid = FileLock::holder(path);
  if (pid <= 0) return std::nullopt;
  UniqueFd pidfd = open_pidfd(pid);
  if (!pidfd) return std::nullopt;
  const ProcessState seen = look_at(pid);
  // Still the holder now that the pidfd is open: then pidfd, state and lock are of one process.
  if (FileLock::holder(path) != pid) return std::nullopt;
  const bool stopped = seen.state == 'T' || seen.state == 't';
  if (!stopped || !seen.real_uid || *seen.real_uid == 0) return std::nullopt;
  return Holder{pid, std::move(pidfd)};
}

}  // namespace

Result<PwdLock> try_pwd_lock(const std::string& path) {
  auto lock = FileLock::try_take(path);
  if (!lock) return tl::unexpected(lock.error());
  return PwdLock{std::move(*lock), {}};
}

PwdLock force_pwd_lock(const std::string& path, const LockPatience& patience) {
  PwdLock result;
  auto lock = FileLock::take(path, patience.at_first);
  if (!lock && lock.error().code == Errc::busy) {
    if (const auto holder = stopped_holder(path); holder) {
      const std::string who =
          "process " + std::to_string(holder->pid) + ", which held " + path + " while it was stopped";
      (void)signal_pidfd(holder->pidfd, SIGCONT);
      result.notes.push_back("woke " + who);
      lock = FileLock::take(path, patience.after_waking);
      if (!lock && lock.error().code == Errc::busy && FileLock::holder(path) == holder->pid) {
        (void)signal_pidfd(holder->pidfd, SIGKILL);
        result.notes.push_back("killed " + who);
        lock = FileLock::take(path, patience.after_killing);
      }
    }
  }
  if (lock) {
    result.lock = std::move(*lock);
  } else {
    result.notes.push_back("wrote the group files without the lock: " + lock.error().message);
  }
  return result;
}

}  // namespace jit
