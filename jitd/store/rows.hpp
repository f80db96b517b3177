// Values of records as columns of jit.db, and back. What does not read back is an error, never a default.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/store/store.hpp"
#include "policy/result.hpp"

namespace jit::rows {

void bind(SQLite::Statement& statement, int index, const Digest& digest);
[[nodiscard]] Result<Digest> digest_at(const SQLite::Statement& statement, int index);

// Lists, one entry a line.
[[nodiscard]] std::string lines(const std::vector<std::string>& list);
[[nodiscard]] std::vector<std::string> from_lines(std::string_view text);
[[nodiscard]] std::string lines(const std::vector<PersonRef>& people);
[[nodiscard]] Result<std::vector<PersonRef>> people_from_lines(std::string_view text);
[[nodiscard]] std::string lines(const std::vector<Digest>& digests);
[[nodiscard]] Result<std::vector<Digest>> digests_from_lines(std::string_view text);
// key=value, values escaped as escape_word does.
[[nodiscard]] std::string lines(const std::map<std::string, std::string>& fields);
[[nodiscard]] Result<std::map<std::string, std::string>> fields_from_lines(std::string_view text);

// Whole rows, in the order of the column lists below.
inline constexpr const char* kDocumentColumns = "digest, kind, text, received, keep_until, void_keys";
inline constexpr const char* kGrantColumns =
    "digest, id, direct, user, uid, role, reason, ticket, requesters, asked, duration, created, expires, effects, "
    "state, "
    "why, activated, not_after, boot_id, boot_deadline_ms, ended, facts_groups, consents, rule, start, extends, "
    "once, session, ask";
inline constexpr const char* kLockColumns = "digest, users, keys, approvers, created, until, lifted, reason, signers";
inline constexpr const char* kRevocationColumns =
    "digest, created, documents, users, approvers, every, reason, signers, revoker, roles";
inline constexpr const char* kEventColumns = "sequence, created, keep_until, document, text";
inline constexpr const char* kListColumns = "number, digest, created, next_update, boot_id, boot_ms, age_ms, viewed";
inline constexpr const char* kAuditColumns = "sequence, time, event, fields, previous, hash";

void bind(SQLite::Statement& statement, const StoredDocument& document);
void bind(SQLite::Statement& statement, const GrantRecord& grant);
void bind(SQLite::Statement& statement, const LockRecord& lock);
void bind(SQLite::Statement& statement, const RevocationRecord& revocation);
void bind(SQLite::Statement& statement, const ListRecord& list);
void bind(SQLite::Statement& statement, const ChainEntry& entry);
void bind(SQLite::Statement& statement, const StoredEvent& event);
void read(const SQLite::Statement& statement, Result<StoredDocument>& into);
void read(const SQLite::Statement& statement, Result<GrantRecord>& into);
void read(const SQLite::Statement& statement, Result<LockRecord>& into);
void read(const SQLite::Statement& statement, Result<RevocationRecord>& into);
void read(const SQLite::Statement& statement, Result<ListRecord>& into);
void read(const SQLite::Statement& statement, Result<ChainEntry>& into);
void read(const SQLite::Statement& statement, Result<StoredEvent>& into);

}  // namespace jit::rows
