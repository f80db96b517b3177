#include "jitd/sys/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace jit {

int Files::openat(int dir, const char* path, int flags, mode_t mode) noexcept {
  return ::openat(dir, path, flags, mode);
}
ssize_t Files::pwrite(int fd, const void* data, std::size_t size, off_t offset) noexcept {
  return ::pwrite(fd, data, size, offset);
}
int Files::fsync(int fd) noexcept {
  return ::fsync(fd);
}
int Files::fchmod(int fd, mode_t mode) noexcept {
  return ::fchmod(fd, mode);
}
int Files::fchown(int fd, uid_t uid, gid_t gid) noexcept {
  return ::fchown(fd, uid, gid);
}
int Files::renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
  return ::renameat(from_dir, from, to_dir, to);
}
int Files::unlinkat(int dir, const char* path, int flags) noexcept {
  return ::unlinkat(dir, path, flags);
}
int Files::ftruncate(int fd, off_t size) noexcept {
  return ::ftruncate(fd, size);
}
int Files::fallocate(int fd, off_t size) noexcept {
  const int error = ::posix_fallocate(fd, 0, size);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

Files& system_files() noexcept {
  static Files files;
  return files;
}

namespace {

// Copies what fgetxattr(2) shows of `from`. A file system without extended attributes has none to keep. Not kept:
// security.ima and security.evm, which sign the old content; and what of security.* only CAP_SYS_ADMIN may set
// (xattr(7)). The label of a security module that is in force is none of those: that module decides about it itself.
Result<void> copy_attributes(int from, int to, const std::string& shown_as) {
  std::string names(std::size_t{64} * 1024, '\0');
  const ssize_t listed = ::flistxattr(from, names.data(), names.size());
  if (listed < 0) {
    if (errno == ENOTSUP || errno == ENOSYS) return {};
    return fail_errno(errno, shown_as + ": extended attributes");
  }
  std::string value(std::size_t{64} * 1024, '\0');
  for (std::size_t at = 0; at < static_cast<std::size_t>(listed);) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (name == "security.ima" || name == "security.evm") continue;
    const ssize_t size = ::fgetxattr(from, name.c_str(), value.data(), value.size());
    if (size < 0) {
      if (errno == ENODATA) continue;
      return fail_errno(errno, shown_as + ": extended attribute " + name);
    }
    if (::fsetxattr(to, name.c_str(), value.data(), static_cast<std::size_t>(size), 0) == 0) continue;
    if (errno != EPERM || !name.starts_with("security."))
      return fail_errno(errno, shown_as + ": cannot keep extended attribute " + name);
  }
  return {};
}

Result<void> fill(Files& files, int fd, std::string_view content, const FileMode& mode, bool durable,
                  const std::string& shown_as) {
  if (files.fchown(fd, mode.uid, mode.gid) != 0) return fail_errno(errno, shown_as + ": chown");
  if (files.fchmod(fd, mode.mode) != 0) return fail_errno(errno, shown_as + ": chmod");
  if (mode.attributes_of >= 0) {
    if (auto copied = copy_attributes(mode.attributes_of, fd, shown_as); !copied) return copied;
  }
  if (auto written = write_at(files, fd, content, 0, shown_as); !written) return written;
  if (durable && files.fsync(fd) != 0) return fail_errno(errno, shown_as + ": fsync");
  return {};
}

}  // namespace

Result<UniqueFd> open_regular(int dir, const std::string& name, int flags, const std::string& shown_as) {
  // O_NONBLOCK: opening a FIFO must not wait for its other end; it means nothing for regular files.
  UniqueFd fd(::openat(dir, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    if (errno == ELOOP) return fail(Errc::invalid, shown_as + " is a symbolic link; a regular file is needed");
    return fail_errno(errno, shown_as);
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, shown_as);
  if (!S_ISREG(status.st_mode)) return fail(Errc::invalid, shown_as + " is not a regular file");
  return fd;
}

Result<std::string> read_fd(int fd, std::size_t limit, const std::string& shown_as) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, shown_as);
  std::string text;
  // One byte more than the file has, so that the usual read sees its end without growing.
  const auto size = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
  std::string buffer(std::clamp<std::size_t>(size + 1, 4096, 1U << 20), '\0');
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, shown_as);
    if (got == 0) return text;
    if (text.size() + static_cast<std::size_t>(got) > limit)
      return fail(Errc::invalid, shown_as + " is larger than " + std::to_string(limit) + " bytes");
    text.append(buffer, 0, static_cast<std::size_t>(got));
  }
}

