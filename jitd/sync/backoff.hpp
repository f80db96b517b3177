// How long to wait before another try: twice as long after each, with jitter, so that many who lost the same server
// do not come back together.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace jit {

class Backoff {
 public:
  using Milliseconds = std::chrono::milliseconds;
  explicit Backoff(Milliseconds least = std::chrono::seconds(1), Milliseconds most = std::chrono::minutes(5))
      : least_(least), most_(most), next_(least), random_(std::random_device{}()) {}

  // From half of the present wait to all of it, evenly; the one after is twice as long, up to `most`.
  Milliseconds next() {
    const Milliseconds now = next_;
    next_ = std::min(next_ * 2, most_);
    return Milliseconds(std::uniform_int_distribution<Milliseconds::rep>(now.count() / 2, now.count())(random_));
  }
  void reset() { next_ = least_; }

 private:
  Milliseconds least_, most_, next_;
  std::minstd_rand random_;
};

}  // namespace jit
