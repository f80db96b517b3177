// What a host's mailbox and whoever calls it over ssh say to each other, line by line: docs/PROTOCOL.md has it byte
// by byte. Both ends read with what is here, and neither believes the other: lines and sizes are bounded, and
// anything else than the few forms below is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jitd/sync/mailbox.hpp"
#include "policy/result.hpp"

namespace jit {

inline constexpr std::size_t kMaxMailboxCommand = 300;  // bytes of a line to the host, without LF
inline constexpr std::size_t kMaxMailboxReply = 2048;   // bytes of a line from the host, without LF
inline constexpr std::size_t kMaxMailboxItems = 100000;

// Names that go over the line: those of document_name() in letters, digits and "._-" alone.
[[nodiscard]] bool mailbox_name(std::string_view name);

// What came so far of a stream of lines, with blocks of bytes between them.
class MailboxInput {
 public:
  void add(std::string_view bytes);
  [[nodiscard]] bool empty() const { return at_ == text_.size(); }
  // The next line, without LF; nullopt: it is not all there yet. Errc::invalid: it is longer than `limit`.
  [[nodiscard]] Result<std::optional<std::string>> line(std::size_t limit);
  // The next `size` bytes, whatever they are; nullopt: not all there yet.
  [[nodiscard]] std::optional<std::string> block(std::size_t size);

 private:
  std::string text_;
  std::size_t at_ = 0;  // what is before it has been taken
};

// One line to the host.
struct MailboxCommand {
  enum class Verb : std::uint8_t { list, get, put, wait, quit };
  Verb verb = Verb::quit;
  std::string name;      // get
  std::size_t size = 0;  // put: of the block behind the line
};
[[nodiscard]] Result<MailboxCommand> parse_mailbox_command(std::string_view line);
[[nodiscard]] std::string to_line(const MailboxCommand& command);  // with LF

// One line from the host.
struct MailboxReply {
  enum class What : std::uint8_t { greeting, item, end, data, ok, changed, same, bye, error };
  What what = What::bye;
  std::string host = {};     // greeting
  Item item = {};            // item
  std::uint64_t number = 0;  // end: of items; data: bytes of the block behind the line
  Error error = {};          // error
};
// Errors: another form, a version that is not known here, a number or word out of its bounds.
[[nodiscard]] Result<MailboxReply> parse_mailbox_reply(std::string_view line);
[[nodiscard]] std::string to_line(const MailboxReply& reply);  // with LF

}  // namespace jit
