#include "jitd/effects/own_units.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include "jitd/sys/fd.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/pidfd.hpp"
#include "jitd/sys/proc_files.hpp"
#include "jitd/sys/system_bus.hpp"
#include "policy/digest.hpp"

namespace jit {
namespace {

constexpr std::chrono::milliseconds kTimerStarts{2000};
constexpr int kDeepest = 16;  // cgroups that a root process made below its own
constexpr std::string_view kRuns = "runs\n";

// The byte that a timer of this name locks. POSIX locks, not OFD's: the kernel tells who holds them (F_GETLK).
struct flock place_of(const std::string& name) {
  const Digest digest = sha256(name);
  std::uint64_t number = 0;
  std::memcpy(&number, digest.bytes.data(), sizeof number);
  struct flock place {};
  place.l_type = F_WRLCK;
  place.l_whence = SEEK_SET;
  place.l_start = static_cast<off_t>(number >> 2U);
  place.l_len = 1;
  return place;
}

Result<UniqueFd> open_timers(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno(errno, path);
  return fd;
}

// 0: nobody.
pid_t holder(const UniqueFd& timers, const std::string& name) {
  struct flock place = place_of(name);
  return ::fcntl(timers.get(), F_GETLK, &place) == 0 && place.l_type != F_UNLCK ? place.l_pid : 0;
}

// What is empty of a folder goes; the kernel refuses the rest.
void remove_empty(const std::string& folder, int depth = 0) {
  const auto dir = depth < kDeepest ? open_dir(folder) : fail(Errc::refused, "");
  const auto names = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    struct stat seen {};
    if (::fstatat(dir->get(), name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(seen.st_mode))
      remove_empty(folder + "/" + name, depth + 1);
  }
  (void)::rmdir(folder.c_str());
}

// systemd.slice(5): a-b.slice is in a.slice.
std::string folder_of(const CgroupTree& tree, const std::string& slice) {
  return tree.folder + "/" + slice.substr(0, slice.find('-')) + ".slice/" + slice;
}

Result<void> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, path);
  return {};
}

UniqueFd timer(clockid_t clock, std::uint64_t at_ms, int flags) {
  UniqueFd fd(::timerfd_create(clock, TFD_CLOEXEC));
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(at_ms / 1000);
  when.it_value.tv_nsec = static_cast<long>(at_ms % 1000) * 1'000'000 + 1;  // 0 in both would be "never"
  if (!fd || ::timerfd_settime(fd.get(), TFD_TIMER_ABSTIME | flags, &when, nullptr) != 0) return {};
  return fd;
}

}  // namespace

Result<void> OwnUnits::start_timer(const std::string& name, std::int64_t wall_ms, std::uint64_t from_now_ms) {
  SpawnRequest request;
  request.argv = {"/proc/self/exe", "--expire-at", name, std::to_string(std::max<std::int64_t>(wall_ms, 0)),
                  std::to_string(clock_.now().boot_ms + from_now_ms)};
  request.deadline = kTimerStarts;
  const auto started = spawn_.run(request);
  if (!started) return within("timer " + name, started.error());
  if (started->exit_status != 0)
    return fail(Errc::unavailable, "timer " + name + " does not start: " + started->err.substr(0, 300));
  return {};
}

Result<void> OwnUnits::stop_timer(const std::string& name) {
  const auto timers = open_timers(timers_);
  if (!timers) return tl::unexpected(timers.error());
  const pid_t pid = holder(*timers, name);
  if (pid <= 0) return {};
  const UniqueFd process = open_pidfd(pid);
  // Asked again now that the descriptor is open: it is of the timer, not of a later process of that pid.
  if (process && holder(*timers, name) == pid) (void)signal_pidfd(process, SIGKILL);
  return {};
}

bool OwnUnits::timer_died(const std::string& name) {
  const auto timers = open_timers(timers_);
  return !timers || holder(*timers, name) == 0;
}

