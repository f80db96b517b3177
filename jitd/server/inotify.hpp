// inotify(7) on the loop: names of what changed in a few directories.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "jitd/server/loop.hpp"
#include "jitd/sys/fd.hpp"

namespace jit {

class Inotify {
 public:
  struct Event {
    int watch = -1;
    std::uint32_t mask = 0;
    std::string_view name;                // empty for the directory itself
    [[nodiscard]] bool overflow() const;  // events were lost: look at everything again
  };
  [[nodiscard]] static Result<Inotify> make(Loop& loop, std::function<void(const Event&)> then);

  // Watches a directory, or changes the mask of one that is watched. Returns its number.
  [[nodiscard]] Result<int> watch(const std::string& directory, std::uint32_t mask);

 private:
  Inotify(UniqueFd fd, Source source) : fd_(std::move(fd)), source_(std::move(source)) {}
  UniqueFd fd_;
  Source source_;
};

}  // namespace jit
