#include "jitd/server/control.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "policy/text.hpp"

namespace jit {
namespace {

constexpr int kAcceptsPerTurn = 32;
constexpr std::size_t kQuotasKept = 1024;

std::uint64_t now() {
  return Loop::now_usec(CLOCK_BOOTTIME);
}

UniqueFd reserve_descriptor() {
  return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

Result<UniqueFd> listen_at(const std::string& path, unsigned mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string fresh = path + ".new";
  if (fresh.size() >= sizeof address.sun_path) return fail(Errc::invalid, path + ": too long for a socket");
  std::memcpy(address.sun_path, fresh.data(), fresh.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "cannot make a socket");
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "cannot remove " + fresh);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(errno, "cannot bind " + fresh);
  if (::chmod(fresh.c_str(), mode) != 0) return fail_errno(errno, "cannot set the mode of " + fresh);
  if (::listen(fd.get(), SOMAXCONN) != 0) return fail_errno(errno, "cannot listen on " + fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, "cannot put " + fresh + " in place");
  return fd;
}

// ---- Responder

wire::Writer Responder::writer(wire::Verb verb) const {
  server_->out_.resize(wire::kMaxFrame);
  return {server_->out_, verb, id_};
}

bool Responder::send(wire::Writer& writer, bool last) const {
  const auto frame = writer.finish();
  if (frame.empty()) return false;
  server_->enqueue(connection_, frame, last);
  return true;
}

void Responder::result(wire::Status status, std::string_view message) const {
  auto frame = writer(wire::Verb::result);
  frame.number(wire::Tag::status, static_cast<std::uint64_t>(status));
  if (!message.empty()) frame.text(wire::Tag::message, message.substr(0, 8192));
  (void)send(frame, true);
}

void Responder::failure(const Error& error) const {
  result(error.code == Errc::refused ? wire::Status::refused : wire::Status::failed, shown(error.message));
}

bool Responder::alive() const {
  return server_->find(connection_) != nullptr;
}

// ---- ControlServer

ControlServer::ControlServer(Loop& loop, UniqueFd listener, Handler handler, ControlLimits limits, Identify identify)
    : loop_(loop),
      listener_(std::move(listener)),
      handler_(std::move(handler)),
      limits_(limits),
      identify_(std::move(identify)),
      reserve_(reserve_descriptor()),
      in_(wire::kMaxFrame + 1) {
  accepting_ = loop_.io(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_some(); });
  sweeping_ = loop_.timer(CLOCK_BOOTTIME, [this] { sweep(); });
}

ControlServer::~ControlServer() = default;

void ControlServer::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if ((errno == EMFILE || errno == ENFILE) && reserve_) {
        reserve_.reset();  // room for one, to send it away: else epoll would report it for ever
        UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)).reset();
        reserve_ = reserve_descriptor();
      }
      return;
    }
    admit(std::move(fd));
  }
}

std::vector<ControlServer::QuotaKey> ControlServer::quotas_of(const Caller& caller) {
  std::vector<QuotaKey> keys = {{false, caller.uid}};
  if (!caller.root() && caller.loginuid && *caller.loginuid != caller.uid) keys.push_back({true, *caller.loginuid});
  return keys;
}

void ControlServer::admit(UniqueFd fd) {
  auto peer = identify_(fd.get());
  if (!peer) return;  // nobody to answer: the peer is gone, or not one whom this system can name
  const bool root = peer->uid == 0;
  if (root ? root_connections_ >= limits_.root_connections
           : connections_.size() - root_connections_ >= limits_.connections)
    return;
  Caller caller;
  caller.uid = peer->uid;
  caller.loginuid = peer->loginuid;
  caller.pid = peer->pid;
  const auto keys = quotas_of(caller);
  for (const QuotaKey& key : keys) {
    Quota& quota = quotas_[key];
    if (quota.refilled == 0) {
      quota.tokens = limits_.burst;
      quota.refilled = now();
    }
    if (!root && quota.connections >= limits_.per_uid) return;
  }

  auto connection = std::make_unique<Connection>();
  const std::uint64_t number = next_++;
  connection->number = number;
  connection->fd = std::move(fd);
  connection->pidfd = std::move(peer->pidfd);
  connection->caller = caller;
  try {
    connection->source =
        loop_.io(connection->fd.get(), EPOLLIN, [this, number](std::uint32_t e) { on_event(number, e); });
  } catch (const std::exception&) {
    return;  // the kernel has no room for another watch
  }
  for (const QuotaKey& key : keys) ++quotas_[key].connections;
  if (root) ++root_connections_;
  set_deadline(*connection, limits_.first_usec);
  connections_.emplace(number, std::move(connection));
}

ControlServer::Connection* ControlServer::find(std::uint64_t number) {
  const auto it = connections_.find(number);
  return it == connections_.end() ? nullptr : it->second.get();
}

void ControlServer::on_event(std::uint64_t number, std::uint32_t events) {
  Connection* connection = find(number);
  if (connection == nullptr) return;
  if ((events & EPOLLOUT) != 0) {
    flush(*connection);
    connection = find(number);
    if (connection == nullptr) return;
  }
  // What was sent before hanging up still counts; it is read first.
  if ((events & EPOLLIN) != 0 && !connection->busy && connection->queue.empty()) {
    if (!read_one(number)) drop(number);
    return;
  }
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) drop(number);
}

