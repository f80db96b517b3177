// Actors on a clock of their own: one runs at a time, the one whose time comes first, so that what they do at the
// same moment is the same in every run and costs no time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace jit::synctest {

class Stage {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Returns when all have come to their end.
  void run(const std::vector<std::function<void()>>& actors) {
    std::vector<std::thread> threads;
    for (std::size_t id = 0; id < actors.size(); ++id) wakes_[id] = now_;
    running_ = kNobody;
    for (std::size_t id = 0; id < actors.size(); ++id)
      threads.emplace_back([this, id, act = actors[id]] {
        self() = id;
        {
          std::unique_lock lock(mutex_);
          turn_.wait(lock, [&] { return running_ == id; });
        }
        act();
        const std::lock_guard lock(mutex_);
        wakes_.erase(id);
        next();
      });
    {
      const std::lock_guard lock(mutex_);
      next();
    }
    for (auto& thread : threads) thread.join();
  }

  // Of the actor that calls it.
  void sleep(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    wakes_[self()] = now_ + time;
    next();
    turn_.wait(lock, [&] { return running_ == self(); });
  }
  [[nodiscard]] Time now() {
    const std::lock_guard lock(mutex_);
    return now_;
  }

 private:
  static constexpr std::size_t kNobody = ~std::size_t{0};
  static std::size_t& self() {
    thread_local std::size_t id = kNobody;
    return id;
  }
  void next() {
    running_ = kNobody;
    for (const auto& [id, wake] : wakes_)
      if (running_ == kNobody || wake < wakes_[running_]) running_ = id;
    if (running_ != kNobody) now_ = wakes_[running_];
    turn_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable turn_;
  std::map<std::size_t, Time> wakes_;
  std::size_t running_ = kNobody;
  Time now_{std::chrono::hours(1)};
};

}  // namespace jit::synctest
