#include "jitd/sys/spawn.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>

#include "jitd/sys/files.hpp"
#include "jitd/sys/pidfd.hpp"

namespace jit {
namespace {

std::int64_t boot_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Descriptors 0 to 2 are where the child's own go: what we hand it must lie above, even if we were started without
// them.
Result<UniqueFd> above_stdio(UniqueFd fd) {
  if (!fd) return fail_errno(errno, "descriptor for a child");
  if (fd.get() > 2) return fd;
  UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!moved) return fail_errno(errno, "descriptor for a child");
  return moved;
}

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  auto read = above_stdio(std::move(read_end));
  if (!read) return tl::unexpected(read.error());
  auto write = above_stdio(std::move(write_end));
  if (!write) return tl::unexpected(write.error());
  // Only our end: the child's writes wait for us, as programs expect.
  if (::fcntl(read->get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "pipe");
  return Pipe{std::move(*read), std::move(*write)};
}

// The input as a file in memory: nothing to feed, no SIGPIPE, no deadlock with a child that never reads.
Result<UniqueFd> input_file(const std::string& input) {
  if (input.empty()) return above_stdio(UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
  auto fd = above_stdio(UniqueFd(::memfd_create("input", MFD_CLOEXEC)));
  if (!fd) return fd;
  if (auto written = write_at(system_files(), fd->get(), input, 0, "input of a child"); !written)
    return tl::unexpected(written.error());
  return fd;
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

std::vector<char*> pointers(std::vector<std::string>& words) {
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
  void kill() const noexcept { ::kill(own_group_ ? -pid_ : pid_, SIGKILL); }

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

// Takes what is in the pipe now; what is over `limit` is read and dropped, so that the child never waits for us.
// Closes it at its end.
void drain(UniqueFd& pipe, std::string& into, std::size_t limit) {
  std::array<char, 16384> buffer{};
  // Bounded, so that a child that never stops writing cannot hold us past the deadline.
  for (int round = 0; round < 64 && pipe; ++round) {
    const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      pipe.reset();
      return;
    }
    into.append(buffer.data(), std::min(static_cast<std::size_t>(got), limit - into.size()));
  }
}

}  // namespace

Result<SpawnOutcome> SystemSpawn::run(const SpawnRequest& request) {
  if (request.argv.empty() || request.argv[0].empty() || request.argv[0][0] != '/')
    return fail(Errc::invalid, "a program is started by its absolute path only");
  const std::string& program = request.argv[0];
  for (const auto* words : {&request.argv, &request.environment})
    for (const std::string& word : *words)
      if (word.find('\0') != std::string::npos) return fail(Errc::invalid, program + ": NUL in an argument");

  auto out = make_pipe();
  if (!out) return tl::unexpected(out.error());
  auto err = make_pipe();
  if (!err) return tl::unexpected(err.error());

  Actions actions;
  UniqueFd input;
  if (!request.keep_terminal || !request.input.empty()) {
    auto file = input_file(request.input);
    if (!file) return tl::unexpected(file.error());
    input = std::move(*file);
    actions.place(input, 0);
  }
  actions.place(out->write, 1);
  if (!request.keep_terminal) actions.place(err->write, 2);
  actions.close_rest();
  const Attributes attributes(!request.keep_terminal);
  if (actions.error() != 0) return fail_errno(actions.error(), program);
  if (attributes.error() != 0) return fail_errno(attributes.error(), program);

  auto argv = request.argv;
  auto environment = request.environment;
  const std::int64_t until = boot_ms() + request.deadline.count();
  pid_t pid = 0;
  if (const int error = ::posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(), pointers(argv).data(),
                                      pointers(environment).data());
      error != 0)
    return fail_errno(error, program);
  Child child(pid, !request.keep_terminal);
  if (child.pidfd() < 0) return fail_errno(errno, program + ": pidfd");
  out->write.reset();
  err->write.reset();

  SpawnOutcome outcome;
  for (;;) {
    const std::int64_t left = until - boot_ms();
    if (left <= 0)
      return fail(Errc::unavailable,
                  program + " did not end within " + std::to_string(request.deadline.count()) + " ms");
    std::array<pollfd, 3> waiting{
        {{child.pidfd(), POLLIN, 0}, {out->read.get(), POLLIN, 0}, {err->read.get(), POLLIN, 0}}};
    // poll's clock stands still in suspend: look at ours once a second.
    const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(std::min<std::int64_t>(left, 1000)));
    if (ready < 0 && errno != EINTR) return fail_errno(errno, program + ": poll");
    if (ready <= 0) continue;
    drain(out->read, outcome.out, request.max_output);
    drain(err->read, outcome.err, request.max_output);
    // Ended: what it wrote was in the pipes before. A grandchild that still holds them is not waited for.
    if (waiting[0].revents != 0) break;
  }
  outcome.exit_status = child.reap();
  if (outcome.exit_status < 0) return fail(Errc::system, program + ": its exit status is unknown");
  return outcome;
}

}  // namespace jit
