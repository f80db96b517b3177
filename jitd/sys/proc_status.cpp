#include "jitd/sys/proc_status.hpp"

#include <algorithm>

#include "jitd/sys/files.hpp"
#include "jitd/sys/proc_files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

bool four(std::string_view text, std::string_view key, std::array<std::uint32_t, 4>& into) {
  const auto ids = numbers(line_of(text, key));
  if (ids.size() != into.size()) return false;
  std::transform(ids.begin(), ids.end(), into.begin(),
                 [](std::uint64_t id) { return static_cast<std::uint32_t>(id); });
  return true;
}

std::optional<ProcStatus> read_status(const std::string& file) {
  const auto text = read_file(file, kMaxProcFile);
  if (!text) return std::nullopt;
  ProcStatus status;
  const auto parent = numbers(line_of(*text, "PPid:"));
  if (parent.size() != 1 || !four(*text, "Uid:", status.uids) || !four(*text, "Gid:", status.gids))
    return std::nullopt;
  status.parent = static_cast<pid_t>(parent[0]);
  if (const auto session = numbers(line_of(*text, "NSsid:")); !session.empty())
    status.session = static_cast<pid_t>(session[0]);
  if (const auto threads = numbers(line_of(*text, "Threads:")); threads.size() == 1) status.threads = threads[0];
  for (const std::uint64_t gid : numbers(line_of(*text, "Groups:"))) status.groups.push_back(static_cast<gid_t>(gid));
  return status;
}

// The folders of a process's threads.
std::vector<std::string> threads_of(pid_t pid, const std::string& proc) {
  const std::string tasks = proc + "/" + std::to_string(pid) + "/task";
  const auto dir = open_dir(tasks);
  auto threads = dir ? list_dir(dir->get(), kMaxProcesses) : tl::unexpected(dir.error());
  if (!threads) return {};
  for (std::string& thread : *threads) thread.insert(0, tasks + "/");
  return std::move(*threads);
}

}  // namespace

std::optional<ProcStatus> proc_status(pid_t pid, const std::string& proc) {
  return read_status(proc + "/" + std::to_string(pid) + "/status");
}

std::vector<std::optional<ProcStatus>> thread_statuses(pid_t pid, const std::string& proc) {
  std::vector<std::optional<ProcStatus>> statuses;
  for (const std::string& thread : threads_of(pid, proc)) statuses.push_back(read_status(thread + "/status"));
  return statuses;
}

std::vector<pid_t> children_of(pid_t pid, const std::string& proc) {
  std::vector<pid_t> children;
  for (const std::string& thread : threads_of(pid, proc)) {
    const auto text = read_file(thread + "/children", kMaxProcFile);
    if (!text) continue;
    for (const std::uint64_t child : numbers(*text)) children.push_back(static_cast<pid_t>(child));
  }
  return children;
}

std::uint32_t audit_session(pid_t pid, const std::string& proc) {
  const auto text = read_file(proc + "/" + std::to_string(pid) + "/sessionid", kMaxProcFile);
  const auto id = text ? numbers(*text) : std::vector<std::uint64_t>();
  return id.size() == 1 && id.front() < UINT32_MAX ? static_cast<std::uint32_t>(id.front()) : 0;
}

std::vector<pid_t> all_processes(const std::string& proc) {
  std::vector<pid_t> pids;
  const auto dir = open_dir(proc);
  const auto names = dir ? list_dir(dir->get(), kMaxProcesses) : tl::unexpected(dir.error());
  if (!names) return pids;
  for (const std::string& name : *names) {
    const auto pid = parse_number(name, INT32_MAX);
    if (pid && *pid > 0) pids.push_back(static_cast<pid_t>(*pid));
  }
  std::sort(pids.begin(), pids.end(), std::greater<>());
  return pids;
}

}  // namespace jit
