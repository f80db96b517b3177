// Lines to the system journal with structured fields, or to stderr where there is no journal.
#pragma once

#include "jitd/core/engine.hpp"

namespace jit {

// Sends one line (sd_journal_sendv(3)). Texts are escaped and bounded (P10). Without /run/systemd/journal/socket,
// where sd_journal_sendv would drop it silently, the message goes to stderr with its fields behind it.
void write_journal(const JournalLine& line) noexcept;

// The line as stderr gets it, without LF; for tests.
[[nodiscard]] std::string journal_text(const JournalLine& line);

}  // namespace jit
