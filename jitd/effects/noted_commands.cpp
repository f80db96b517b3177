#include "jitd/effects/noted_commands.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <optional>
#include <set>

#include "jitd/sys/fd.hpp"
#include "jitd/sys/peer.hpp"
#include "jitd/sys/pidfd.hpp"
#include "jitd/sys/proc_status.hpp"

namespace jit {
namespace {

constexpr int kRounds = 8;            // of stopping and killing, against what the round before did not know yet
constexpr int kPasses = 50;           // of stopping, until nothing new appears
constexpr int kPatienceMs = 50;       // a killed process is gone in a few ms, unless it is in the kernel's hands
constexpr std::size_t kSweepAt = 64;  // notes

// Whether there are the descriptors that one look takes. Without them nobody is seen, which is not "nobody there".
bool can_look() {
  std::array<UniqueFd, 4> some;
  return std::ranges::all_of(some, [](UniqueFd& one) {
    one.reset(::open("/", O_PATH | O_CLOEXEC));
    return static_cast<bool>(one);
  });
}

// The processes under some grants, by what links them to the sudo that was noted. None of them has a descriptor for
// longer than a call: they may be more than jitd may have.
class Family {
 public:
  // `roots`: where they begin. `others`: commands of grants that go on, which may have been started from within.
  Family(std::string proc, const std::function<bool(pid_t)>& held, const std::vector<NotedProcess>& roots,
         const std::vector<NotedProcess>& others)
      : proc_(std::move(proc)), held_(held), roots_(roots) {
    for (const NotedProcess& root : roots)
      if (root.audit_session != 0) audit_sessions_[root.audit_session] = root.grant;
    for (const NotedProcess& other : others) {
      if (is(other)) spared_.insert(other.pid);
      if (other.audit_session != 0) spared_sessions_.insert(other.audit_session);
    }
    spared_.insert(::getpid());
    own_ = ::stat((proc_ + "/self/exe").c_str(), &own_file_) == 0;
  }

  // Takes in, with this signal, every member that is not in it yet. How many those were.
  std::size_t take_in(int signal) {
    const std::size_t before = members_.size();
    const auto pids = all_processes(proc_);
    // Newest first, but pids wrap around: again while one links to another that stood behind it.
    for (std::size_t known = SIZE_MAX; known != members_.size();) {
      known = members_.size();
      for (const pid_t pid : pids) look_at(pid, signal);
    }
    return members_.size() - before;
  }

  void signal_all(int signal) const {
    for (const auto& [pid, member] : members_)
      if (const UniqueFd process = open(pid, member)) (void)signal_pidfd(process, signal);
  }

  [[nodiscard]] std::map<std::string, std::size_t> by_grant() const {
    std::map<std::string, std::size_t> counts;
    for (const auto& [pid, member] : members_) ++counts[member.grant];
    return counts;
  }

  [[nodiscard]] std::size_t left_after(int ms) const {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    return static_cast<std::size_t>(std::ranges::count_if(members_, [&](const auto& entry) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      const UniqueFd process = open(entry.first, entry.second);
      return process && !has_ended(process, std::max(0, static_cast<int>(left.count())));
    }));
  }

 private:
  struct Member {
    std::uint64_t start = 0;
    std::string grant;
  };

  // Empty: it is gone.
  [[nodiscard]] UniqueFd open(pid_t pid, const Member& member) const {
    UniqueFd process = open_pidfd(pid);
    // Read now that the descriptor is open: it is of the member, not of a later process of that pid.
    const auto start = process ? started_ms(pid, proc_) : fail(Errc::not_found, "");
    return start && *start == member.start ? std::move(process) : UniqueFd();
  }

  [[nodiscard]] bool is(const NotedProcess& noted) const {
    const auto start = started_ms(noted.pid, proc_);
    return start && *start == noted.start;
  }

  void look_at(pid_t pid, int signal) {
    if (pid == 1 || members_.contains(pid) || spared_.contains(pid) || !grant_of(pid)) return;
    // The descriptor first: what is read then is of the process that is signalled, or of none.
    UniqueFd process = open_pidfd(pid);
    const auto grant = process ? grant_of(pid) : std::nullopt;
    const auto status = grant ? proc_status(pid, proc_) : std::nullopt;
    const auto start = started_ms(pid, proc_);
    if (!status || !start || has_ended(process) || is_ours(pid, *status) || held_(pid) ||
        signal_pidfd(process, signal) != 0)
      return;
    if (status->session == pid) sessions_[pid] = *grant;
    members_.emplace(pid, Member{*start, *grant});
  }

