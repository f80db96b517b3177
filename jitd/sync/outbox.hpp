// VAR/outbox: what jitd has to say to its sources, one file for each. jitd alone writes there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

// The file `host` of it: who this host is.
struct OutboxHost {
  std::string host;
  std::vector<std::string> segments;
  std::string key;  // fingerprint of the host key, as ssh-keygen -l prints it
  bool operator==(const OutboxHost&) const = default;
};

inline constexpr const char* kOutboxHost = "host";

// "host NAME", any number of "segment NAME", "key FINGERPRINT", one a line and nothing else.
[[nodiscard]] Result<OutboxHost> parse_outbox_host(std::string_view text);

// Names of what is posted: "r-ID.jit" a request that waits, "e-SSSSSSSSSSSS.jit" an event by its number, "alive.jit".
// Nothing else is ever posted, or removed from a source. In the order in which they are posted.
enum class OutboxKind : std::uint8_t { none, request, event, alive };
[[nodiscard]] OutboxKind outbox_kind(std::string_view name);

}  // namespace jit
