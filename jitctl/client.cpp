#include "jitctl/client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "jitd/sys/peer.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxItems = 200000;  // more is not a reply of ours

volatile std::sig_atomic_t interrupted = 0;
constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};
std::array<struct sigaction, kSignals.size()> before_interrupt;
volatile std::sig_atomic_t interrupt_event = -1;

extern "C" void on_interrupt(int number) noexcept {
  interrupted = number;
  const int before = errno;
  const std::uint64_t one = 1;
  if (interrupt_event >= 0 && ::write(interrupt_event, &one, sizeof one) < 0) interrupted = number;  // it is full
  errno = before;
}

tl::unexpected<Error> unreachable(std::string_view what) {
  return fail(Errc::unavailable,
              fmt::format("jitd is not reachable ({}); ask root to run: systemctl status jitd", what));
}

}  // namespace

Interrupt::Interrupt(Signals signals) noexcept : count_(signals == Signals::all ? kSignals.size() : 1) {
  interrupted = 0;
  event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  interrupt_event = event_.get();
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: poll is to come back
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < count_; ++i) ::sigaction(kSignals[i], &action, &before_interrupt[i]);
}

Interrupt::~Interrupt() {
  for (std::size_t i = 0; i < count_; ++i) ::sigaction(kSignals[i], &before_interrupt[i], nullptr);
  interrupt_event = -1;
}

int Interrupt::signal() noexcept {
  return interrupted;
}

std::string Reply::value(std::string_view name) const {
  for (const auto& row : items)
    if (row.text(wire::Tag::name) == name) return row.text(wire::Tag::value);
  return {};
}

Result<void> SocketDaemon::connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) return fail(Errc::invalid, "the control socket's path is too long");
  std::memcpy(address.sun_path, path_.data(), path_.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "making a socket");
  // A full backlog blocks; the daemon may be stopped. Never longer than this.
  const timeval patience{10, 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return unreachable(fmt::format("{}: {}", path_, std::strerror(errno)));
  }
  const auto server = server_uid(socket.get());
  if (!server) return unreachable(server.error().message);
  if (*server != 0) {
    return unreachable(fmt::format("{} is served by uid {}, not by root: somebody else made it", path_, *server));
  }
  socket_ = std::move(socket);
  return {};
}

Result<Reply> SocketDaemon::call(wire::Verb verb, const Row& fields, std::chrono::milliseconds deadline) {
  const bool fresh = !socket_;
  if (fresh) {
    if (auto connected = connect(); !connected) return tl::unexpected(connected.error());
  }
  bool gone = false;
  auto reply = exchange(verb, fields, deadline, &gone);
  if (!reply) socket_.reset();  // whatever still comes on it belongs to no question of ours
  if (!reply && gone && !fresh) {
    if (auto connected = connect(); !connected) return tl::unexpected(connected.error());
    reply = exchange(verb, fields, deadline, &gone);
    if (!reply) socket_.reset();
  }
  return reply;
}

Result<Reply> SocketDaemon::exchange(wire::Verb verb, const Row& fields, std::chrono::milliseconds deadline,
                                     bool* gone) {
  *gone = false;
  std::vector<std::byte> buffer(wire::kMaxFrame);
  const std::uint32_t id = next_id_++;
  wire::Writer writer(buffer, verb, id);
  put(writer, fields);
  const auto frame = writer.finish();
  if (frame.empty()) return fail(Errc::invalid, "the request is larger than jitd takes (64 KiB)");
  // Nothing has been understood yet when sending fails: a second try on a new connection cannot do a thing twice.
  if (::send(socket_.get(), frame.data(), frame.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(frame.size())) {
    *gone = errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN;
    return unreachable(fmt::format("sending: {}", std::strerror(errno)));
  }

  Reply reply;
  const auto until = std::chrono::steady_clock::now() + deadline;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return unreachable("no answer in time");
    pollfd waiting{socket_.get(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::min<long long>(left, 3600 * 1000)));
    if (ready < 0 && errno == EINTR) {
      if (Interrupt::pressed()) return fail(Errc::busy, "interrupted");
      continue;
    }
    if (ready < 0) return fail_errno(errno, "waiting for jitd");
    if (ready == 0) continue;
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return unreachable(fmt::format("receiving: {}", std::strerror(errno)));
    if (got == 0) return unreachable("it closed the connection before it answered");
    if (static_cast<std::size_t>(got) > buffer.size()) return unreachable("its answer is larger than a frame");
    const auto parsed = wire::Frame::parse(std::span(buffer.data(), static_cast<std::size_t>(got)));
    if (!parsed || parsed->id() != id)
      return unreachable("its answer is not understood: are jitd and jitctl of one release?");
    if (parsed->verb() == wire::Verb::item) {
      if (reply.items.size() == kMaxItems) return unreachable("its answer does not end");
      reply.items.push_back(row_of(*parsed));
      continue;
    }
    if (parsed->verb() != wire::Verb::result) return unreachable("its answer is of another kind");
    reply.result = row_of(*parsed);
    const auto status = reply.result.number(wire::Tag::status);
    // Anything that is not one of the known outcomes is a failure, never a success.
    reply.status = status && *status <= static_cast<std::uint64_t>(wire::Status::refused)
                       ? static_cast<wire::Status>(static_cast<std::uint32_t>(*status))
                       : wire::Status::failed;
    reply.message = reply.result.text(wire::Tag::message);
    return reply;
  }
}

}  // namespace jit::ctl
