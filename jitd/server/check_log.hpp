// What the check thread tells the loop: counts of equal answers for the audit, and sessions that were let in for
// status. Bounded; the check thread never waits for it, what finds no room is counted as dropped.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "jitd/core/engine.hpp"
#include "jitd/sys/fd.hpp"

namespace jit {

// A session that a gate let in (session open), as the module reported it.
struct SessionSeen {
  std::string grant, service, subject;
  std::int64_t pid = 0;
  std::int64_t time = 0;  // wall seconds
};

class CheckLog {
 public:
  static constexpr std::size_t kMaxReports = 512;  // different ones in one batch
  static constexpr std::size_t kMaxSessions = 1024;

  CheckLog();

  // From the check thread. Signals `ready` when the batch was empty. Gives up at once when the loop has the lock.
  void add(const Engine::CheckReport& report) noexcept;
  void add(const SessionSeen& session) noexcept;
  void close(std::int64_t pid) noexcept;  // the session of this process ended

  // From the loop.
  [[nodiscard]] std::vector<Engine::CheckReport> take();
  [[nodiscard]] std::vector<SessionSeen> sessions() const;
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  [[nodiscard]] int ready_fd() const { return ready_.get(); }  // eventfd
  void clear_ready() noexcept;

 private:
  mutable std::mutex mutex_;
  std::vector<Engine::CheckReport> reports_;
  std::deque<SessionSeen> sessions_;
  std::atomic<std::uint64_t> total_{0}, dropped_{0};
  UniqueFd ready_;
};

}  // namespace jit
