// Lines of the journal that strangers can cause, as many as they like: so many a minute are said, the others counted.
// Else they would push everybody's lines out of the journal, ours with them.
#pragma once

#include <cstdint>
#include <utility>

namespace jit {

class LineBudget {
 public:
  static constexpr unsigned kPerMinute = 20;

  struct Answer {
    bool say = false;          // this one
    std::uint64_t unsaid = 0;  // so many were not, in the minutes before; to be said once
  };
  // For one more line at `now_ms`, boot-time clock.
  Answer ask(std::uint64_t now_ms) {
    Answer answer;
    if (said_ == 0 || now_ms - since_ms_ >= 60'000) {
      since_ms_ = now_ms;
      said_ = 0;
      answer.unsaid = std::exchange(unsaid_, 0);
    }
    answer.say = said_ < kPerMinute;
    if (answer.say)
      ++said_;
    else
      ++unsaid_;
    return answer;
  }

 private:
  std::uint64_t since_ms_ = 0, unsaid_ = 0;
  unsigned said_ = 0;
};

}  // namespace jit