  [[nodiscard]] std::optional<std::string> grant_of(pid_t pid) const {
    const auto status = proc_status(pid, proc_);
    if (!status) return std::nullopt;
    for (const NotedProcess& root : roots_)
      if (root.pid == pid && is(root)) return root.grant;
    const std::uint32_t audit = audit_session(pid, proc_);
    if (spared_sessions_.contains(audit)) return std::nullopt;
    // A parent that is gone by now may have left its pid to another.
    if (const auto parent = members_.find(status->parent); parent != members_.end())
      if (const UniqueFd process = open(parent->first, parent->second); process && !has_ended(process))
        return parent->second.grant;
    if (const auto session = sessions_.find(status->session); session != sessions_.end()) return session->second;
    const auto audited = audit_sessions_.find(audit);
    return audited == audit_sessions_.end() ? std::nullopt : std::optional(audited->second);
  }

  // jitd, its helpers and its timers: root's. Anybody may run the program, with code of their own in it.
  [[nodiscard]] bool is_ours(pid_t pid, const ProcStatus& status) const {
    struct stat file {};
    return own_ && status.uids == std::array<std::uint32_t, 4>{} &&
           ::stat((proc_ + "/" + std::to_string(pid) + "/exe").c_str(), &file) == 0 &&
           file.st_dev == own_file_.st_dev && file.st_ino == own_file_.st_ino;
  }

  std::string proc_;
  const std::function<bool(pid_t)>& held_;
  const std::vector<NotedProcess>& roots_;
  std::map<pid_t, Member> members_;
  std::map<pid_t, std::string> sessions_;
  std::map<std::uint32_t, std::string> audit_sessions_;
  std::set<pid_t> spared_;
  std::set<std::uint32_t> spared_sessions_;
  struct stat own_file_ {};
  bool own_ = false;
};

}  // namespace

std::uint32_t NotedCommands::own_session(pid_t pid) const {
  const std::uint32_t session = audit_session(pid, proc_);
  const bool shared = session == 0 || std::ranges::any_of(all_processes(proc_), [&](pid_t other) {
                        return other != pid && audit_session(other, proc_) == session;
                      });
  return shared ? 0 : session;
}

Result<void> NotedCommands::note(const std::string& grant, pid_t pid) {
  sweep();
  return notes_.note(grant, pid, own_session(pid));
}

void NotedCommands::keep_in_mind(const std::string& grant, pid_t pid) {
  sweep();
  if (const auto start = started_ms(pid, proc_); start) in_mind_.push_back({grant, pid, *start, own_session(pid)});
}

std::vector<NotedProcess> NotedCommands::all() const {
  std::vector<NotedProcess> noted = notes_.all();
  noted.insert(noted.end(), in_mind_.begin(), in_mind_.end());
  return noted;
}

// A grant may run many commands: of those that left nothing behind the notes go.
void NotedCommands::sweep() {
  if (all().size() < kSweepAt || !can_look()) return;
  std::set<std::uint32_t> running;
  for (const pid_t pid : all_processes(proc_)) running.insert(audit_session(pid, proc_));
  drop([&](const NotedProcess& one) {
    const auto start = started_ms(one.pid, proc_);
    return (!start || *start != one.start) && (one.audit_session == 0 || !running.contains(one.audit_session));
  });
}

void NotedCommands::forget(pid_t pid) {
  drop([&](const NotedProcess& one) { return one.pid == pid && one.audit_session == 0; });
}

void NotedCommands::drop(const Which& which) {
  notes_.drop(which);
  std::erase_if(in_mind_, which);
}

void NotedCommands::move(const std::string& from, pid_t pid, const std::string& to) {
  const auto its = [&](const NotedProcess& one) { return one.grant == from && one.pid == pid; };
  notes_.move(its, to);
  for (NotedProcess& one : in_mind_)
    if (its(one)) one.grant = to;
}

std::size_t NotedCommands::warn(const Which& which) const {
  auto others = all();
  const auto rest = std::partition(others.begin(), others.end(), [&](const auto& one) { return !which(one); });
  const std::vector<NotedProcess> roots(rest, others.end());
  if (roots.empty()) return 0;
  others.erase(rest, others.end());
  Family family(proc_, held_, roots, others);
  const std::size_t told = family.take_in(0);  // all are known before the first of them goes
  family.signal_all(SIGTERM);
  family.signal_all(SIGCONT);
  return told;
}

NotedCommands::Ended NotedCommands::kill(const Which& which) {
  auto others = all();
  const auto rest = std::partition(others.begin(), others.end(), [&](const auto& one) { return !which(one); });
  const std::vector<NotedProcess> roots(rest, others.end());
  if (roots.empty()) return {{}, can_look() ? 0U : 1U};
  others.erase(rest, others.end());
  Family family(proc_, held_, roots, others);
  for (int round = 0; round < kRounds; ++round) {
    std::size_t found = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
      const std::size_t more = family.take_in(SIGSTOP);
      found += more;
      if (more == 0) break;
    }
    if (found == 0) break;
    family.signal_all(SIGKILL);
  }
  Ended ended{family.by_grant(), family.left_after(kPatienceMs)};
  if (!can_look()) ++ended.left;
  if (ended.left == 0) drop(which);
  return ended;
}

}  // namespace jit
