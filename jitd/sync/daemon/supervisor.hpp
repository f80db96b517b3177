// Keeps one child process for each source: one that hangs or crashes touches no other, and one that ends is started
// again after a while.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jitd/sync/backoff.hpp"
#include "jitd/sync/daemon/places.hpp"
#include "jitd/sys/fd.hpp"

namespace jit {

class Supervisor {
 public:
  struct Config {
    SyncPlaces places = {};
    // A child's words; the source's name is put behind.
    std::vector<std::string> command = {"/proc/self/exe", "--source"};
    SyncLog log = log_to_stderr;
    std::chrono::milliseconds least_wait{1000}, most_wait{300'000};  // before a child that ended starts again
  };
  explicit Supervisor(Config config);
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor() { stop_all(); }

  // Reads the configuration and the outbox's `host` again where they changed, starts and ends children, waits for up
  // to so long for something to happen. False: it has been told to end (SIGTERM, SIGINT).
  bool turn(std::chrono::milliseconds at_most);
  // Ends all children, at the latest by force.
  void stop_all() noexcept;

  // One line for `systemctl status`.
  [[nodiscard]] std::string summary() const;
  [[nodiscard]] std::map<std::string, pid_t> children() const;  // by source; those that run

 private:
  struct Child {
    SourceSpec spec;
    bool wanted = true;  // false: it is to end, and not to come back as it was
    pid_t pid = 0;       // 0: it waits for its time
    UniqueFd pidfd;
    std::uint64_t started_at = 0, start_at = 0;  // ms
    Backoff backoff;
  };

  void watch();
  void read_watches();
  void reload();
  void reload_sources();
  void reload_host();
  void apply();
  void start(Child& child);
  void ended(Child& child);
  void forget_others() const;

  Config config_;
  UniqueFd signals_, notify_;
  std::map<int, std::string> watched_;  // inotify's number: the folder
  bool stale_ = true;                   // the files are to be read again
  std::vector<SourceSpec> sources_;
  std::optional<OutboxHost> host_;
  std::string sources_error_, host_error_;
  std::map<std::string, Child> children_;
};

// What `jitd-sync` does: turns until it is told to end. The exit status.
int run_supervisor(const SyncPlaces& places);

}  // namespace jit
