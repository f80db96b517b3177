// What the daemon's view of the host comes from: /etc/jit with policy.d and trust, /etc/passwd and /etc/group. Says
// when to read again, of the two files apart, since we write the latter ourselves; a change counts when a file is
// closed after writing, renamed in or out, or removed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "jitd/server/inotify.hpp"
#include "jitd/server/loop.hpp"
#include "policy/result.hpp"

namespace jit {

class ConfigWatch {
 public:
  struct Config {
    std::string etc_jit = "/etc/jit", etc = "/etc";
    std::uint64_t settle_usec = 100'000;  // several files written together count once
    std::uint64_t empty_trust_usec =
        2'000'000;  // an empty or missing trust file counts after this: editors truncate first
  };

  [[nodiscard]] static Result<std::unique_ptr<ConfigWatch>> start(Loop& loop, Config config,
                                                                  std::function<void()> reload,
                                                                  std::function<void()> accounts,
                                                                  std::function<void()> groups);
  // The trust files as they stand have been read: one that is empty was meant.
  void settled();

 private:
  ConfigWatch(Loop& loop, Config config, std::function<void()> reload, std::function<void()> accounts,
              std::function<void()> groups);
  void watch_all();
  void on_event(const Inotify::Event& event);
  void on_time();
  [[nodiscard]] std::set<std::string> empty_trust() const;

  Loop& loop_;
  Config config_;
  std::function<void()> reload_, accounts_, groups_;
  std::unique_ptr<Inotify> notify_;
  int etc_watch_ = -1;
  std::set<std::string> known_empty_;  // trust in force that came from an empty or missing file
  std::uint64_t empty_since_ = 0;      // boot time, of another; 0: there is none
  Source reloading_, counting_, grouping_;
};

}  // namespace jit
