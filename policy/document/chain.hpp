// The audit chain: every entry holds the hash of the one before, so that nothing in the middle can be changed or
// taken out unseen. The format and its check, pure: jitd writes it (jitd/audit), auditors verify it (jitctl audit
// verify).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/digest.hpp"
#include "policy/result.hpp"

namespace jit {

// One entry. Canonical text, which is hashed:
//   <sequence> <time, RFC 3339 UTC> <event> <previous hash, 64 hex>\n
//   <key>=<value, escaped as escape_word>\n ...        keys sorted
// hash = SHA-256 of that text. The first entry's previous is 64 zeros.
struct ChainEntry {
  std::uint64_t sequence = 0;  // from 1, without gaps
  std::int64_t time = 0;       // seconds, wall clock
  std::string event;           // one word: request, activate, end, review, revoke, deny, check, gap, start, ...
  std::map<std::string, std::string> fields;
  Digest previous;
  Digest hash;
};

[[nodiscard]] std::string canonical_text(const ChainEntry& entry);
[[nodiscard]] Digest chain_hash(const ChainEntry& entry);

// Checks a run of entries from `before` (zeros for the start) on: sequence, previous, hash. The error names the first
// entry that does not fit.
[[nodiscard]] Result<void> verify_chain(const std::vector<ChainEntry>& entries, const Digest& before,
                                        std::uint64_t first_sequence);

}  // namespace jit
