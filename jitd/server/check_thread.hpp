// check.sock on a thread of its own, the only one: a login never waits behind an effect, a reload or a flood (P5).
// One datagram in, one out, non-blocking, answered from the mapped board; nothing of the engine is touched. Only a
// session that begins under a grant goes on to the loop.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "jitd/server/board_cache.hpp"
#include "jitd/server/check_log.hpp"
#include "jitd/server/doors.hpp"
#include "jitd/server/sessions.hpp"
#include "jitd/sys/fd.hpp"
#include "jitd/wire/check.hpp"
#include "policy/result.hpp"

namespace jit {

struct CheckLimits {
  std::size_t crowd = 64;                   // with more connections than this, slots are counted
  std::size_t per_uid = 32;                 // slots of one real uid but 0, then
  std::size_t users = 512;                  // slots of all real uids but 0, then; the rest is root's: sshd, login
  std::uint64_t deadline_usec = 1'000'000;  // for the datagram to come after connecting
};

// The uid that stands behind a privileged peer: its real uid, or if that is 0 its audit login uid if set, else 0. For
// counting slots only; nothing is decided by it.
[[nodiscard]] uid_t uid_behind(pid_t pid) noexcept;

class CheckThread {
 public:
  static constexpr std::size_t kSlots = 1024;
  struct PeerId {
    uid_t uid = static_cast<uid_t>(-1);
    pid_t pid = 0;
  };
  // Tests replace who the peer is.
  struct Seams {
    std::function<PeerId(int fd)> peer;
    std::function<uid_t(pid_t)> behind = uid_behind;
    uid_t server_of = 0;  // peers of this uid may ask
    Seams();
  };

  // Starts answering on `listener`.
  [[nodiscard]] static Result<std::unique_ptr<CheckThread>> start(UniqueFd listener, std::string board, CheckLog& log,
                                                                  SessionQueue& sessions, DoorQueue& doors,
                                                                  CheckLimits limits = {}, Seams seams = {});
  CheckThread(const CheckThread&) = delete;
  CheckThread& operator=(const CheckThread&) = delete;
  ~CheckThread();  // stops and joins

  // Asks the thread for a sign of life; alive() tells whether it has given one since. For the watchdog.
  void ping() noexcept;
  [[nodiscard]] bool alive() const noexcept { return pong_.load() == ping_.load(); }

 private:
  struct Slot {
    UniqueFd fd;
    std::uint64_t deadline = 0;
    uid_t behind = 0;
    pid_t pid = 0;
  };

  CheckThread(UniqueFd listener, std::string board, CheckLog& log, SessionQueue& sessions, DoorQueue& doors,
              CheckLimits limits, Seams seams);
  void run() noexcept;
  void accept_some() noexcept;
  void admit(UniqueFd fd) noexcept;
  [[nodiscard]] bool crowded_out(pid_t pid, uid_t& behind) noexcept;
  // Reads and answers what has come. False: nothing there yet.
  [[nodiscard]] bool serve(int fd, pid_t pid) noexcept;
  void close_slot(std::size_t index) noexcept;
  [[nodiscard]] int sweep() noexcept;  // closes late ones; milliseconds until the next is late, -1: none
  // A session under a grant: the loop puts it where the end finds it, and answers. False: it is answered from the
  // board.
  [[nodiscard]] bool hand_over(int fd, std::uint32_t id, const wire::Query& query, const wire::Answer& answer,
                               pid_t pid) noexcept;
  // A request at the door goes to the loop, too, with the connection.
  void hand_to_door(int fd, const wire::Frame& frame, pid_t pid) noexcept;
  void report(const wire::Query& query, const wire::Answer& answer, pid_t pid) noexcept;

  UniqueFd listener_, epoll_, wake_, reserve_;
  BoardCache board_;
  CheckLog& log_;
  SessionQueue& sessions_;
  DoorQueue& doors_;
  CheckLimits limits_;
  Seams seams_;
  std::array<Slot, kSlots> slots_;
  std::array<std::byte, wire::kMaxCheckFrame> in_, out_;
  std::size_t used_ = 0;
  std::atomic<std::uint64_t> ping_{0}, pong_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace jit
