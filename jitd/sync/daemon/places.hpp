// Where jitd-sync finds things, and what it reads of them. Only tests say otherwise.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "jitd/sync/outbox.hpp"
#include "policy/sources.hpp"

namespace jit {

struct SyncPlaces {
  std::string etc_jit = "/etc/jit";
  std::string inbox = "/var/lib/jit/inbox";
  std::string outbox = "/var/lib/jit/outbox";
  std::string state = "/var/lib/jit-sync";
};

// One line for the journal, `priority` as in syslog(3). Never waits: a line that nobody reads is lost.
using SyncLog = std::function<void(int priority, const std::string& message)>;
void log_to_stderr(int priority, const std::string& message) noexcept;

// [[sources]] of jitd.toml; of its other keys jitd is the judge. Errors name file, line and key.
[[nodiscard]] Result<std::vector<SourceSpec>> read_source_config(const SyncPlaces& places);
// Errc::not_found: jitd has not written it yet.
[[nodiscard]] Result<OutboxHost> read_outbox_host(const SyncPlaces& places);

}  // namespace jit