Result<void> OwnUnits::start_scope(const std::string& scope, const std::string& slice,
                                   const std::vector<pid_t>& pids) {
  if (tree_.folder.empty()) return fail(Errc::unavailable, "no cgroup can be made on this host");
  const std::string folder = folder_of(tree_, slice);
  // What ended goes now: nobody collects it, as systemd does, and a grant may run many commands.
  remove_empty(folder);
  for (const std::string& path : {folder.substr(0, folder.rfind('/')), folder})
    if (auto made = make_folder(path); !made) return within("a cgroup for what runs", made.error());
  if (::mkdir((folder + "/" + scope).c_str(), 0755) != 0) {
    // It is not empty, then: something of an earlier process of this pid runs on there. systemd refuses it likewise.
    if (errno == EEXIST) return fail(Errc::busy, scope + " is still in use: run it again");
    return within("a cgroup for what runs", fail_errno(errno, folder + "/" + scope).value());
  }
  for (const pid_t pid : pids)
    if (!write_word(folder + "/" + scope + "/cgroup.procs", std::to_string(pid)) && errno != ESRCH)
      return fail_errno(errno, folder + "/" + scope + "/cgroup.procs");
  return {};
}

void OwnUnits::stop_slices(const std::vector<std::string>& slices) {
  for (const std::string& slice : slices) remove_empty(folder_of(tree_, slice));
  // Of commands that were let run on nobody tells us the end.
  if (!tree_.folder.empty()) remove_empty(tree_.folder + "/jitleft.slice");
}

std::unique_ptr<Bus> make_bus(Spawn& spawn, Clock& clock, const std::string& timers) {
  if (systemd_runs()) return std::make_unique<SystemBus>();
  return std::make_unique<OwnUnits>(spawn, clock, find_cgroup_tree(), timers);
}

Result<bool> wait_as_timer(const std::string& timers, const std::string& name, std::int64_t wall_ms,
                           std::uint64_t boot_ms) {
  auto file = open_timers(timers);
  if (!file) return tl::unexpected(file.error());
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd told(ends[0]), tells(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child > 0) {
    tells.reset();
    std::array<char, kRuns.size()> word{};
    if (::read(told.get(), word.data(), word.size()) != static_cast<ssize_t>(kRuns.size()))
      return fail(Errc::unavailable, "the timer did not start");
    return false;
  }
  (void)::setsid();
  told.reset();
  struct flock place = place_of(name);
  const bool alone = ::fcntl(file->get(), F_SETLK, &place) == 0;
  if (!alone && errno != EAGAIN && errno != EACCES) return fail_errno(errno, timers);
  const UniqueFd by_wall =
      timer(CLOCK_REALTIME, static_cast<std::uint64_t>(std::max<std::int64_t>(wall_ms, 0)), TFD_TIMER_CANCEL_ON_SET);
  const UniqueFd by_boot = timer(CLOCK_BOOTTIME, boot_ms, 0);
  if (!by_wall || !by_boot) return fail_errno(errno, "timerfd");
  // Whoever waits for the end of our output is not to wait for the timer.
  if (const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC)); null)
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(null.get(), fd);
  (void)!::write(tells.get(), kRuns.data(), kRuns.size());
  tells.reset();
  if (!alone) return false;
  // A clock that is set shows as an error of read(2), and to poll(2) as readable.
  std::array<pollfd, 2> both{{{by_wall.get(), POLLIN, 0}, {by_boot.get(), POLLIN, 0}}};
  while (::poll(both.data(), both.size(), -1) < 0 && errno == EINTR) {
  }
  return true;
}

void leave_grants_cgroup(const Processes& processes) {
  if (processes.way() != Processes::Way::cgroups || !processes.under_a_grant(::getpid())) return;
  const std::string folder = processes.tree().folder + "/jitd";
  if (make_folder(folder)) (void)write_word(folder + "/cgroup.procs", "0");
}

}  // namespace jit
