// Reading what inotify(7) has to tell.
#pragma once

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace jit {

// One read of a non-blocking descriptor: then(watch, mask, name) for each event, `name` empty for the folder itself.
// False: there was nothing.
template <class Then>
bool read_inotify(int fd, Then&& then) {
  alignas(inotify_event) std::array<char, 16384> buffer;
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(inotify_event)) <= size;) {
    inotify_event header{};
    std::memcpy(&header, buffer.data() + at, sizeof header);
    const char* name = buffer.data() + at + sizeof header;
    then(header.wd, header.mask, std::string_view(name, ::strnlen(name, header.len)));
    at += static_cast<ssize_t>(sizeof header + header.len);
  }
  return size > 0;
}

}  // namespace jit
