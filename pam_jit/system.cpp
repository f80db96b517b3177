#include "pam_jit/system.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace jit::pam {

Descriptor::~Descriptor() {
  take(-1);
}

void Descriptor::take(int fd) noexcept {
  // Never retried: on Linux a descriptor is closed even where close says EINTR.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

bool TrustedFile::open(const char* path, uid_t owner, bool follow) noexcept {
  if (tried_) return static_cast<bool>(fd_);
  tried_ = true;
  // O_NONBLOCK: a FIFO in its place must not hold up the login.
  const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW);
  const int fd = ::open(path, flags);
  if (fd < 0) return false;
  fd_.take(fd);
  struct stat status {};
  const bool trusted = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == owner &&
                       (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  if (!trusted) fd_.take(-1);
  return trusted;
}

ssize_t TrustedFile::read_some(std::uint64_t offset, std::span<char> into) const noexcept {
  if (!fd_ || offset > INT64_MAX) return -1;
  ssize_t got = 0;
  do {
    got = ::pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  return got;
}

bool TrustedFile::read(std::uint64_t offset, std::span<std::byte> into) const noexcept {
  while (!into.empty()) {
    const ssize_t got = read_some(offset, {reinterpret_cast<char*>(into.data()), into.size()});
    if (got <= 0) return false;
    offset += static_cast<std::uint64_t>(got);
    into = into.last(into.size() - static_cast<std::size_t>(got));
  }
  return true;
}

std::size_t read_small(const char* path, std::span<char> into) noexcept {
  const Descriptor fd(::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return 0;
  ssize_t got = 0;
  do {
    got = ::read(fd.get(), into.data(), into.size());
  } while (got < 0 && errno == EINTR);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

std::uint64_t parse_started_ms(std::string_view stat, long ticks_per_second) noexcept {
  const std::size_t paren = stat.rfind(')');
  if (paren == std::string_view::npos || ticks_per_second <= 0) return 0;
  stat.remove_prefix(paren + 1);
  // Behind it: " S PPID ...": field 3 first, so field 22 has 19 before it.
  for (int field = 3; field <= 22; ++field) {
    if (stat.empty() || stat[0] != ' ') return 0;
    stat.remove_prefix(1);
    if (field == 22) break;
    const std::size_t space = stat.find(' ');
    if (space == std::string_view::npos) return 0;
    stat.remove_prefix(space);
  }
  std::uint64_t ticks = 0;
  std::size_t digits = 0;
  for (; digits < stat.size() && stat[digits] >= '0' && stat[digits] <= '9'; ++digits) {
    if (digits >= 15) return 0;
    ticks = ticks * 10 + static_cast<std::uint64_t>(stat[digits] - '0');
  }
  if (digits == 0 || digits == stat.size()) return 0;  // nothing there, or the read ended within the number
  return ticks * 1000 / static_cast<std::uint64_t>(ticks_per_second);
}

std::uint64_t process_started_ms() noexcept {
  char text[1024];
  const std::size_t size = read_small("/proc/self/stat", text);
  return parse_started_ms({text, size}, ::sysconf(_SC_CLK_TCK));
}

wire::Clocks read_clocks() noexcept {
  timespec wall{};
  timespec boot{};
  wire::Clocks clocks;
  // Without a clock every grant is over.
  if (::clock_gettime(CLOCK_REALTIME, &wall) != 0 || ::clock_gettime(CLOCK_BOOTTIME, &boot) != 0) {
    clocks.wall_ms = INT64_MAX;
    clocks.boot_ms = UINT64_MAX;
    return clocks;
  }
  clocks.wall_ms = static_cast<std::int64_t>(wall.tv_sec) * 1000 + wall.tv_nsec / 1000000;
  clocks.boot_ms =
      static_cast<std::uint64_t>(boot.tv_sec) * 1000 + static_cast<std::uint64_t>(boot.tv_nsec) / 1000000;
  return clocks;
}

}  // namespace jit::pam
