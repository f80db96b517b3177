// Sessions that begin under a grant: the check thread hands them to the loop, which has them put where the end of
// their grant finds them, and answers them itself.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "jitd/core/engine.hpp"
#include "jitd/server/board_cache.hpp"
#include "jitd/server/loop.hpp"
#include "jitd/sys/fd.hpp"
#include "jitd/wire/check.hpp"

namespace jit {

// One question of pam_jit's session phase that the board answers with "under this grant".
struct SessionCall {
  UniqueFd fd;  // to answer on
  std::uint32_t id = 0;
  wire::Answer answer;  // what the board says
  std::string service, subject, target;
  std::uint32_t uid = 0;
  bool has_uid = false;  // a command of the caller's (sudo, su), not a login
  std::uint64_t started_ms = 0;
  bool line_enforces = true;
  std::int32_t pid = 0;
  std::uint64_t came_usec = 0;  // CLOCK_BOOTTIME
};

// From the check thread to the loop. Bounded, for each user and in all: a flood is refused by not being answered, and
// keeps nobody else out.
class SessionQueue {
 public:
  static constexpr std::size_t kMost = 256;
  static constexpr std::size_t kMostOfOne = 32;  // commands of one user; logins count together

  SessionQueue();
  [[nodiscard]] bool add(SessionCall call) noexcept;
  void close(std::int32_t pid) noexcept;  // a session of this process ended

  [[nodiscard]] bool take(SessionCall& call);
  [[nodiscard]] std::deque<std::int32_t> closed();
  [[nodiscard]] int ready_fd() const { return ready_.get(); }  // eventfd
  void clear_ready() noexcept;

 private:
  std::mutex mutex_;
  std::deque<SessionCall> calls_;
  std::deque<std::int32_t> closed_;
  UniqueFd ready_;
};

class Sessions {
 public:
  Sessions(Loop& loop, Engine& engine, SessionQueue& queue, std::string board);

 private:
  void serve_one();
  void answer(const SessionCall& call, const Result<Engine::Elevated>& under);
  // Whether that grant of the subject lives on the board as it is now: `jitd --expire` ends without telling us.
  [[nodiscard]] bool lives(const SessionCall& call, const std::string& grant);
  // What the board says now, for what no grant of theirs gives: one may have ended since it was asked first.
  [[nodiscard]] wire::Answer again(const SessionCall& call);

  Engine& engine_;
  SessionQueue& queue_;
  BoardCache board_;
  Source ready_, more_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace jit
