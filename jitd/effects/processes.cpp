#include "jitd/effects/processes.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <optional>
#include <string_view>
#include <thread>

#include "jitd/sys/fd.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/peer.hpp"
#include "jitd/sys/pidfd.hpp"
#include "jitd/sys/proc_files.hpp"
#include "jitd/sys/proc_status.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr int kDeepest = 16;        // cgroups that a root process made below its scope
constexpr int kDeepestFamily = 64;  // ancestors of a process
constexpr int kRounds = 20;         // of killing one by one, against forks in between
constexpr std::string_view kTaken = "jit", kLeft = "jitleft";

std::string_view root_of(Processes::AtEnd at_end) {
  return at_end == Processes::AtEnd::taken ? kTaken : kLeft;
}

// PATH of "N:CONTROLLER:PATH" in /proc/PID/cgroup.
std::optional<std::string> path_in(std::string_view text, bool unified) {
  for (const std::string_view line : split(text, '\n')) {
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controller = line.substr(first + 1, second - first - 1);
    if (unified ? controller.empty() : controller == "name=systemd") return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

void collect(const std::string& folder, int depth, std::vector<pid_t>& pids) {
  if (const auto text = read_file(folder + "/cgroup.procs", kMaxProcFile)) {
    for (const std::uint64_t pid : numbers(*text)) pids.push_back(static_cast<pid_t>(pid));
  }
  if (depth >= kDeepest) return;
  const auto dir = open_dir(folder);
  if (!dir) return;
  const auto names = list_dir(dir->get());
  if (!names) return;
  for (const std::string& name : *names) {
    struct stat seen {};
    if (::fstatat(dir->get(), name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(seen.st_mode)) {
      collect(folder + "/" + name, depth + 1, pids);
    }
  }
}

// That the mount shows the tree that /proc/PID/cgroup speaks of, and lets us write.
bool may_make_cgroups(const std::string& proc, const std::string& mount, const std::string& root) {
  const auto own = read_file(proc + "/self/cgroup", kMaxProcFile);
  const auto path = own ? path_in(*own, true) : std::nullopt;
  if (!path || !path->starts_with(root)) return false;
  return ::access((mount + path->substr(root.size()) + "/cgroup.procs").c_str(), F_OK) == 0 &&
         ::access(mount.c_str(), W_OK) == 0 && ::access((mount + "/cgroup.procs").c_str(), W_OK) == 0;
}

bool signal_process(pid_t pid, int number) {
  const UniqueFd process = open_pidfd(pid);
  return process && signal_pidfd(process, number) == 0;
}

bool is_session(std::string_view unit) {
  constexpr std::string_view kPrefix = "session-", kSuffix = ".scope";
  return unit.size() > kPrefix.size() + kSuffix.size() && unit.starts_with(kPrefix) && unit.ends_with(kSuffix);
}

}  // namespace

CgroupTree find_cgroup_tree(const std::string& proc, bool systemd) {
  CgroupTree tree;
  tree.systemd = systemd;
  std::string unified, unified_root, named;
  const auto mounts = read_file(proc + "/self/mountinfo", kMaxProcFile);
  if (!mounts) return tree;
  for (const std::string_view line : split(*mounts, '\n')) {
    // 36 35 98:0 ROOT MOUNT OPTIONS [FIELDS...] - TYPE SOURCE SUPER-OPTIONS (proc_pid_mountinfo(5))
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 10 || fields.end() - dash < 4) continue;
    if (fields[4].find('\\') != std::string_view::npos) continue;  // no place where systemd mounts it
    const std::string_view type = dash[1], options = dash[3];
    if (type == "cgroup2" && unified.empty()) {
      unified = fields[4];
      unified_root = fields[3] == "/" ? "" : fields[3];
    }
    if (type == "cgroup" && named.empty() && options.find("name=systemd") != std::string_view::npos)
      named = fields[4];
  }
  if (!systemd) {
    if (!unified.empty() && may_make_cgroups(proc, unified, unified_root)) {
      tree.folder = unified;
      tree.prefix = unified_root;
    }
    return tree;
  }
  const auto first = read_file(proc + "/1/cgroup", kMaxProcFile);
  if (!first) return tree;
  constexpr std::string_view kInit = "/init.scope";
  for (const bool is_unified : {true, false}) {
    const std::string& mount = is_unified ? unified : named;
    auto path = path_in(*first, is_unified);
    // Where systemd does not manage a tree, its own process is not in a scope of it.
    if (mount.empty() || !path || !path->ends_with(kInit)) continue;
    path->resize(path->size() - kInit.size());
    tree = {mount + *path, *path, is_unified, true};
    return tree;
  }
  return tree;
}

Processes::Processes(CgroupTree tree, std::string proc) : tree_(std::move(tree)), proc_(std::move(proc)) {}

std::string_view Processes::name_of(Way way) {
  switch (way) {
    case Way::scopes:
      return "scopes";
    case Way::cgroups:
      return "cgroups";
    case Way::notes:
      return "notes";
    case Way::none:
      break;
  }
  return "no";
}

std::string Processes::slice(const std::string& grant, AtEnd at_end) {
  return std::string(root_of(at_end)) + "-" + grant + ".slice";
}

std::string Processes::scope(const std::string& grant, AtEnd at_end, pid_t pid) {
  return std::string(root_of(at_end)) + "-" + grant + "-" + std::to_string(pid) + ".scope";
}

std::string Processes::folder_of(const std::string& grant, AtEnd at_end) const {
  return tree_.folder + "/" + std::string(root_of(at_end)) + ".slice/" + slice(grant, at_end);
}

std::string Processes::folder_of_scope(const std::string& grant, pid_t pid, AtEnd at_end) const {
  return folder_of(grant, at_end) + "/" + scope(grant, at_end, pid);
}

std::vector<std::string> Processes::folders_of(const std::string& grant, const std::set<pid_t>& but) const {
  const std::string slice = folder_of(grant, AtEnd::taken);
  if (but.empty()) return {slice};
  std::set<std::string> left_out;
  for (const pid_t pid : but) left_out.insert(scope(grant, AtEnd::taken, pid));
  std::vector<std::string> folders;
  const auto dir = open_dir(slice);
  const auto names = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
  for (const std::string& name : names.value_or(std::vector<std::string>{}))
    if (name.ends_with(".scope") && !left_out.contains(name)) folders.push_back(slice + "/" + name);
  return folders;
}

std::string Processes::cgroup_of(pid_t pid) const {
  const auto text = read_file(proc_ + "/" + std::to_string(pid) + "/cgroup", kMaxProcFile);
  if (!text) return {};
  const auto path = path_in(*text, tree_.unified);
  if (!path || !path->starts_with(tree_.prefix)) return {};
  return path->substr(tree_.prefix.size());
}

bool Processes::in_scope(const std::string& grant, AtEnd at_end, pid_t pid) const {
  return available() && cgroup_of(pid) == "/" + std::string(root_of(at_end)) + ".slice/" + slice(grant, at_end) +
                                              "/" + scope(grant, at_end, pid);
}

bool Processes::under_a_grant(pid_t pid) const {
  const std::string cgroup = available() ? cgroup_of(pid) : std::string();
  return std::ranges::any_of(std::array{kTaken, kLeft}, [&](std::string_view root) {
    return cgroup.starts_with("/" + std::string(root) + ".slice/");
  });
}

std::vector<std::string> Processes::grants(AtEnd at_end) const {
  std::vector<std::string> found;
  if (!available()) return found;
  const auto dir = open_dir(tree_.folder + "/" + std::string(root_of(at_end)) + ".slice");
  const auto names = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
  if (!names) return found;
  const std::string prefix = std::string(root_of(at_end)) + "-";
  constexpr std::string_view kSuffix = ".slice";
  for (const std::string_view name : *names) {
    if (!name.starts_with(prefix) || !name.ends_with(kSuffix) || name.size() <= prefix.size() + kSuffix.size())
      continue;
    found.emplace_back(name.substr(prefix.size(), name.size() - prefix.size() - kSuffix.size()));
  }
  return found;
}

std::vector<pid_t> Processes::in_slice(const std::string& grant, AtEnd at_end) const {
  std::vector<pid_t> pids;
  if (available()) collect(folder_of(grant, at_end), 0, pids);
  return pids;
}

std::vector<pid_t> Processes::in_one_scope(const std::string& grant, pid_t pid) const {
  std::vector<pid_t> pids;
  if (available()) collect(folder_of_scope(grant, pid), 0, pids);
  return pids;
}

std::size_t Processes::warn(const std::string& grant, const std::set<pid_t>& but) const {
  std::size_t told = 0;
  std::vector<pid_t> pids;
  if (available())
    for (const std::string& folder : folders_of(grant, but)) collect(folder, 0, pids);
  for (const pid_t pid : pids) {
    if (!signal_process(pid, SIGTERM)) continue;
    (void)signal_process(pid, SIGCONT);
    ++told;
  }
  return told;
}

std::size_t Processes::kill_folder(const std::string& folder) const {
  std::vector<pid_t> pids;
  collect(folder, 0, pids);
  const std::size_t count = pids.size();
  if (count == 0) return 0;
  if (tree_.unified && write_word(folder + "/cgroup.kill", "1")) return count;
  for (int round = 0; round < kRounds && !pids.empty(); ++round) {
    for (const pid_t pid : pids) (void)signal_process(pid, SIGKILL);
    pids.clear();
    collect(folder, 0, pids);
  }
  return count;
}

std::size_t Processes::kill(const std::string& grant, const std::set<pid_t>& but) const {
  std::size_t killed = 0;
  if (available())
    for (const std::string& folder : folders_of(grant, but)) killed += kill_folder(folder);
  return killed;
}

std::size_t Processes::kill_one_scope(const std::string& grant, pid_t pid, AtEnd at_end) const {
  return available() ? kill_folder(folder_of_scope(grant, pid, at_end)) : 0;
}

bool Processes::freeze_scope(const std::string& grant, pid_t pid) const {
  // Written is enough: no task of it comes back to its program by then, though it may take a busy machine a while
  // until each has been run once to see that.
  return available() && tree_.unified && !in_one_scope(grant, pid).empty() &&
         write_word(folder_of_scope(grant, pid) + "/cgroup.freeze", "1");
}

std::size_t Processes::left_after(const std::vector<std::string>& grants, int ms) const {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  for (;;) {
    std::size_t left = 0;
    for (const std::string& grant : grants) left += in_slice(grant).size();
    if (left == 0 || std::chrono::steady_clock::now() >= until) return left;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

bool Processes::same_login(pid_t one, pid_t other) const {
  const std::string first = cgroup_of(one), second = cgroup_of(other);
  const auto session = [](std::string_view cgroup) {
    for (const std::string_view part : split(cgroup, '/'))
      if (is_session(part))
        return cgroup.substr(0, static_cast<std::size_t>(part.data() + part.size() - cgroup.data()));
    return std::string_view();
  };
  if (!session(first).empty() || !session(second).empty()) return session(first) == session(second);
  // Without logind a sudo by a grant has an audit session of its own: its caller's then is the login's.
  const std::uint32_t login = audit_session(other, proc_);
  for (int depth = 0; login != 0 && depth < kDeepestFamily && one > 1; ++depth) {
    if (audit_session(one, proc_) == login) return true;
    const auto status = proc_status(one, proc_);
    one = status ? status->parent : 0;
  }
  return false;
}

bool Processes::warn_login(pid_t pid, std::uint64_t start) const {
  const UniqueFd process = open_pidfd(pid);
  const auto now = started_ms(pid, proc_);
  return process && now && *now == start && signal_pidfd(process, SIGTERM) == 0;
}

std::size_t Processes::kill_login(pid_t pid, std::uint64_t start) const {
  const UniqueFd process = open_pidfd(pid);
  const auto now = started_ms(pid, proc_);
  if (!process || !now || *now != start || has_ended(process)) return 0;
  const std::string cgroup = cgroup_of(pid);
  if (available() && is_session(std::string_view(cgroup).substr(cgroup.rfind('/') + 1))) {
    if (const std::size_t ended = kill_folder(tree_.folder + cgroup); ended > 0) return ended;
  }
  return signal_pidfd(process, SIGKILL) == 0 ? 1 : 0;
}

}  // namespace jit
