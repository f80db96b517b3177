// control.sock: connections, frames and quotas. Knows frames, not verbs (server/dispatch.hpp), and who is at the
// other end only from the kernel. Never blocks: what a client does not take is queued within bounds, and a client
// that does not take it is dropped.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/core/engine.hpp"
#include "jitd/server/loop.hpp"
#include "jitd/sys/fd.hpp"
#include "jitd/sys/peer.hpp"
#include "jitd/wire/codec.hpp"

namespace jit {

class ControlServer;

// The reply to one request, whenever it comes. Copies stand for the same reply; one whose connection is gone does
// nothing.
class Responder {
 public:
  // One row. fill(Writer&) puts its fields; false when it did not fit a frame, and then nothing was sent.
  template <class Fill>
  bool item(Fill&& fill) const;
  // The end of the reply. With fields that do not fit, a failure that says so.
  template <class Fill>
  void result(wire::Status status, std::string_view message, Fill&& fill) const;
  void result(wire::Status status, std::string_view message) const;
  void failure(const Error& error) const;
  // Whether somebody still waits for it.
  [[nodiscard]] bool alive() const;

 private:
  friend class ControlServer;
  Responder(ControlServer& server, std::uint64_t connection, std::uint32_t id)
      : server_(&server), connection_(connection), id_(id) {}
  [[nodiscard]] wire::Writer writer(wire::Verb verb) const;
  bool send(wire::Writer& writer, bool last) const;

  ControlServer* server_;
  std::uint64_t connection_;
  std::uint32_t id_;
};

struct ControlLimits {
  std::size_t connections = 512;                             // of all users but root together
  std::size_t root_connections = 64;                         // beside them
  std::size_t per_uid = 16;                                  // and for the other uids of one login together
  std::size_t queued_bytes = std::size_t{16} * 1024 * 1024;  // replies that one client has not taken yet
  std::size_t queued_total = std::size_t{64} * 1024 * 1024;  // of all clients together
  std::uint64_t first_usec = 10'000'000;                     // from connecting to the first request
  std::uint64_t idle_usec = 60'000'000;                      // between requests
  std::uint64_t stall_usec = 10'000'000;                     // without taking anything of a reply
  std::uint64_t busy_usec = 3'660'000'000;                   // for a reply to begin: `wait` takes up to an hour
  double frames_per_second = 10;                             // of one uid but root, as per_uid; with bursts:
  double burst = 60;
};

class ControlServer {
 public:
  // Called for each well-formed frame. The frame's views end with the call; the responder may be kept.
  using Handler = std::function<void(const Caller& caller, const wire::Frame& frame, Responder reply)>;
  using Identify = std::function<Result<Peer>(int)>;  // peer_of but in tests

  // Listens on `listener` (non-blocking, SOCK_SEQPACKET).
  ControlServer(Loop& loop, UniqueFd listener, Handler handler, ControlLimits limits = {},
                Identify identify = peer_of);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();

  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  friend class Responder;
  struct Connection {
    std::uint64_t number = 0;
    UniqueFd fd;
    UniqueFd pidfd;
    Caller caller;
    Source source;
    std::deque<std::string> queue;
    std::size_t queued = 0;
    std::uint64_t deadline = 0;  // boot time, microseconds
    bool busy = false;           // a request is being answered: no other is read
  };
  // Whose allowance: that of a uid, or what goes out from one login under other uids. Both bind: a user has thousands
  // of subordinate uids (subuid(5)), and a process that nobody's login started may choose its login uid.
  struct QuotaKey {
    bool by_login = false;
    std::uint32_t uid = 0;
    auto operator<=>(const QuotaKey&) const = default;
  };
  struct Quota {
    std::size_t connections = 0;
    double tokens = 0;
    std::uint64_t refilled = 0;
  };

  [[nodiscard]] static std::vector<QuotaKey> quotas_of(const Caller& caller);
  void accept_some();
  void admit(UniqueFd fd);
  void on_event(std::uint64_t number, std::uint32_t events);
  [[nodiscard]] bool read_one(std::uint64_t number);
  [[nodiscard]] bool take_token(const Caller& caller);
  bool enqueue(std::uint64_t number, std::span<const std::byte> frame, bool last);
  void flush(Connection& connection);
  void drop(std::uint64_t number);
  void set_deadline(Connection& connection, std::uint64_t usec);
  void sweep();
  void listen_for(Connection& connection);
  Connection* find(std::uint64_t number);

  Loop& loop_;
  UniqueFd listener_;
  Handler handler_;
  ControlLimits limits_;
  Identify identify_;
  UniqueFd reserve_;  // given up for a moment to refuse a client when there is no free descriptor
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<QuotaKey, Quota> quotas_;
  std::size_t root_connections_ = 0;
  std::size_t queued_total_ = 0;
  std::uint64_t next_ = 1;
  std::uint64_t armed_ = UINT64_MAX;
  std::vector<std::byte> in_, out_;
  Source accepting_, sweeping_;
};

// A listening SOCK_SEQPACKET socket at `path`, which takes the place of what was there by rename.
[[nodiscard]] Result<UniqueFd> listen_at(const std::string& path, unsigned mode);

template <class Fill>
bool Responder::item(Fill&& fill) const {
  auto frame = writer(wire::Verb::item);
  fill(frame);
  return send(frame, false);
}

template <class Fill>
void Responder::result(wire::Status status, std::string_view message, Fill&& fill) const {
  auto frame = writer(wire::Verb::result);
  frame.number(wire::Tag::status, static_cast<std::uint64_t>(status));
  if (!message.empty()) frame.text(wire::Tag::message, message);
  fill(frame);
  if (!send(frame, true)) failure(Error{Errc::system, "the answer does not fit into one message", 0});
}

}  // namespace jit
