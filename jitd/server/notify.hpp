// Talking to the service manager (sd_notify(3)): state, and the watchdog's keep-alive.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "jitd/server/loop.hpp"

namespace jit {

void notify_ready();
void notify_reloading();
void notify_stopping();
// One line for `systemctl status`, sent when it is another than last time.
class StatusLine {
 public:
  void set(const std::string& text);

 private:
  std::string last_;
};

// Sends the keep-alive twice per WatchdogSec, which is all that wakes an idle jitd, as long as `alive` says that
// everybody who must be is: the loop by running this at all, the check thread by having answered the last ping.
class Watchdog {
 public:
  Watchdog(Loop& loop, std::function<bool()> alive, std::function<void()> ping);

 private:
  void beat();
  std::function<bool()> alive_;
  std::function<void()> ping_;
  std::uint64_t every_ = 0;
  Source timer_;
};

}  // namespace jit
