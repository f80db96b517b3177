#include "jitd/server/inotify.hpp"

#include <sys/epoll.h>
#include <sys/inotify.h>

#include <cerrno>

#include "jitd/sys/inotify_events.hpp"

namespace jit {

bool Inotify::Event::overflow() const {
  return (mask & IN_Q_OVERFLOW) != 0;
}

Result<Inotify> Inotify::make(Loop& loop, std::function<void(const Event&)> then) {
  UniqueFd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd) return fail_errno(errno, "cannot watch files");
  auto source = loop.io(fd.get(), EPOLLIN, [raw = fd.get(), then = std::move(then)](std::uint32_t) {
    (void)read_inotify(raw, [&](int watch, std::uint32_t mask, std::string_view name) {
      then(Event{watch, mask, name});
    });
  });
  return Inotify(std::move(fd), std::move(source));
}

Result<int> Inotify::watch(const std::string& directory, std::uint32_t mask) {
  const int number = ::inotify_add_watch(fd_.get(), directory.c_str(), mask | IN_ONLYDIR | IN_DONT_FOLLOW);
  if (number < 0) return fail_errno(errno, "cannot watch " + directory);
  return number;
}

}  // namespace jit
