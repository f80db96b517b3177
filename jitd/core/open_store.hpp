// The database at a start, also when there is none any more. What is damaged, or older than the one that was last
// written here, is set aside under another name, and a new one begins with what can be proven: nothing is in force,
// locks and revocations come back from their signed files, and no grant counts that was signed before, since nobody
// knows any longer which of those have ended.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "jitd/core/expire.hpp"
#include "jitd/core/host.hpp"
#include "jitd/store/store.hpp"

namespace jit {

// Value in the database: no grant counts that was signed up to this second.
inline constexpr const char* kMemorySince = "memory_since";
inline constexpr const char* kClockMark = "clock_mark";

struct OpenedStore {
  std::unique_ptr<Store> store;
  std::string lost;  // what happened to the one before, in words; empty: it is the one before
};

// Opens VAR/jit.db. Damaged (not a database, torn, or `damaged` says so), or older than what was last written here:
// set aside as jit.db.damaged-TIME. Gone, empty or set aside on a host that has held grants: everything is ended as
// `--expire --all` does, and a new one made. Errors: it cannot be read now (locked by somebody, a newer schema, the
// disk); then nothing is changed.
[[nodiscard]] Result<OpenedStore> open_store(const Paths& paths, const ExpirePorts& ports,
                                             const std::string& damaged = "");

// Databases that were set aside and lie there still, by path.
[[nodiscard]] std::vector<std::string> set_aside(const Paths& paths);

}  // namespace jit
