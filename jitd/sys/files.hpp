// Files by descriptor: bounded reads, replacement by rename, preallocated records. Every open is O_CLOEXEC | O_NOFOLLOW,
// and only regular files are read (a FIFO or a link where a file is expected is an error, never a hang: CVE-2024-22365).
//
// `Files` is the seam through which tests make any call fail, or kill us at it; the free functions are built on it.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/sys/fd.hpp"
#include "policy/result.hpp"

namespace jit {

// The system calls of our write paths, one virtual each, -1 and errno on failure exactly like the call.
class Files {
 public:
  virtual ~Files() = default;
  virtual int openat(int dir, const char* path, int flags, mode_t mode) noexcept;
  virtual ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) noexcept;
  virtual int fsync(int fd) noexcept;
  virtual int fchmod(int fd, mode_t mode) noexcept;
  virtual int fchown(int fd, uid_t uid, gid_t gid) noexcept;
  virtual int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept;
  virtual int unlinkat(int dir, const char* path, int flags) noexcept;
  virtual int ftruncate(int fd, off_t size) noexcept;
  virtual int fallocate(int fd, off_t size) noexcept;  // posix_fallocate from 0, errno style
};
[[nodiscard]] Files& system_files() noexcept;

// The whole of a regular file, at most `limit` bytes (one more is an error that says so).
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit);
[[nodiscard]] Result<std::string> read_file_at(int dir, const std::string& name, std::size_t limit);
[[nodiscard]] Result<std::string> read_fd(int fd, std::size_t limit, const std::string& shown_as);

// How a file is to be: owner and mode set on the descriptor before the first byte of content is written.
struct FileMode {
  mode_t mode = 0600;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Replaces DIR/NAME: O_EXCL temporary ".NAME.tmp" in the same directory, owner and mode, content, fsync, rename, fsync of the
// directory. On failure the temporary is gone and the old file as it was.
[[nodiscard]] Result<void> replace_file(Files& files, int dir, const std::string& name, std::string_view content,
                                        const FileMode& mode, bool durable = true);

[[nodiscard]] Result<UniqueFd> open_dir(const std::string& path);

// Names in a directory without "." and "..", sorted; at most `limit`, more is an error.
[[nodiscard]] Result<std::vector<std::string>> list_dir(int dir, std::size_t limit = 100000);

}  // namespace jit
