#include "jitctl/foreground.hpp"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "jitd/sys/pidfd.hpp"

namespace jit::ctl {
namespace {

constexpr int kSignalled = 128;

volatile std::sig_atomic_t caught = 0;

extern "C" void on_signal(int number) noexcept {
  caught = number;
}

// How these signals are handled meanwhile; as before afterwards. SIGTERM and SIGHUP come through while `waiting`
// alone.
class Handling {
 public:
  Handling() noexcept {
    caught = 0;
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction note {};
    note.sa_handler = on_signal;
    sigemptyset(&ignore.sa_mask);
    sigemptyset(&note.sa_mask);
    sigset_t held;
    sigemptyset(&held);
    for (std::size_t i = kIgnored; i < kSignals.size(); ++i) sigaddset(&held, kSignals[i]);
    ::sigprocmask(SIG_BLOCK, &held, &waiting_);
    for (std::size_t i = 0; i < kSignals.size(); ++i)
      ::sigaction(kSignals[i], i < kIgnored ? &ignore : &note, &before_[i]);
  }
  ~Handling() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
    ::sigprocmask(SIG_SETMASK, &waiting_, nullptr);
  }
  Handling(const Handling&) = delete;
  Handling& operator=(const Handling&) = delete;

  // Those that were not ignored when we came are the command's to handle anew.
  [[nodiscard]] sigset_t defaults() const noexcept {
    sigset_t set;
    sigemptyset(&set);
    for (std::size_t i = 0; i < kSignals.size(); ++i)
      if (before_[i].sa_handler != SIG_IGN) sigaddset(&set, kSignals[i]);
    sigaddset(&set, SIGPIPE);  // which jitctl ignores for itself
    return set;
  }
  [[nodiscard]] const sigset_t& waiting() const noexcept { return waiting_; }

 private:
  static constexpr std::array<int, 4> kSignals = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
  static constexpr std::size_t kIgnored = 2;
  std::array<struct sigaction, kSignals.size()> before_{};
  sigset_t waiting_{};
};

}  // namespace

Result<int> run_in_foreground(const std::vector<std::string>& argv) {
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  const Handling handling;
  posix_spawnattr_t attributes;
  if (const int error = ::posix_spawnattr_init(&attributes); error != 0) return fail_errno(error, argv.front());
  const sigset_t defaults = handling.defaults();
  (void)::posix_spawnattr_setsigdefault(&attributes, &defaults);
  (void)::posix_spawnattr_setsigmask(&attributes, &handling.waiting());
  (void)::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, words.front(), nullptr, &attributes, words.data(), environ);
  (void)::posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(error, argv.front());

  const UniqueFd process = open_pidfd(child);
  if (!process) return fail_errno(errno, argv.front());
  for (;;) {
    pollfd ended{process.get(), POLLIN, 0};
    if (::ppoll(&ended, 1, nullptr, &handling.waiting()) == 1) break;
    const int number = caught;
    caught = 0;
    if (number != 0 && ::kill(child, number) != 0) return kSignalled + number;
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return fail_errno(errno, argv.front());
  return WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace jit::ctl
