// Open-file-description locks (fcntl(2)): the effects lock, and /etc/.pwd.lock as lckpwdf takes it.
#pragma once

#include <chrono>
#include <string>

#include "jitd/sys/fd.hpp"
#include "policy/result.hpp"

namespace jit {

// Holds a whole-file write lock as long as it lives.
class FileLock {
 public:
  // One attempt without waiting. Errc::busy when somebody else holds it.
  [[nodiscard]] static Result<FileLock> try_take(const std::string& path, mode_t mode = 0600);
  // Polls every 5 ms up to `patience` of boot time.
  [[nodiscard]] static Result<FileLock> take(const std::string& path, std::chrono::milliseconds patience,
                                             mode_t mode = 0600);
  // The process that holds a classic (not OFD) lock on it, for /etc/.pwd.lock; 0: none or not told.
  [[nodiscard]] static pid_t holder(const std::string& path);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

inline constexpr const char* kEffectsLock = "/run/jit/effects.lock";

}  // namespace jit
