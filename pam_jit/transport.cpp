#include "pam_jit/transport.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "pam_jit/system.hpp"

namespace jit::pam {
namespace {

constexpr const char* kTooLate = "jitd did not answer in time";

class Deadline {
 public:
  explicit Deadline(unsigned timeout_ms) noexcept : end_us_(now_us() + std::int64_t{timeout_ms} * 1000) {}

  // Makes the next blocking call on `fd` end by the deadline. False when that is past. (A timeout of zero would mean
  // none.)
  [[nodiscard]] bool arm(int fd, int direction) const noexcept {
    const std::int64_t left = end_us_ - now_us();
    if (left <= 0) return false;
    timeval timeout{};
    timeout.tv_sec = left / 1000000;
    timeout.tv_usec = left % 1000000;
    return ::setsockopt(fd, SOL_SOCKET, direction, &timeout, sizeof timeout) == 0;
  }

 private:
  static std::int64_t now_us() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
  }
  std::int64_t end_us_;
};

// Repeats a call that signals interrupt, each time with what is left. -1 with errno EAGAIN: too late.
template <class Call>
ssize_t until(const Deadline& deadline, int fd, int direction, Call&& call) noexcept {
  for (;;) {
    if (!deadline.arm(fd, direction)) {
      errno = EAGAIN;
      return -1;
    }
    const ssize_t got = call();
    if (got >= 0 || errno != EINTR) return got;
  }
}

// nullptr: connected to a server of the right uid.
const char* connect_to(Descriptor& fd, const char* path, uid_t server, const Deadline& deadline) noexcept {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return "the path of jitd's socket is too long";
  std::memcpy(address.sun_path, path, length);

  struct stat status {};
  if (::lstat(path, &status) != 0) return "jitd's socket is not there";
  if (!S_ISSOCK(status.st_mode) || status.st_uid != server) return "jitd's socket is not a socket of root";
  fd.take(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) return "no socket could be made";
  const auto connecting = [&]() noexcept {
    return static_cast<ssize_t>(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
  };
  if (until(deadline, fd.get(), SO_SNDTIMEO, connecting) != 0)
    return errno == EAGAIN ? "jitd did not take the connection in time" : "jitd does not take connections";
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer || peer.uid != server)
    return "who listens on jitd's socket is not root";
  return nullptr;
}

const char* send_to(const Descriptor& fd, std::span<const std::byte> request, const Deadline& deadline) noexcept {
  const auto sending = [&]() noexcept { return ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL); };
  const ssize_t sent = until(deadline, fd.get(), SO_SNDTIMEO, sending);
  if (sent == static_cast<ssize_t>(request.size())) return nullptr;
  return sent < 0 && errno == EAGAIN ? kTooLate : "jitd did not take the question";
}

Reply receive(const Descriptor& fd, std::span<std::byte> reply, const Deadline& deadline) noexcept {
  const auto receiving = [&]() noexcept { return ::recv(fd.get(), reply.data(), reply.size(), MSG_TRUNC); };
  const ssize_t got = until(deadline, fd.get(), SO_RCVTIMEO, receiving);
  if (got < 0) return {0, errno == EAGAIN ? kTooLate : "jitd broke off"};
  if (got == 0) return {0, "jitd closed the connection without an answer"};
  if (static_cast<std::size_t>(got) > reply.size()) return {0, "jitd's answer is too long"};
  return {static_cast<std::size_t>(got), nullptr};
}

}  // namespace

Reply hear(const Descriptor& from, std::span<std::byte> reply, unsigned timeout_ms) noexcept {
  return receive(from, reply, Deadline(timeout_ms));
}

const char* begin(Descriptor& into, const char* path, uid_t server, std::span<const std::byte> request,
                  unsigned timeout_ms) noexcept {
  const Deadline deadline(timeout_ms);
  if (const char* failure = connect_to(into, path, server, deadline)) return failure;
  return send_to(into, request, deadline);
}

Reply ask(const char* path, uid_t server, std::span<const std::byte> request, std::span<std::byte> reply,
          unsigned timeout_ms) noexcept {
  const Deadline deadline(timeout_ms);
  Descriptor fd;
  if (const char* failure = connect_to(fd, path, server, deadline)) return {0, failure};
  if (const char* failure = send_to(fd, request, deadline)) return {0, failure};
  return receive(fd, reply, deadline);
}

void post(const char* path, uid_t server, std::span<const std::byte> request, unsigned timeout_ms) noexcept {
  const Deadline deadline(timeout_ms);
  Descriptor fd;
  if (connect_to(fd, path, server, deadline) == nullptr) (void)send_to(fd, request, deadline);
}

}  // namespace jit::pam
