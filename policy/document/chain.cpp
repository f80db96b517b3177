#include "policy/document/chain.hpp"

#include <fmt/format.h>

#include "policy/text.hpp"
#include "policy/time.hpp"

namespace jit {

std::string canonical_text(const ChainEntry& entry) {
  std::string text = fmt::format("{} {} {} {}\n", entry.sequence, format_utc(WallTime(Seconds(entry.time))),
                                 escape_word(entry.event), to_hex(entry.previous.bytes));
  // std::map keeps the keys sorted by byte. '=' is escaped in keys, so that the first one always ends the key.
  for (const auto& [key, value] : entry.fields) {
    text += fmt::format("{}={}\n", escape_word(key, "[]:,="), escape_word(value));
  }
  return text;
}

Digest chain_hash(const ChainEntry& entry) {
  return sha256(canonical_text(entry));
}

Result<void> verify_chain(const std::vector<ChainEntry>& entries, const Digest& before,
                          std::uint64_t first_sequence) {
  Digest previous = before;
  std::uint64_t sequence = first_sequence;
  for (const ChainEntry& entry : entries) {
    const auto wrong = [&](std::string_view why) {
      return fail(Errc::invalid, fmt::format("audit chain: entry {} {}", entry.sequence, why));
    };
    if (entry.sequence != sequence)
      return wrong(fmt::format("stands where {} is due: entries are missing or moved", sequence));
    if (entry.previous != previous) return wrong("does not continue the entry before it: one of them was changed");
    if (entry.hash != chain_hash(entry)) return wrong("was changed: its hash does not fit its text");
    previous = entry.hash;
    ++sequence;
  }
  return {};
}

}  // namespace jit
