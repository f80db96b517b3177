#include "jitd/sys/own_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "jitd/sys/files.hpp"

namespace jit {
namespace {

Result<void> check_own(int fd, const std::string& shown_as) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, shown_as);
  if (status.st_uid != 0 && status.st_uid != ::geteuid())
    return fail(Errc::refused, shown_as + ": belongs to uid " + std::to_string(status.st_uid) +
                                   ", not to root; run: chown root:root " + shown_as);
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Errc::refused, shown_as + ": may be written by others than root; run: chmod go-w " + shown_as);
  return {};
}

}  // namespace

Result<UniqueFd> open_own_dir(const std::string& path) {
  auto dir = open_dir(path);
  if (!dir) return dir;
  if (auto own = check_own(dir->get(), path); !own) return tl::unexpected<Error>(own.error());
  return dir;
}

Result<std::string> read_own_file(int dir, const std::string& name, std::size_t limit, const std::string& shown_as) {
  const auto fd = open_regular(dir, name, O_RDONLY, shown_as);
  if (!fd) return tl::unexpected<Error>(fd.error());
  if (auto own = check_own(fd->get(), shown_as); !own) return tl::unexpected<Error>(own.error());
  return read_fd(fd->get(), limit, shown_as);
}

}  // namespace jit
