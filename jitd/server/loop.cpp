#include "jitd/server/loop.hpp"

#include <cerrno>
#include <stdexcept>

namespace jit {

struct Source::State : std::enable_shared_from_this<Source::State> {
  enum class Kind : std::uint8_t { io, timer, later, signal } kind = Kind::io;
  Loop* loop = nullptr;
  sd_event_source* source = nullptr;
  std::function<void(std::uint32_t)> then;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (source != nullptr) sd_event_source_disable_unref(source);
  }
};

void Source::reset() noexcept {
  if (!state_) return;
  if (state_->source != nullptr) (void)sd_event_source_set_enabled(state_->source, SD_EVENT_OFF);
  state_.reset();
}

void Source::events(std::uint32_t events) noexcept {
  if (state_) (void)sd_event_source_set_io_events(state_->source, events);
}

void Source::arm(std::uint64_t at) noexcept {
  if (!state_) return;
  // Armed again before its turn, it would lose its place in the queue.
  if (state_->kind == State::Kind::later && sd_event_source_get_enabled(state_->source, nullptr) > 0) return;
  if (state_->kind == State::Kind::timer || state_->kind == State::Kind::later)
    (void)sd_event_source_set_time(state_->source, at);
  (void)sd_event_source_set_enabled(state_->source, SD_EVENT_ONESHOT);
}

void Source::disarm() noexcept {
  if (state_) (void)sd_event_source_set_enabled(state_->source, SD_EVENT_OFF);
}

Result<std::unique_ptr<Loop>> Loop::make() {
  sd_event* event = nullptr;
  if (const int rc = sd_event_new(&event); rc < 0) return fail_errno(-rc, "cannot make an event loop");
  return std::unique_ptr<Loop>(new Loop(event));
}

void Loop::run_guarded(Source::State& state, std::uint32_t events) noexcept {
  const auto keep = state.weak_from_this().lock();  // the callback may drop its own source
  try {
    state.then(events);
  } catch (...) {
    state.loop->failure_ = std::current_exception();
    state.loop->stop(1);
  }
}

Source Loop::own(int rc, sd_event_source* source, std::shared_ptr<Source::State> state, const char* what) {
  // Sources fail only for want of memory or descriptors, or a wrong argument: nobody can go on without one.
  if (rc < 0) throw std::runtime_error(std::string("cannot watch ") + what + ": errno " + std::to_string(-rc));
  state->source = source;
  state->loop = this;
  return Source(std::move(state));
}

Source Loop::io(int fd, std::uint32_t events, std::function<void(std::uint32_t)> then) {
  auto state = std::make_shared<Source::State>();
  state->then = std::move(then);
  sd_event_source* source = nullptr;
  const int rc = sd_event_add_io(
      event_.get(), &source, fd, events,
      [](sd_event_source*, int, std::uint32_t revents, void* data) noexcept {
        run_guarded(*static_cast<Source::State*>(data), revents);
        return 0;
      },
      state.get());
  return own(rc, source, std::move(state), "a descriptor");
}

Source Loop::timer(clockid_t clock, std::function<void()> then) {
  auto state = std::make_shared<Source::State>();
  state->kind = Source::State::Kind::timer;
  state->then = [then = std::move(then)](std::uint32_t) { then(); };
  sd_event_source* source = nullptr;
  const int rc = sd_event_add_time(
      event_.get(), &source, clock, UINT64_MAX, 1000,
      [](sd_event_source*, std::uint64_t, void* data) noexcept {
        run_guarded(*static_cast<Source::State*>(data), 0);
        return 0;
      },
      state.get());
  auto owned = own(rc, source, std::move(state), "a clock");
  owned.disarm();
  return owned;
}

Source Loop::later(std::function<void()> then) {
  // A time that has come, and not sd-event's own deferred source: that one counts as waiting since it was made,
  // however often it had its turn, so that work that arms itself again would come before everything else, for ever.
  auto source = timer(CLOCK_MONOTONIC, std::move(then));
  source.state_->kind = Source::State::Kind::later;
  return source;
}

Source Loop::signal(int number, std::function<void()> then) {
  auto state = std::make_shared<Source::State>();
  state->kind = Source::State::Kind::signal;
  state->then = [then = std::move(then)](std::uint32_t) { then(); };
  sd_event_source* source = nullptr;
  const int rc = sd_event_add_signal(
      event_.get(), &source, number,
      [](sd_event_source*, const struct signalfd_siginfo*, void* data) noexcept {
        run_guarded(*static_cast<Source::State*>(data), 0);
        return 0;
      },
      state.get());
  return own(rc, source, std::move(state), "a signal");
}

Result<int> Loop::run() {
  const int rc = sd_event_loop(event_.get());
  if (failure_) try {
      std::rethrow_exception(failure_);
    } catch (const std::exception& e) {
      return fail(Errc::system, std::string("the event loop stopped: ") + e.what());
    } catch (...) {
      return fail(Errc::system, "the event loop stopped: unknown exception");
    }
  if (rc < 0) return fail_errno(-rc, "the event loop stopped");
  return rc;
}

void Loop::turn(std::uint64_t usec) {
  (void)sd_event_run(event_.get(), usec);
}

void Loop::stop(int code) noexcept {
  (void)sd_event_exit(event_.get(), code);
}

std::uint64_t Loop::now_usec(clockid_t clock) noexcept {
  timespec now{};
  (void)clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000U + static_cast<std::uint64_t>(now.tv_nsec) / 1000U;
}

}  // namespace jit
