// Recordings of commands under a grant: sudo writes each into a folder of its own, by a name that says nothing; here
// it comes to stand under the grant that the process belongs to, which is the one that ends it.
#pragma once

#include <sys/types.h>

#include <string>

#include "policy/document/effects.hpp"
#include "policy/result.hpp"

namespace jit {

class Recordings {
 public:
  explicit Recordings(std::string dir = kRecordingDir, std::string proc = "/proc")
      : dir_(std::move(dir)), proc_(std::move(proc)) {}

  // Moves what sudo (this process) is recording to DIR/GRANT/N, N the next number; sudo goes on writing there, since
  // it holds the folder open. Which folder that is, the kernel says. True: it is recorded, and stands under the
  // grant. False: sudo records nothing of it here. An error: it does, and cannot be filed.
  [[nodiscard]] Result<bool> claim(const std::string& grant, pid_t pid) const;

 private:
  std::string dir_, proc_;
};

}  // namespace jit