Result<std::string> read_file_at(int dir, const std::string& name, std::size_t limit) {
  auto fd = open_regular(dir, name, O_RDONLY, name);
  if (!fd) return tl::unexpected(fd.error());
  return read_fd(fd->get(), limit, name);
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  return read_file_at(AT_FDCWD, path, limit);
}

Result<void> write_at(Files& files, int fd, std::string_view data, off_t offset, const std::string& shown_as) {
  while (!data.empty()) {
    const ssize_t put = files.pwrite(fd, data.data(), data.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(errno, shown_as + ": write");
    if (put == 0) return fail_errno(ENOSPC, shown_as + ": write");
    data.remove_prefix(static_cast<std::size_t>(put));
    offset += put;
  }
  return {};
}

Result<FileMode> mode_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, "fstat");
  return FileMode{status.st_mode & 07777U, status.st_uid, status.st_gid, fd};
}

std::string temporary_name(const std::string& name) {
  return "." + name + ".tmp";
}

Result<void> write_temporary(Files& files, int dir, const std::string& name, std::string_view content,
                             const FileMode& mode, bool durable) {
  const std::string temporary = temporary_name(name);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  // Created with no permissions at all: what it is to have is set on the descriptor.
  UniqueFd fd(files.openat(dir, temporary.c_str(), kFlags, 0));
  if (!fd && errno == EEXIST) {
    // Left by a crash, or planted: not ours to adopt either way.
    if (files.unlinkat(dir, temporary.c_str(), 0) != 0 && errno != ENOENT) return fail_errno(errno, temporary);
    fd.reset(files.openat(dir, temporary.c_str(), kFlags, 0));
  }
  if (!fd) return fail_errno(errno, temporary);
  auto filled = fill(files, fd.get(), content, mode, durable, temporary);
  if (!filled) (void)files.unlinkat(dir, temporary.c_str(), 0);
  return filled;
}

Result<void> replace_file(Files& files, int dir, const std::string& name, std::string_view content,
                          const FileMode& mode, bool durable) {
  const std::string temporary = temporary_name(name);
  if (auto written = write_temporary(files, dir, name, content, mode, durable); !written) return written;
  if (files.renameat(dir, temporary.c_str(), dir, name.c_str()) != 0) {
    const int error = errno;
    (void)files.unlinkat(dir, temporary.c_str(), 0);
    return fail_errno(error, name + ": rename");
  }
  if (durable && files.fsync(dir) != 0) return fail_errno(errno, name + ": fsync of its directory");
  return {};
}

Result<UniqueFd> open_dir(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(errno, path);
  return fd;
}

Result<std::vector<std::string>> list_dir(int dir, std::size_t limit) {
  // A description of its own: readdir moves the offset.
  UniqueFd fd(::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "directory");
  const auto close = [](DIR* handle) { ::closedir(handle); };
  const std::unique_ptr<DIR, decltype(close)> handle(::fdopendir(fd.get()), close);
  if (!handle) return fail_errno(errno, "directory");
  (void)fd.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(handle.get());  // NOLINT(concurrency-mt-unsafe): this handle is nobody else's
    if (entry == nullptr) break;
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name == "." || name == "..") continue;
    if (names.size() >= limit)
      return fail(Errc::invalid, "directory has more than " + std::to_string(limit) + " entries");
    names.emplace_back(name);
  }
  if (errno != 0) return fail_errno(errno, "directory");
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace jit
