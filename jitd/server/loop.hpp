// sd-event with owners: a Source lives as long as its handle, and its callback may drop that very handle.
#pragma once

#include <systemd/sd-event.h>
#include <time.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "policy/result.hpp"

namespace jit {

// One event source. Empty, or enabled until it is dropped.
class Source {
 public:
  Source() = default;
  Source(Source&& other) noexcept = default;
  Source& operator=(Source&& other) noexcept {
    reset();
    state_ = std::move(other.state_);
    return *this;
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() { reset(); }
  [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }
  // Takes it out of the loop at once, also from within its own callback: its descriptor may be closed next, and its
  // number belong to another by the time the callback returns.
  void reset() noexcept;

  // For I/O sources: the epoll events to wait for (EPOLLHUP and EPOLLERR always come).
  void events(std::uint32_t events) noexcept;
  // For timers: fires once at this time (microseconds of the timer's clock); `at` 0 is at once.
  void arm(std::uint64_t at) noexcept;
  // Does not fire until armed or re-enabled.
  void disarm() noexcept;

 private:
  friend class Loop;
  struct State;
  explicit Source(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

// The event loop of the daemon's main thread. A callback that throws ends the loop with an error: state is made again
// from disk by the restart, never guessed.
class Loop {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Loop>> make();

  // `then` gets the epoll events that came.
  [[nodiscard]] Source io(int fd, std::uint32_t events, std::function<void(std::uint32_t)> then);
  // A timer that is not armed yet, with 1 ms accuracy. CLOCK_REALTIME, CLOCK_BOOTTIME or CLOCK_MONOTONIC.
  [[nodiscard]] Source timer(clockid_t clock, std::function<void()> then);
  // Runs once each time it is armed (arm(0)), after what is ready now, however often it is. Not armed at first.
  [[nodiscard]] Source later(std::function<void()> then);
  // The signal must be blocked in all threads.
  [[nodiscard]] Source signal(int number, std::function<void()> then);

  // Until stop(). The exit code; an error when a callback failed, saying what.
  [[nodiscard]] Result<int> run();
  // One turn, for tests: dispatches at most one source, waiting up to `usec`.
  void turn(std::uint64_t usec);
  void stop(int code) noexcept;

  [[nodiscard]] static std::uint64_t now_usec(clockid_t clock) noexcept;

 private:
  explicit Loop(sd_event* event) : event_(event) {}
  [[nodiscard]] Source own(int rc, sd_event_source* source, std::shared_ptr<Source::State> state, const char* what);
  static void run_guarded(Source::State& state, std::uint32_t events) noexcept;

  struct Unref {
    void operator()(sd_event* event) const noexcept { sd_event_unref(event); }
  };
  std::unique_ptr<sd_event, Unref> event_;
  std::exception_ptr failure_;
};

}  // namespace jit
