#include "jitd/server/journal.hpp"

#include <fmt/format.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

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

bool journal_there() noexcept {
  return ::access("/run/systemd/journal/socket", W_OK) == 0;
}

}  // namespace

std::string journal_text(const JournalLine& line) {
  std::string text = fmt::format("<{}>jitd: {}", std::clamp(line.priority, 0, 7), shown(line.message, kMaxText));
  for (const auto& [name, value] : line.fields)
    if (field_name(name)) text += fmt::format(" {}={}", name, escape_word(shown(value, kMaxText)));
  return text;
}

void write_journal(const JournalLine& line) noexcept try {
  if (!journal_there()) {
    const std::string text = journal_text(line) + "\n";
    (void)!::write(STDERR_FILENO, text.data(), text.size());
    return;
  }
  std::vector<std::string> fields = {"MESSAGE=" + shown(line.message, kMaxText),
                                     fmt::format("PRIORITY={}", std::clamp(line.priority, 0, 7)),
                                     "SYSLOG_IDENTIFIER=jitd", "SYSLOG_FACILITY=10"};  // authpriv
  for (const auto& [name, value] : line.fields)
    if (field_name(name)) fields.push_back(name + "=" + shown(value, kMaxText));
  std::vector<iovec> parts;
  parts.reserve(fields.size());
  for (auto& field : fields) parts.push_back({field.data(), field.size()});
  (void)sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
} catch (...) {
  // Out of memory: the line is lost, the daemon goes on.
}

}  // namespace jit
