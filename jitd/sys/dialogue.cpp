#include "jitd/sys/dialogue.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include "jitd/sys/spawn_parts.hpp"

namespace jit {
namespace {

constexpr int kGrace = 1000;  // ms
constexpr std::size_t kChunk = std::size_t{64} * 1024;

// Waits for `events` of a descriptor; false when the time is over.
bool ready(int fd, short events, std::uint64_t until_ms) noexcept {
  for (;;) {
    const std::uint64_t now = boot_time_ms();
    if (now >= until_ms) return false;
    pollfd entry{fd, events, 0};
    // poll's clock stands still in suspend: look at ours once a second.
    if (::poll(&entry, 1, static_cast<int>(std::min<std::uint64_t>(until_ms - now, 1000))) > 0) return true;
  }
}

}  // namespace

std::uint64_t boot_time_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

Dialogue::Dialogue(UniqueFd socket, std::unique_ptr<spawning::Child> child, std::string program)
    : socket_(std::move(socket)), child_(std::move(child)), program_(std::move(program)) {}

Dialogue::~Dialogue() {
  end();
}

Result<std::unique_ptr<Dialogue>> Dialogue::start(std::vector<std::string> argv,
                                                  std::vector<std::string> environment) {
  if (argv.empty() || !argv[0].starts_with('/'))
    return fail(Errc::invalid, "a program is started by its absolute path only");
  const std::string program = argv[0];
  for (const auto* words : {&argv, &environment})
    for (const std::string& word : *words)
      if (word.find('\0') != std::string::npos) return fail(Errc::invalid, program + ": NUL in an argument");

  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return fail_errno(errno, "socketpair");
  UniqueFd ours(ends[0]);
  auto theirs = spawning::above_stdio(UniqueFd(ends[1]));
  if (!theirs) return tl::unexpected(theirs.error());

  spawning::Actions actions;
  actions.place(*theirs, 0);
  actions.place(*theirs, 1);
  actions.close_rest();
  const spawning::Attributes attributes(false);
  if (actions.error() != 0) return fail_errno(actions.error(), program);
  if (attributes.error() != 0) return fail_errno(attributes.error(), program);
  pid_t pid = 0;
  if (const int error = ::posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(),
                                      spawning::pointers(argv).data(), spawning::pointers(environment).data());
      error != 0)
    return fail_errno(error, program);
  auto child = std::make_unique<spawning::Child>(pid, false);
  if (child->pidfd() < 0) return fail_errno(errno, program + ": pidfd");
  return std::unique_ptr<Dialogue>(new Dialogue(std::move(ours), std::move(child), program));
}

Result<void> Dialogue::say(std::string_view bytes, std::uint64_t until_ms) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail(Errc::unavailable, program_ + " has ended");
    if (!ready(socket_.get(), POLLOUT, until_ms))
      return fail(Errc::unavailable, program_ + " takes nothing any more");
  }
  return {};
}

Result<std::string> Dialogue::hear(std::uint64_t until_ms) {
  std::string chunk(kChunk, '\0');
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got > 0) {
      chunk.resize(static_cast<std::size_t>(got));
      return chunk;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 || errno != EAGAIN) return fail(Errc::unavailable, program_ + " has ended");
    if (!ready(socket_.get(), POLLIN, until_ms)) return fail(Errc::unavailable, program_ + " says nothing any more");
  }
}

int Dialogue::end() noexcept {
  if (!child_) return status_;
  // What it still has to say is let go by: closing before that would be an error to it, and not the end.
  (void)::shutdown(socket_.get(), SHUT_WR);
  const std::uint64_t until = boot_time_ms() + kGrace;
  std::array<char, 4096> rest{};
  while (ready(socket_.get(), POLLIN, until))
    if (::recv(socket_.get(), rest.data(), rest.size(), MSG_DONTWAIT) <= 0) break;
  socket_.reset();
  for (const int signal : {SIGTERM, SIGKILL}) {
    pollfd entry{child_->pidfd(), POLLIN, 0};
    if (::poll(&entry, 1, kGrace) > 0) break;
    child_->kill(signal);
  }
  status_ = child_->reap();
  child_.reset();
  return status_;
}

}  // namespace jit
