// Processes that hold a group which their user has no longer: a process keeps the groups that it started with.
#include <algorithm>
#include <csignal>
#include <optional>

#include "jitd/effects/processes.hpp"
#include "jitd/sys/fd.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/pidfd.hpp"
#include "jitd/sys/proc_files.hpp"
#include "jitd/sys/proc_status.hpp"
#include "jitd/sys/user_namespace.hpp"

namespace jit {
namespace {

constexpr int kPasses = 12;  // against forks in between
constexpr int kPatient = 2;  // passes before who goes on forking is killed by cgroup, which no fork escapes
constexpr int kUnseen = 3;   // passes in a row that found nobody, while processes came and went

class Search {
 public:
  Search(const std::string& proc, const Processes::Holders& holders, const Processes::Entitled& entitled)
      : proc_(proc), holders_(holders), entitled_(entitled) {}

  enum class Found : std::uint8_t { nobody, gone, holder };
  // Whether this process holds a lost group, and in `whose` the user who lost it.
  Found look_at(pid_t pid, uid_t& whose) const {
    const auto status = proc_status(pid, proc_);
    if (!status) return Found::gone;
    if (holds(pid, *status, whose)) return Found::holder;
    if (!stands_behind(pid, *status)) return Found::nobody;
    if (may_take(pid, status->uids, whose)) return Found::holder;
    if (status->threads < 2) return Found::nobody;
    const auto threads = thread_statuses(pid, proc_);
    bool all = !threads.empty();
    for (const auto& thread : threads) {
      if (thread && holds(pid, *thread, whose)) return Found::holder;
      all = all && thread;
    }
    return all ? Found::nobody : Found::gone;
  }

 private:
  using Lost = Processes::Holders::value_type;

  // Whether a thread of that process, its status this, holds a lost group.
  bool holds(pid_t pid, const ProcStatus& status, uid_t& whose) const {
    for (const auto& lost : holders_) {
      const bool is_own = std::ranges::find(status.gids, lost.first) != status.gids.end();
      if (!is_own && std::ranges::find(status.groups, lost.first) == status.groups.end()) continue;
      if (const auto user = who_lost_it(lost, is_own, pid, status.uids); user && !is_a_containers(pid, *user)) {
        whose = *user;
        return true;
      }
    }
    return false;
  }

  // Whether it is in a user namespace where a lost group is mapped: there it may take it at any time
  // (user_namespaces(7)), if it does not have it now.
  bool may_take(pid_t pid, const std::array<uid_t, 4>& uids, uid_t& whose) const {
    if (namespace_owners(pid, proc_).empty()) return false;
    const auto text = read_file(proc_ + "/" + std::to_string(pid) + "/gid_map", kMaxProcFile);
    const auto map = text ? numbers(*text) : std::vector<std::uint64_t>();  // inside, outside, how many
    for (const auto& lost : holders_) {
      bool mapped = false;
      for (std::size_t i = 0; i + 2 < map.size(); i += 3)
        mapped = mapped || (lost.first >= map[i + 1] && lost.first - map[i + 1] < map[i + 2]);
      const auto user = mapped ? who_lost_it(lost, true, pid, uids) : std::nullopt;
      if (!user || is_a_containers(pid, *user)) continue;
      whose = *user;
      return true;
    }
    return false;
  }

  std::optional<uid_t> who_lost_it(const Lost& lost, bool is_own, pid_t pid, const std::array<uid_t, 4>& uids) const {
    const auto lost_it = [&](uid_t uid) {
      const auto user = lost.second.find(uid);
      return user != lost.second.end() && (user->second || !is_own);
    };
    const auto has_it_anyway = [&](uid_t uid) { return uid == 0 || entitled_(uid, lost.first); };
    if (const auto one = std::ranges::find_if(uids, lost_it); one != uids.end()) return *one;
    if (std::ranges::any_of(uids, has_it_anyway)) return std::nullopt;
    const auto users = behind(pid);
    const auto one = std::ranges::find_if(users, lost_it);
    return one == users.end() ? std::nullopt : std::optional(*one);
  }

  // Whether it is of somebody who lost a group: others' threads need no look.
  bool stands_behind(pid_t pid, const ProcStatus& status) const {
    const auto lost_one = [&](uid_t uid) {
      return std::ranges::any_of(holders_, [&](const Lost& lost) { return lost.second.contains(uid); });
    };
    return std::ranges::any_of(status.uids, lost_one) || std::ranges::any_of(behind(pid), lost_one);
  }

  // A container's process, whose numbers say nothing here: but not where that very user logged in and made it, by a
  // program that may (firejail is setuid root).
  bool is_a_containers(pid_t pid, uid_t user) const { return in_container(pid, proc_) && login_of(pid) != user; }

  // Who stands behind a process that runs as somebody else.
  std::vector<uid_t> behind(pid_t pid) const {
    std::vector<uid_t> users = namespace_owners(pid, proc_);
    if (const auto login = login_of(pid)) users.push_back(*login);
    return users;
  }

  std::optional<uid_t> login_of(pid_t pid) const {
    const auto text = read_file(proc_ + "/" + std::to_string(pid) + "/loginuid", kMaxProcFile);
    const auto uid = text ? numbers(*text) : std::vector<std::uint64_t>();
    return uid.empty() ? std::nullopt : std::optional(static_cast<uid_t>(uid[0]));
  }

  const std::string& proc_;
  const Processes::Holders& holders_;
  const Processes::Entitled& entitled_;
};

// Processes that were killed and have not ended yet: not to be counted by every pass.
class Dying {
 public:
  void add(pid_t pid, UniqueFd process) {
    if (processes_.size() < kMostDying) processes_.insert_or_assign(pid, std::move(process));
  }
  [[nodiscard]] bool has(pid_t pid) const {
    const auto process = processes_.find(pid);
    return process != processes_.end() && !has_ended(process->second);
  }

 private:
  static constexpr std::size_t kMostDying = 1024;  // descriptors
  std::map<pid_t, UniqueFd> processes_;
};

}  // namespace

Processes::Ended Processes::kill_holders(const Holders& holders, const Entitled& entitled) const {
  Ended ended;
  if (holders.empty()) return ended;
  const Search search(proc_, holders, entitled);
  Dying dying;
  int unseen = 0;
  for (int pass = 0; pass < kPasses && unseen < kUnseen; ++pass) {
    std::size_t holding = 0, gone = 0;
    for (const pid_t pid : all_processes(proc_)) {
      // The descriptor first: what is read then is of the process that is signalled, or of none.
      if (dying.has(pid)) continue;
      UniqueFd process = open_pidfd(pid);
      uid_t whose = 0;
      const auto found = process ? search.look_at(pid, whose) : Search::Found::gone;
      if (found == Search::Found::gone) ++gone;
      if (found != Search::Found::holder || has_ended(process)) continue;
      ++holding;
      if (pass >= kPatient) (void)kill_around(pid, whose);
      if (signal_pidfd(process, SIGKILL) != 0) continue;
      ++ended.killed[whose];
      dying.add(pid, std::move(process));
    }
    ended.all = holding == 0;
    if (holding == 0 && gone == 0) break;
    unseen = holding == 0 ? unseen + 1 : 0;
  }
  return ended;
}

// What is in a user's own slice with it is that user's, whatever forks there.
std::size_t Processes::kill_around(pid_t pid, uid_t uid) const {
  const std::string cgroup = cgroup_of(pid);
  const std::string slice = "/user.slice/user-" + std::to_string(uid) + ".slice/";
  return available() && cgroup.starts_with(slice) ? kill_folder(tree_.folder + cgroup) : 0;
}

}  // namespace jit
