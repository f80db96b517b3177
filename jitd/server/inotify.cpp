#include "jitd/server/inotify.hpp"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>

namespace jit {
namespace {

void read_events(int fd, const std::function<void(const Inotify::Event&)>& then) {
  alignas(inotify_event) std::array<char, 16384> buffer;
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(inotify_event)) <= size;) {
    inotify_event header{};
    std::memcpy(&header, buffer.data() + at, sizeof header);
    const char* name = buffer.data() + at + sizeof header;
    then(Inotify::Event{header.wd, header.mask, std::string_view(name, ::strnlen(name, header.len))});
    at += static_cast<ssize_t>(sizeof header + header.len);
  }
}

}  // namespace

bool Inotify::Event::overflow() const {
  return (mask & IN_Q_OVERFLOW) != 0;
}

Result<Inotify> Inotify::make(Loop& loop, std::function<void(const Event&)> then) {
  UniqueFd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd) return fail_errno(errno, "cannot watch files");
  auto source =
      loop.io(fd.get(), EPOLLIN, [raw = fd.get(), then = std::move(then)](std::uint32_t) { read_events(raw, then); });
  return Inotify(std::move(fd), std::move(source));
}

Result<int> Inotify::watch(const std::string& directory, std::uint32_t mask) {
  const int number = ::inotify_add_watch(fd_.get(), directory.c_str(), mask | IN_ONLYDIR | IN_DONT_FOLLOW);
  if (number < 0) return fail_errno(errno, "cannot watch " + directory);
  return number;
}

}  // namespace jit
