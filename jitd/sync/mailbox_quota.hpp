// What one key may have of a host's mailbox, over all connections by that key: so many at once, so many documents a
// minute, so many in the inbox that jitd has not taken yet. Kept in files of a folder in /run that only the mailbox's
// own account can read; what a connection holds goes with its process, however that ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jitd/sys/fd.hpp"
#include "policy/document/signature.hpp"
#include "policy/result.hpp"

namespace jit {

struct KeyLimits {
  unsigned connections = 8;
  unsigned puts_a_minute = 120;  // and no more at once
  unsigned waiting = 16;         // documents in the inbox
};

// Puts that a key still has: they come back one by one over a minute.
struct PutBudget {
  std::uint64_t left = 0;
  std::uint64_t since_ms = 0;  // boot-time clock: when the last one came back
};
// After one more put at `now_ms`; nullopt: there is none left. A budget from a time to come is a full one.
[[nodiscard]] std::optional<PutBudget> after_put(PutBudget budget, unsigned puts_a_minute, std::uint64_t now_ms);

class KeyQuota {
 public:
  // One of the key's connections, as long as it lives. Errc::busy: it has as many as it may.
  [[nodiscard]] static Result<KeyQuota> open(const std::string& run_folder, const PublicKey& key, KeyLimits limits);

  // Errc::busy: no more for now.
  [[nodiscard]] Result<void> take_put(std::uint64_t now_ms);

  // A file of the inbox under one of the names that this key has there, which nobody else can guess, whole and on
  // disk. Errc::busy: all of them stand there still.
  [[nodiscard]] Result<void> deliver(const std::string& inbox, std::string_view bytes) const;

 private:
  KeyQuota(UniqueFd folder, std::string key, KeyLimits limits)
      : folder_(std::move(folder)), key_(std::move(key)), limits_(limits) {}
  UniqueFd folder_, connection_;
  std::string key_;     // names its files
  std::string secret_;  // makes its names in the inbox
  KeyLimits limits_;
};

}  // namespace jit
