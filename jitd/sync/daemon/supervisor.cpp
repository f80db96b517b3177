#include "jitd/sync/daemon/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <set>

#include "jitd/sync/status.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/inotify_events.hpp"
#include "jitd/sys/pidfd.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kLivedLong = 300'000;  // ms; a child that ran so long failed by another cause than before
constexpr milliseconds kLookAgain{30'000};     // for a folder that cannot be watched yet
constexpr int kStopMs = 5000;                  // until children that do not end are killed
constexpr const char* kSuffixes[] = {".seen", ".status"};

std::uint64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

UniqueFd signal_descriptor() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// With our standard error, no input and no other descriptor; signals as they are by default.
Result<pid_t> spawn(std::vector<std::string> argv, std::vector<std::string> environment) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const std::string program = argv.front();
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, pointers(argv).data(),
                                  pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(error, program);
  return pid;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return "was ended by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Supervisor::Supervisor(Config config) : config_(std::move(config)), signals_(signal_descriptor()) {
  notify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
}

// Whatever came, went or is another by now: what is watched already stays so.
void Supervisor::watch() {
  constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |
                                     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  for (const std::string* folder : {&config_.places.etc_jit, &config_.places.outbox}) {
    const int number = ::inotify_add_watch(notify_.get(), folder->c_str(), kChanges);
    if (number >= 0) watched_[number] = *folder;
  }
}

void Supervisor::read_watches() {
  const auto event = [this](int watch, std::uint32_t mask, std::string_view name) {
    // The outbox is busy with other files.
    if (name.empty() || name == "jitd.toml" || name == kOutboxHost) stale_ = true;
    if ((mask & IN_IGNORED) != 0) watched_.erase(watch);
  };
  while (read_inotify(notify_.get(), event)) {
  }
}

void Supervisor::reload_sources() {
  auto sources = read_source_config(config_.places);
  if (sources) {
    sources_ = std::move(*sources);
    if (!sources_error_.empty()) config_.log(6, "jitd.toml is good again");
    sources_error_.clear();
  } else if (sources.error().message != sources_error_) {
    sources_error_ = sources.error().message;
    config_.log(3, "the sources stay as they were: " + sources_error_);
  }
}

void Supervisor::reload_host() {
  auto host = read_outbox_host(config_.places);
  if (host) {
    if (host_ && *host_ != *host) config_.log(6, "this host is " + host->host + " now, or is in other segments");
    host_ = std::move(*host);
    host_error_.clear();
    return;
  }
  // Who this host is does not change because jitd is being started anew or its outbox is written.
  if (host.error().message != host_error_) {
    host_error_ = host.error().message;
    config_.log(host_ ? 4 : 5,
                (host_ ? "this host stays " + host_->host + ": " : "waiting for jitd: ") + host_error_);
  }
}

void Supervisor::reload() {
  stale_ = false;
  const auto before = host_;
  reload_sources();
  reload_host();
  if (before != host_)
    for (auto& [name, child] : children_) child.wanted = false;
  for (auto& [name, child] : children_) {
    const auto same = std::ranges::find(sources_, name, &SourceSpec::name);
    if (same == sources_.end() || *same != child.spec) child.wanted = false;
  }
  forget_others();
}

// The files of sources that are no more.
void Supervisor::forget_others() const {
  if (!sources_error_.empty()) return;
  const auto state = open_dir(config_.places.state);
  const auto names = state ? list_dir(state->get()) : Result<std::vector<std::string>>(tl::unexpected(state.error()));
  if (!names) return;
  for (const std::string& name : *names) {
    for (const std::string_view suffix : kSuffixes) {
      if (!name.ends_with(suffix)) continue;
      const std::string_view source = std::string_view(name).substr(0, name.size() - suffix.size());
      if (std::ranges::find(sources_, source, &SourceSpec::name) == sources_.end())
        (void)::unlinkat(state->get(), name.c_str(), 0);
    }
  }
}

void Supervisor::apply() {
  const std::uint64_t now = now_ms();
  for (auto& [name, child] : children_)
    if (!child.wanted && child.pid != 0) (void)signal_pidfd(child.pidfd, SIGTERM);
  std::erase_if(children_, [](const auto& one) { return !one.second.wanted && one.second.pid == 0; });
  if (!host_) return;
  for (const SourceSpec& spec : sources_) {
    const auto [at, fresh] = children_.try_emplace(spec.name);
    Child& child = at->second;
    if (fresh) {
      child.spec = spec;
      child.backoff = Backoff(config_.least_wait, config_.most_wait);
    }
    if (child.wanted && child.pid == 0 && child.start_at <= now) start(child);
  }
}

void Supervisor::start(Child& child) {
  std::vector<std::string> argv = config_.command;
  argv.push_back(child.spec.name);
  std::vector<std::string> environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC",
                                          "HOME=" + config_.places.state};
  if (const char* journal = std::getenv("JOURNAL_STREAM"))  // NOLINT(concurrency-mt-unsafe): one thread
    environment.push_back("JOURNAL_STREAM=" + std::string(journal));
  const auto pid = spawn(std::move(argv), std::move(environment));
  child.started_at = now_ms();
  if (!pid) {
    child.start_at = child.started_at + static_cast<std::uint64_t>(child.backoff.next().count());
    config_.log(3, "source " + child.spec.name + ": " + pid.error().message);
    return;
  }
  child.pid = *pid;
  child.pidfd = open_pidfd(*pid);
}

