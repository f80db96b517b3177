// The tables of jit.db and how one release's become the next one's.
#pragma once

#include "policy/result.hpp"

namespace SQLite {
class Database;
}

namespace jit {

inline constexpr int kSchemaVersion = 3;

// Makes the tables of an empty database; refuses one that a newer release wrote. Throws SQLite::Exception.
[[nodiscard]] Result<void> prepare_schema(SQLite::Database& database);

}  // namespace jit
