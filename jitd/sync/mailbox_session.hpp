// One connection to a host's mailbox, as that host answers it: reads commands, says what the outbox has for the
// visitor, hands on what they put. Whoever is at the other end is a stranger with a key: nothing they send makes this
// wait, grow or read anything but what the visitor may see.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "jitd/sync/mailbox_lines.hpp"
#include "jitd/sync/shown_outbox.hpp"
#include "jitd/sys/clock.hpp"
#include "policy/result.hpp"

namespace jit {

// What one connection may have. Times are of the boot-time clock.
struct SessionLimits {
  std::uint64_t commands = 20000;
  std::uint64_t puts = 500;
  std::uint64_t bytes_in = std::uint64_t{24} << 20;
  std::uint64_t bytes_out = std::uint64_t{512} << 20;
  std::chrono::milliseconds total{600'000};
  std::chrono::milliseconds idle{60'000};  // for one whole command, and for what it is answered with to be read
  std::chrono::milliseconds wait{30'000};  // a `wait` without news
  std::chrono::milliseconds pause{100};    // between two looks that showed nothing new
};

// What a session asks of its host. Errors go to the visitor.
class MailboxHost {
 public:
  virtual ~MailboxHost() = default;
  // Before each command: may the visitor still come, as who they were? An error is the last thing said.
  [[nodiscard]] virtual Result<void> welcome() = 0;
  // A document that was put.
  [[nodiscard]] virtual Result<void> take(std::string_view bytes) = 0;
};

class MailboxSession {
 public:
  // Reads `in`, writes `out`, which are made non-blocking and may be one and the same. All must outlive it. The
  // program ignores SIGPIPE.
  MailboxSession(int in, int out, ShownOutbox& outbox, MailboxHost& host, const Clock& clock,
                 SessionLimits limits = {});

  // Greets, and answers until the visitor goes, something is used up or a line makes no sense. What came of it, for
  // the journal.
  [[nodiscard]] std::string serve();

 private:
  enum class Came : std::uint8_t { bytes, news, nothing };  // nothing: the time is over, or nothing more will come
  [[nodiscard]] std::uint64_t now() const { return clock_.now().boot_ms; }
  Came await(std::uint64_t until, bool news);
  void take_in();
  bool say(const MailboxReply& reply);
  bool say_bytes(std::string_view bytes);
  bool complain(const Error& error);
  std::string over(Errc code, const std::string& why);
  [[nodiscard]] std::string used_up() const;
  bool answer(const MailboxCommand& command);
  bool list();
  bool get(const std::string& name);
  bool wait();
  std::optional<std::string> body(std::size_t size);

  int in_, out_;
  ShownOutbox& outbox_;
  MailboxHost& host_;
  const Clock& clock_;
  SessionLimits limits_;
  MailboxInput input_;
  bool ended_ = false;  // nothing more comes in
  bool gone_ = false;   // nobody reads any more
  std::uint64_t started_, idle_until_ = 0;
  std::uint64_t commands_ = 0, puts_ = 0, bytes_in_ = 0, bytes_out_ = 0;
};

// One-off: an error line, for whoever gets no session.
void refuse_mailbox(int out, const Error& error);

}  // namespace jit
