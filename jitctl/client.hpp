// jitd's control socket, seen from jitctl. Both ends check the other: the daemon reads our credentials from the
// kernel, and we speak to nobody but uid 0 (a socket at our path may be an impostor's).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jitctl/row.hpp"
#include "jitd/sys/fd.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

struct Reply {
  wire::Status status = wire::Status::failed;
  std::string message;  // for people; raw, to be shown through shown()
  Row result;           // the fields of the result frame
  std::vector<Row> items;
  [[nodiscard]] bool ok() const { return status == wire::Status::done; }
  // Of a reply that lists names and values (health): the value; empty where the name is not there.
  [[nodiscard]] std::string value(std::string_view name) const;
};

inline constexpr std::chrono::milliseconds kCallDeadline{30000};

// One question, one reply. An Error means that no reply came: Errc::unavailable when jitd does not answer or is not
// to be believed. What jitd itself says, refusals too, is a Reply.
class Daemon {
 public:
  virtual ~Daemon() = default;
  [[nodiscard]] virtual Result<Reply> call(wire::Verb verb, const Row& fields,
                                           std::chrono::milliseconds deadline = kCallDeadline) = 0;
};

// Set by SIGINT while a call waits; see filing.cpp. With Signals::all by SIGTERM and SIGHUP too.
class Interrupt {
 public:
  enum class Signals : std::uint8_t { interrupt, all };
  explicit Interrupt(Signals signals = Signals::interrupt) noexcept;  // from here on they only set the flag
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  [[nodiscard]] static bool pressed() noexcept { return signal() != 0; }
  [[nodiscard]] static int signal() noexcept;  // which; 0: none
  // Readable from then on, for whoever waits in poll(2); -1 where there is none to be had.
  [[nodiscard]] int descriptor() const noexcept { return event_.get(); }

 private:
  UniqueFd event_;
  std::size_t count_;
};

class SocketDaemon final : public Daemon {
 public:
  explicit SocketDaemon(std::string path = wire::kControlSocket) : path_(std::move(path)) {}
  // Connects at the first call, keeps the connection, and connects once more when the daemon was restarted meanwhile.
  [[nodiscard]] Result<Reply> call(wire::Verb verb, const Row& fields, std::chrono::milliseconds deadline) override;

 private:
  [[nodiscard]] Result<void> connect();
  [[nodiscard]] Result<Reply> exchange(wire::Verb verb, const Row& fields, std::chrono::milliseconds deadline,
                                       bool* gone);

  std::string path_;
  UniqueFd socket_;
  std::uint32_t next_id_ = 1;
};

}  // namespace jit::ctl