void Supervisor::ended(Child& child) {
  int status = 0;
  if (::waitpid(child.pid, &status, WNOHANG) != child.pid) return;
  child.pid = 0;
  child.pidfd.reset();
  if (!child.wanted) return;
  const std::uint64_t now = now_ms();
  if (now - child.started_at >= kLivedLong) child.backoff.reset();
  child.start_at = now + static_cast<std::uint64_t>(child.backoff.next().count());
  config_.log(4, "source " + child.spec.name + ": its process " + how_it_ended(status) + " and is started again");
}

bool Supervisor::turn(milliseconds at_most) {
  watch();
  read_watches();
  if (stale_ || watched_.size() < 2) reload();
  apply();

  std::vector<pollfd> waiting = {{signals_.get(), POLLIN, 0}, {notify_.get(), POLLIN, 0}};
  std::vector<Child*> behind;
  if (watched_.size() < 2) at_most = std::min(at_most, kLookAgain);
  const std::uint64_t now = now_ms();
  for (auto& [name, child] : children_) {
    if (child.pid != 0) {
      waiting.push_back({child.pidfd.get(), POLLIN, 0});
      behind.push_back(&child);
    } else if (child.wanted) {
      at_most = std::min(at_most, milliseconds(child.start_at > now ? child.start_at - now : 0));
    }
  }
  if (::poll(waiting.data(), waiting.size(), static_cast<int>(at_most.count())) <= 0) return true;
  for (std::size_t i = 0; i < behind.size(); ++i)
    if (waiting[i + 2].revents != 0) ended(*behind[i]);
  signalfd_siginfo info{};
  bool go_on = true;
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGHUP)
      stale_ = true;
    else
      go_on = false;
  }
  return go_on;
}

void Supervisor::stop_all() noexcept {
  const std::uint64_t until = now_ms() + kStopMs;
  for (auto& [name, child] : children_)
    if (child.pid != 0) (void)signal_pidfd(child.pidfd, SIGTERM);
  for (auto& [name, child] : children_) {
    if (child.pid == 0) continue;
    const std::uint64_t now = now_ms();
    if (!has_ended(child.pidfd, static_cast<int>(until > now ? until - now : 0))) {
      (void)signal_pidfd(child.pidfd, SIGKILL);
      (void)has_ended(child.pidfd, 1000);  // one that hangs in a file system is the kernel's
    }
    (void)::waitpid(child.pid, nullptr, WNOHANG);
    child.pid = 0;
  }
  children_.clear();
}

std::map<std::string, pid_t> Supervisor::children() const {
  std::map<std::string, pid_t> running;
  for (const auto& [name, child] : children_)
    if (child.pid != 0 && child.wanted) running[name] = child.pid;
  return running;
}

std::string Supervisor::summary() const {
  if (!host_) return "waiting for jitd: " + host_error_;
  std::vector<std::string> bad;
  const auto state = open_dir(config_.places.state);
  for (const SourceSpec& source : sources_) {
    const auto text = state ? read_file_at(state->get(), source.name + ".status", kMaxStatus)
                            : Result<std::string>(tl::unexpected(state.error()));
    const auto status = text ? parse_status(*text) : Result<SourceStatus>(tl::unexpected(text.error()));
    if (!status || !status->good) bad.push_back(source.name);
  }
  std::string text = std::to_string(sources_.size() - bad.size()) + " of " + std::to_string(sources_.size()) +
                     (sources_.size() == 1 ? " source is" : " sources are") + " read";
  if (!bad.empty()) text += ", not " + joined(bad, " and ");
  if (!sources_error_.empty()) text += "; jitd.toml is wrong: " + sources_error_;
  return text;
}

int run_supervisor(const SyncPlaces& places) {
  (void)::signal(SIGPIPE, SIG_IGN);
  Supervisor::Config config;
  config.places = places;
  Supervisor supervisor(std::move(config));
  std::uint64_t watchdog_usec = 0;
  if (sd_watchdog_enabled(0, &watchdog_usec) <= 0) watchdog_usec = 0;
  const milliseconds beat(watchdog_usec > 0 ? static_cast<std::int64_t>(watchdog_usec / 2000) : 30'000);
  std::string told;
  // The first turn reads and starts everything, and waits for nothing.
  bool go_on = supervisor.turn(milliseconds(0));
  (void)sd_notify(0, "READY=1");
  while (go_on) {
    const std::string now = supervisor.summary();
    if (now != told) (void)sd_notify(0, ("STATUS=" + shown(now, 500)).c_str());
    told = now;
    (void)sd_notify(0, "WATCHDOG=1");
    go_on = supervisor.turn(beat);
  }
  (void)sd_notify(0, "STOPPING=1");
  supervisor.stop_all();
  return 0;
}

}  // namespace jit
