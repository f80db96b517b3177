// Lines to the system journal with structured fields, or to stderr where there is no journal. Never waits: a journald
// that does not read costs lines, not logins and ends of grants.
#pragma once

#include <cstdint>
#include <string>

#include "jitd/core/engine.hpp"
#include "jitd/sys/fd.hpp"

namespace jit {

// A sender of datagrams in journald's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL), which
// sd_journal_sendv(3) speaks over a socket that waits.
class Journal {
 public:
  explicit Journal(std::string path = "/run/systemd/journal/socket") : path_(std::move(path)) {}

  // Sends one line. Texts are escaped and bounded (P10). Without a journal the message goes to stderr with its fields
  // behind it. What journald had no room for is counted, and the count sent when it has.
  void write(const JournalLine& line) noexcept;
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  enum class Sent : std::uint8_t { yes, no_room, no_journal };
  [[nodiscard]] Sent send(const JournalLine& line);

  std::string path_;
  UniqueFd socket_;
  std::uint64_t lost_ = 0;  // since the last count that was sent
};

// The daemon's journal. Of its main thread.
void write_journal(const JournalLine& line) noexcept;

// The line as stderr gets it, without LF; for tests.
[[nodiscard]] std::string journal_text(const JournalLine& line);

}  // namespace jit
