// Files by descriptor: bounded reads, replacement by rename, preallocated records. Every open is O_CLOEXEC |
// O_NOFOLLOW, and only regular files are read (a FIFO or a link where a file is expected is an error, never a hang:
// CVE-2024-22365).
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

// Opens a regular file below `dir` with O_CLOEXEC | O_NOFOLLOW; anything else (FIFO, link, device) is an error, never
// a hang.
[[nodiscard]] Result<UniqueFd> open_regular(int dir, const std::string& name, int flags, const std::string& shown_as);

// All of `data` at `offset`, whatever the number of writes it takes.
[[nodiscard]] Result<void> write_at(Files& files, int fd, std::string_view data, off_t offset,
                                    const std::string& shown_as);

// How a file is to be: owner, mode and extended attributes are set on the descriptor before the first byte of content
// is written, so umask has no say.
struct FileMode {
  mode_t mode = 0600;
  uid_t uid = 0;
  gid_t gid = 0;
  int attributes_of =
      -1;  // a descriptor whose extended attributes (SELinux label, ACL) we may set are copied; -1: none
};

// Owner, mode and attributes of an open file; the descriptor must outlive the use of the result.
[[nodiscard]] Result<FileMode> mode_of(int fd);

// The first half of replace_file: makes and fills the temporary of DIR/NAME and returns its name, for whoever has to
// look at it before renaming it. On failure there is none.
[[nodiscard]] std::string temporary_name(const std::string& name);  // ".NAME.tmp"
[[nodiscard]] Result<void> write_temporary(Files& files, int dir, const std::string& name, std::string_view content,
                                           const FileMode& mode, bool durable = true);

// Replaces DIR/NAME: O_EXCL temporary ".NAME.tmp" in the same directory (whatever lay there under that name is
// unlinked, never adopted), owner and mode, content, fsync, rename, fsync of the directory. On failure the temporary
// is gone and the old file as it was; only when the last fsync fails is the new file in place, not yet durable.
[[nodiscard]] Result<void> replace_file(Files& files, int dir, const std::string& name, std::string_view content,
                                        const FileMode& mode, bool durable = true);

[[nodiscard]] Result<UniqueFd> open_dir(const std::string& path);

// Names in a directory without "." and "..", sorted; at most `limit`, more is an error.
[[nodiscard]] Result<std::vector<std::string>> list_dir(int dir, std::size_t limit = 100000);

}  // namespace jit
