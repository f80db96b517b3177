// Child processes: absolute path, posix_spawn, clean environment, bounded output, a deadline. No shell, ever.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "policy/result.hpp"

namespace jit {

struct SpawnRequest {
  std::vector<std::string> argv;             // argv[0] is the absolute path
  std::string input;                         // its standard input, as a file; empty: /dev/null
  std::chrono::milliseconds deadline{5000};  // boot time; then SIGKILL and Errc::unavailable
  std::size_t max_output = 256 * 1024;       // each of stdout and stderr; more is cut
  std::vector<std::string> environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"};
  // stderr and, unless there is `input`, stdin are ours, and so is the terminal: for `ssh-keygen -Y sign`, which asks
  // for PINs. Without it the child is a session of its own, and the deadline kills all of its process group.
  bool keep_terminal = false;
};

struct SpawnOutcome {
  int exit_status = -1;  // 128 + signal when killed
  std::string out;
  std::string err;
};

class Spawn {
 public:
  virtual ~Spawn() = default;
  // Runs to the end. An exit status is not an error, a program that cannot be started is.
  [[nodiscard]] virtual Result<SpawnOutcome> run(const SpawnRequest& request) = 0;
};

class SystemSpawn final : public Spawn {
 public:
  [[nodiscard]] Result<SpawnOutcome> run(const SpawnRequest& request) override;
};

}  // namespace jit
