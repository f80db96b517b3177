// What posix_spawn(3) is fed with and what it leaves, for the files of sys that start children: no descriptor stays
// open, no child unreaped.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "jitd/sys/fd.hpp"
#include "jitd/sys/pidfd.hpp"
#include "policy/result.hpp"

namespace jit::spawning {

// Descriptors 0 to 2 are where the child's own go: what we hand it must lie above, even if we were started without
// them.
inline Result<UniqueFd> above_stdio(UniqueFd fd) {
  if (!fd) return fail_errno(errno, "descriptor for a child");
  if (fd.get() > 2) return fd;
  UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!moved) return fail_errno(errno, "descriptor for a child");
  return moved;
}

class Actions {
 public:
  Actions() { error_ = ::posix_spawn_file_actions_init(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }
  void place(const UniqueFd& fd, int at) {
    if (error_ == 0) error_ = ::posix_spawn_file_actions_adddup2(&actions_, fd.get(), at);
  }
  void close_rest() {
    if (error_ == 0) error_ = ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
  }
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
  int error_ = 0;
};

class Attributes {
 public:
  // Signals as a new process expects them, whatever we block or ignore.
  explicit Attributes(bool own_session) {
    error_ = ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    unsigned flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (own_session) flags |= POSIX_SPAWN_SETSID;
    if (error_ == 0) error_ = ::posix_spawnattr_setsigmask(&attributes_, &none);
    if (error_ == 0) error_ = ::posix_spawnattr_setsigdefault(&attributes_, &all);
    if (error_ == 0) error_ = ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
  int error_ = 0;
};

inline std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// A child that is running. Killed and reaped when it goes out of scope, so none is left behind on any way out.
class Child {
 public:
  Child(pid_t pid, bool own_group) : pid_(pid), pidfd_(open_pidfd(pid)), own_group_(own_group) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (reaped_) return;
    kill();
    (void)reap();
  }

  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  // The pid is ours until reaped, so neither it nor its group can be somebody else's.
  void kill(int signal = SIGKILL) const noexcept { ::kill(own_group_ ? -pid_ : pid_, signal); }

  // Waits. Exit status, 128 + signal, or -1 when the system would not say.
  int reap() noexcept {
    siginfo_t info{};
    int result = 0;
    do result = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
    while (result != 0 && errno == EINTR);
    reaped_ = true;
    if (result != 0) return -1;
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  }

 private:
  pid_t pid_;
  UniqueFd pidfd_;
  bool own_group_;
  bool reaped_ = false;
};

}  // namespace jit::spawning
