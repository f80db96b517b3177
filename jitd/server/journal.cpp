#include "jitd/server/journal.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxText = 2048;

// Journal field names: A-Z, 0-9 and _, not starting with _ (systemd.journal-fields(7)).
bool field_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '_' && std::ranges::all_of(name, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// As the protocol wants it: FIELD=value LF. Values have no LF of their own, for shown() leaves none.
std::string datagram(const JournalLine& line) {
  std::string text = fmt::format("MESSAGE={}\nPRIORITY={}\nSYSLOG_IDENTIFIER=jitd\nSYSLOG_FACILITY=10\n",  // authpriv
                                 shown(line.message, kMaxText), std::clamp(line.priority, 0, 7));
  for (const auto& [name, value] : line.fields)
    if (field_name(name)) text += fmt::format("{}={}\n", name, shown(value, kMaxText));
  return text;
}

}  // namespace

std::string journal_text(const JournalLine& line) {
  std::string text = fmt::format("<{}>jitd: {}", std::clamp(line.priority, 0, 7), shown(line.message, kMaxText));
  for (const auto& [name, value] : line.fields)
    if (field_name(name)) text += fmt::format(" {}={}", name, escape_word(shown(value, kMaxText)));
  return text;
}

Journal::Sent Journal::send(const JournalLine& line) {
  if (!socket_) socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!socket_ || path_.size() >= sizeof address.sun_path) return Sent::no_journal;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  const std::string text = datagram(line);
  for (;;) {
    if (::sendto(socket_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), sizeof address) >= 0)
      return Sent::yes;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == ENOBUFS ? Sent::no_room : Sent::no_journal;
  }
}

void Journal::write(const JournalLine& line) noexcept try {
  if (lost_ > 0) {
    const JournalLine count{
        4, fmt::format("{} lines were lost while the journal did not take any", lost_), {{"JIT_EVENT", "journal"}}};
    if (send(count) == Sent::yes) lost_ = 0;
  }
  const Sent sent = send(line);
  if (sent == Sent::no_room) ++lost_;
  if (sent != Sent::no_journal) return;
  const std::string text = journal_text(line) + "\n";
  (void)!::write(STDERR_FILENO, text.data(), text.size());
} catch (...) {
  // Out of memory: the line is lost, the daemon goes on.
}

void write_journal(const JournalLine& line) noexcept {
  static Journal journal;
  journal.write(line);
}

}  // namespace jit
