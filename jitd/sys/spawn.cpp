#include "jitd/sys/spawn.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>

#include "jitd/sys/files.hpp"
#include "jitd/sys/spawn_parts.hpp"

namespace jit {
namespace {

using namespace spawning;

std::int64_t boot_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
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
