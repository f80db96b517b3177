// What the tests of the parts that touch the host share: a folder that goes away, programs to run, calls that fail.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "jitd/sys/clock.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/spawn.hpp"

namespace jit::hosttest {

class TempDir {
 public:
  explicit TempDir(const std::string& under = "/tmp") {
    std::string name = under + "/jit-test-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void put(const std::string& path, std::string_view text, mode_t mode = 0644) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  ::chmod(path.c_str(), mode);
}

inline std::string get(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

inline bool there(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

inline struct stat look(const std::string& path) {
  struct stat status {};
  (void)::lstat(path.c_str(), &status);
  return status;
}

inline Result<SpawnOutcome> run(std::vector<std::string> argv, std::string input = {}) {
  SpawnRequest request;
  request.argv = std::move(argv);
  request.input = std::move(input);
  request.deadline = std::chrono::seconds(30);
  return SystemSpawn().run(request);
}

// The system calls of our write paths, counted; the one whose turn it is fails, or all from then on.
class FailingFiles : public Files {
 public:
  int fail_at = -1;        // which call, from 0; -1: none
  bool from_then = false;  // and all after it
  int error = ENOSPC;
  int calls = 0;
  std::vector<std::string> log;

  int openat(int dir, const char* path, int flags, mode_t mode) noexcept override {
    return turn("openat") ? -1 : Files::openat(dir, path, flags, mode);
  }
  ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) noexcept override {
    return turn("pwrite") ? -1 : Files::pwrite(fd, data, size, offset);
  }
  int fsync(int fd) noexcept override { return turn("fsync") ? -1 : Files::fsync(fd); }
  int fchmod(int fd, mode_t mode) noexcept override { return turn("fchmod") ? -1 : Files::fchmod(fd, mode); }
  int fchown(int fd, uid_t uid, gid_t gid) noexcept override {
    return turn("fchown") ? -1 : Files::fchown(fd, uid, gid);
  }
  int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept override {
    return turn("renameat") ? -1 : Files::renameat(from_dir, from, to_dir, to);
  }
  int unlinkat(int dir, const char* path, int flags) noexcept override {
    return turn("unlinkat") ? -1 : Files::unlinkat(dir, path, flags);
  }
  int fallocate(int fd, off_t size) noexcept override { return turn("fallocate") ? -1 : Files::fallocate(fd, size); }

 private:
  bool turn(const char* name) noexcept {
    log.emplace_back(name);
    const int now = calls++;
    if (fail_at < 0 || (from_then ? now < fail_at : now != fail_at)) return false;
    errno = error;
    return true;
  }
};

class FakeClock final : public Clock {
 public:
  Instant at{1'800'000'000'000, 5'000'000};
  std::string boot = "01234567-89ab-cdef-0123-456789abcdef";
  [[nodiscard]] Instant now() const noexcept override { return at; }
  [[nodiscard]] const std::string& boot_id() const noexcept override { return boot; }
  void pass(std::int64_t ms) {
    at.wall_ms += ms;
    at.boot_ms += static_cast<std::uint64_t>(ms);
  }
};

}  // namespace jit::hosttest
