#include "pam_jit/system.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "pam_jit/text.hpp"

namespace jit::pam {
namespace {

// A number in decimal.
class Number {
 public:
  explicit Number(std::uint64_t value) noexcept {
    do {
      digits_[--first_] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
  }
  [[nodiscard]] std::string_view text() const noexcept { return {digits_ + first_, sizeof digits_ - first_}; }

 private:
  char digits_[20] = {};
  std::size_t first_ = sizeof digits_;
};

}  // namespace

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

void TrustedFile::close() noexcept {
  fd_.take(-1);
  tried_ = false;
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

bool write_login_note(const char* dir, std::string_view grant, std::uint32_t pid, std::uint64_t started_ms) noexcept {
  constexpr std::size_t kGrantId = 16;
  if (grant.size() != kGrantId || started_ms == 0) return false;
  for (const char c : grant)
    if ((c < '0' || c > '9') && (c < 'a' || c > 'z')) return false;
  const Number process(pid);
  const Number started(started_ms);
  Text<64> name;
  name.add(grant).add(".").add(process.text());
  Text<64> temporary;
  temporary.add(".").add(name.c_str()).add(".pam");
  Text<32> line;
  line.add(started.text()).add_lines("\n");
  const std::string_view content(line.c_str());

  const Descriptor folder(::open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!folder) return false;
  // Of an earlier process of this pid that died on the way.
  (void)::unlinkat(folder.get(), temporary.c_str(), 0);
  const Descriptor file(::openat(folder.get(), temporary.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (!file) return false;
  const bool written = ::write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size());
  // Nothing of it has to last: /run is gone with the boot that the process is of.
  if (written && ::renameat(folder.get(), temporary.c_str(), folder.get(), name.c_str()) == 0) return true;
  (void)::unlinkat(folder.get(), temporary.c_str(), 0);
  return false;
}

void renew_audit_session(const char* marker, const char* loginuid, std::uint32_t uid) noexcept {
  constexpr std::string_view kUnset = "4294967295";
  if (::access(marker, F_OK) != 0) return;
  char text[16];
  const std::size_t size = read_small(loginuid, text);
  const Number own(uid);
  std::string_view login(text, size);
  if (login.ends_with('\n')) login.remove_suffix(1);
  if (login == kUnset) login = own.text();
  const Descriptor file(::open(loginuid, O_WRONLY | O_CLOEXEC));
  if (file && !login.empty()) (void)!::write(file.get(), login.data(), login.size());
}

}  // namespace jit::pam
