// Requests at the door: pam_jit asks on behalf of somebody who has just proved who they are and holds no grant. The
// check thread hands the question to the loop, which files it like any other request and keeps the connection for as
// long as somebody waits. Nothing is let in here: the module checks again.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "jitd/core/engine.hpp"
#include "jitd/server/loop.hpp"
#include "jitd/sys/fd.hpp"
#include "jitd/wire/door.hpp"

namespace jit {

struct DoorCall {
  UniqueFd fd;  // to answer on
  std::uint32_t id = 0;
  std::int32_t pid = 0;  // of the process that lets them in
  std::string subject, gate, role, reason;
  std::optional<std::uint32_t> uid;
};

// From the check thread to the loop. Bounded: a flood gets no answer, which the module takes for a refusal.
class DoorQueue {
 public:
  static constexpr std::size_t kMost = 32;
  DoorQueue();
  [[nodiscard]] bool add(DoorCall call) noexcept;
  [[nodiscard]] bool take(DoorCall& call);
  [[nodiscard]] int ready_fd() const { return ready_.get(); }  // eventfd
  void clear_ready() noexcept;

 private:
  std::mutex mutex_;
  std::deque<DoorCall> calls_;
  UniqueFd ready_;
};

class Doors {
 public:
  static constexpr std::size_t kMostWaiting = 3;  // on this host; and one of each user

  Doors(Loop& loop, Engine& engine, DoorQueue& queue, std::uint64_t wait_usec = wire::kDoorWaitMs * 1000ULL);
  // Something changed in the engine: whoever waits is told.
  void changed();
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Waiting {
    UniqueFd fd;
    std::uint32_t id = 0;
    Caller caller;
    std::string request, note;
    std::uint64_t until = 0;  // boot time, microseconds
    Source hung_up;
  };
  using CallPtr = std::shared_ptr<DoorCall>;
  using WaitingPtr = std::shared_ptr<Waiting>;

  void serve_one();
  // `then` with the roles that this caller may ask for and that open the gate.
  void with_roles(const CallPtr& call, const Caller& caller, std::function<void(std::vector<std::string>)> then);
  void offer(const CallPtr& call, const Caller& caller, const std::vector<std::string>& roles);
  void file(const CallPtr& call, const Caller& caller);
  void settle(const CallPtr& call, const Caller& caller, const Result<Outcome>& outcome);
  void look(const WaitingPtr& one);
  void drop(const Waiting* one);
  void time_is_up();
  void arm();

  Loop& loop_;
  Engine& engine_;
  DoorQueue& queue_;
  std::uint64_t wait_usec_;
  std::vector<WaitingPtr> waiting_;
  Source ready_, more_, timer_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace jit