bool ControlServer::take_token(const Caller& caller) {
  if (caller.root()) return true;
  const std::uint64_t at = now();
  const auto keys = quotas_of(caller);
  const auto full = [&](const QuotaKey& key) {
    Quota& quota = quotas_[key];
    quota.tokens = std::min(
        limits_.burst, quota.tokens + static_cast<double>(at - quota.refilled) / 1e6 * limits_.frames_per_second);
    quota.refilled = at;
    return quota.tokens >= 1;
  };
  if (!std::ranges::all_of(keys, full)) return false;
  for (const QuotaKey& key : keys) quotas_[key].tokens -= 1;
  return true;
}

// Reads one datagram and hands it on. False: the connection is to be dropped.
bool ControlServer::read_one(std::uint64_t number) {
  Connection& connection = *find(number);
  const ssize_t size = ::recv(connection.fd.get(), in_.data(), in_.size(), MSG_DONTWAIT | MSG_TRUNC);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0 || static_cast<std::size_t>(size) > wire::kMaxFrame) return false;
  const auto frame = wire::Frame::parse(std::span(in_).first(static_cast<std::size_t>(size)));
  if (!frame) return false;  // not our language: there is nothing to answer to
  connection.busy = true;
  listen_for(connection);
  set_deadline(connection, limits_.busy_usec);
  const Caller caller = connection.caller;
  Responder reply(*this, number, frame->id());
  if (!take_token(caller)) {
    reply.result(wire::Status::failed, "too many requests from you at once: try again in a moment");
    return true;
  }
  handler_(caller, *frame, reply);
  return true;
}

bool ControlServer::enqueue(std::uint64_t number, std::span<const std::byte> frame, bool last) {
  Connection* connection = find(number);
  if (connection == nullptr) return false;
  // Many slow clients together must not shut root out.
  const bool crowded = !connection->caller.root() && queued_total_ + frame.size() > limits_.queued_total;
  if (connection->queued + frame.size() > limits_.queued_bytes || crowded) {
    drop(number);
    return false;
  }
  const bool first = connection->queue.empty();
  connection->queue.emplace_back(reinterpret_cast<const char*>(frame.data()), frame.size());
  connection->queued += frame.size();
  queued_total_ += frame.size();
  if (last) connection->busy = false;
  // What stands behind others is sent when the client has made room.
  if (first) {
    set_deadline(*connection, limits_.stall_usec);
    flush(*connection);
  }
  return true;
}

// Sends what the client takes now. May drop the connection.
void ControlServer::flush(Connection& connection) {
  while (!connection.queue.empty()) {
    const std::string& frame = connection.queue.front();
    const ssize_t sent = ::send(connection.fd.get(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != ENOBUFS) return drop(connection.number);
      break;
    }
    connection.queued -= frame.size();
    queued_total_ -= frame.size();
    connection.queue.pop_front();
    set_deadline(connection, limits_.stall_usec);
  }
  if (connection.queue.empty()) set_deadline(connection, connection.busy ? limits_.busy_usec : limits_.idle_usec);
  listen_for(connection);
}

void ControlServer::listen_for(Connection& connection) {
  std::uint32_t events = 0;
  if (!connection.queue.empty())
    events = EPOLLOUT;
  else if (!connection.busy)
    events = EPOLLIN;
  connection.source.events(events);
}

void ControlServer::drop(std::uint64_t number) {
  const auto it = connections_.find(number);
  if (it == connections_.end()) return;
  Connection& connection = *it->second;
  queued_total_ -= connection.queued;
  if (connection.caller.root()) --root_connections_;
  for (const QuotaKey& key : quotas_of(connection.caller)) --quotas_[key].connections;
  connections_.erase(it);
  // Who has no connection and has not asked for long has a full bucket again: nothing to remember.
  if (quotas_.size() > kQuotasKept) {
    const auto full = static_cast<std::uint64_t>(limits_.burst / limits_.frames_per_second * 1e6);
    const std::uint64_t at = now();
    std::erase_if(quotas_, [&](const auto& entry) {
      return entry.second.connections == 0 && at - entry.second.refilled > full;
    });
  }
}

void ControlServer::set_deadline(Connection& connection, std::uint64_t usec) {
  connection.deadline = now() + usec;
  if (connection.deadline < armed_) {
    armed_ = connection.deadline;
    sweeping_.arm(armed_);
  }
}

void ControlServer::sweep() {
  const std::uint64_t at = now();
  std::vector<std::uint64_t> late;
  armed_ = UINT64_MAX;
  for (const auto& [number, connection] : connections_) {
    if (connection->deadline <= at)
      late.push_back(number);
    else
      armed_ = std::min(armed_, connection->deadline);
  }
  for (const std::uint64_t number : late) drop(number);
  if (armed_ != UINT64_MAX) sweeping_.arm(armed_);
}

}  // namespace jit
