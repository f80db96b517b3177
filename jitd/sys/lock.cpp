#include "jitd/sys/lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "jitd/sys/files.hpp"

namespace jit {
namespace {

Result<UniqueFd> open_lock(const std::string& path, mode_t mode) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto fd = open_regular(AT_FDCWD, path, O_RDWR, path);
    if (fd || fd.error().errnum != ENOENT) return fd;
    UniqueFd made(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0));
    if (made) {
      if (::fchmod(made.get(), mode) != 0) return fail_errno(errno, path);
      return made;
    }
    if (errno != EEXIST) return fail_errno(errno, path);
  }
  return fail(Errc::busy, path + " comes and goes");
}

struct flock whole_file() {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

std::int64_t boot_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

}  // namespace

Result<FileLock> FileLock::try_take(const std::string& path, mode_t mode) {
  return take(path, {}, mode);
}

Result<FileLock> FileLock::take(const std::string& path, std::chrono::milliseconds patience, mode_t mode) {
  auto fd = open_lock(path, mode);
  if (!fd) return tl::unexpected(fd.error());
  const std::int64_t until = boot_ms() + patience.count();
  for (;;) {
    struct flock range = whole_file();
    if (::fcntl(fd->get(), F_OFD_SETLK, &range) == 0) return FileLock(std::move(*fd));
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return fail_errno(errno, path + ": lock");
    if (boot_ms() >= until) return fail(Errc::busy, path + " is locked by another process");
    const timespec pause{0, 5'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

pid_t FileLock::holder(const std::string& path) {
  auto fd = open_regular(AT_FDCWD, path, O_RDWR, path);
  if (!fd) return 0;
  struct flock range = whole_file();
  if (::fcntl(fd->get(), F_GETLK, &range) != 0 || range.l_type == F_UNLCK) return 0;
  return range.l_pid > 0 ? range.l_pid : 0;  // -1: held by an open file description, nobody's in particular
}

}  // namespace jit
