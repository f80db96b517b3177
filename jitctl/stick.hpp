// A mailbox in a folder that somebody carries: on a host `export --all --to DIR` and `import DIR` know it by its
// folders to/ and from/, so that one stick goes round several hosts, and back to who approves (--source DIR).
#pragma once

#include <string>

#include "jitctl/context.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// Whether DIR has a folder to/ or from/ in it.
[[nodiscard]] bool is_mailbox_folder(const std::string& directory);

// Makes both, and DIR. What is there stays.
[[nodiscard]] Result<void> make_mailbox_folder(const std::string& directory);

// What this host has to say into from/HOST: as root the whole outbox of jitd, else the requests that the caller may
// see; what was there of it before and is over goes.
[[nodiscard]] Outcome export_to_mailbox(Context& context, const std::string& directory);

// Hands what lies there for this host and its segments to jitd, and says what each did.
[[nodiscard]] Outcome import_from_mailbox(Context& context, const std::string& directory);

}  // namespace jit::ctl
