#include "jitd/store/schema.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

namespace jit {
namespace {

// The tables of version 2; what later ones add is added to these in a new database too. Digests are 32-byte blobs,
// times seconds since 1970, lists of names one a line (no name has an LF).
constexpr const char* kTables = R"sql(
CREATE TABLE documents (
  digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
  kind INTEGER NOT NULL,
  text TEXT NOT NULL,
  received INTEGER NOT NULL,
  keep_until INTEGER NOT NULL,
  void_keys TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE reviews (
  request BLOB NOT NULL REFERENCES documents (digest) ON DELETE CASCADE,
  review BLOB NOT NULL REFERENCES documents (digest) ON DELETE CASCADE,
  PRIMARY KEY (request, review)
) STRICT, WITHOUT ROWID;
CREATE INDEX reviews_by_review ON reviews (review);

CREATE TABLE grants (
  digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
  id TEXT NOT NULL,
  direct INTEGER NOT NULL,
  user TEXT NOT NULL,
  uid INTEGER NOT NULL,
  role TEXT NOT NULL,
  reason TEXT NOT NULL,
  ticket TEXT NOT NULL,
  requesters TEXT NOT NULL,
  asked INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  effects TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'activating', 'active', 'ended', 'refused')),
  why TEXT NOT NULL,
  activated INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  boot_deadline_ms INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  facts_groups TEXT NOT NULL,
  consents TEXT NOT NULL,
  rule TEXT NOT NULL,
  start INTEGER NOT NULL DEFAULT 0,
  extends TEXT NOT NULL DEFAULT '',
  once INTEGER NOT NULL DEFAULT 0,
  session TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_state ON grants (state, ended);
CREATE INDEX grants_by_uid ON grants (uid, role);

CREATE TABLE locks (
  digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
  users TEXT NOT NULL,
  keys TEXT NOT NULL,
  approvers TEXT NOT NULL,
  created INTEGER NOT NULL,
  until INTEGER NOT NULL,
  lifted INTEGER NOT NULL,
  reason TEXT NOT NULL,
  signers TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revocations (
  digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
  created INTEGER NOT NULL,
  documents TEXT NOT NULL,
  users TEXT NOT NULL,
  approvers TEXT NOT NULL,
  every INTEGER NOT NULL,
  reason TEXT NOT NULL,
  signers TEXT NOT NULL,
  revoker INTEGER NOT NULL,
  roles TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  event TEXT NOT NULL,
  fields TEXT NOT NULL,
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE "values" (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// From version 1, which gave nothing that waits for a start, extends or is for one session.
constexpr const char* kFromVersion1 = R"sql(
ALTER TABLE grants ADD COLUMN start INTEGER NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN extends TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN once INTEGER NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN session TEXT NOT NULL DEFAULT '';
CREATE INDEX grants_by_uid ON grants (uid, role);
)sql";

// New in version 3: asks from elsewhere, what is told of what happens here, and numbered
// revocation lists, those that the host's view needs.
constexpr const char* kElsewhere = R"sql(
ALTER TABLE grants ADD COLUMN ask TEXT NOT NULL DEFAULT '';
CREATE TABLE asks (
  ask BLOB PRIMARY KEY REFERENCES documents (digest) ON DELETE CASCADE,
  request BLOB NOT NULL CHECK (length(request) = 32)
) STRICT, WITHOUT ROWID;
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY,
  created INTEGER NOT NULL,
  keep_until INTEGER NOT NULL,
  document BLOB CHECK (document IS NULL OR length(document) = 32),
  text TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_document ON events (document) WHERE document IS NOT NULL;
CREATE TABLE lists (
  number INTEGER PRIMARY KEY,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  created INTEGER NOT NULL,
  next_update INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  boot_ms INTEGER NOT NULL,
  age_ms INTEGER NOT NULL,
  viewed INTEGER NOT NULL
) STRICT;
)sql";

}  // namespace

Result<void> prepare_schema(SQLite::Database& database) {
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version > kSchemaVersion) {
    return fail(Errc::refused, "the database has schema version " + std::to_string(version) +
                                   ", and this release knows versions up to " + std::to_string(kSchemaVersion) +
                                   ": install the newer jitd again");
  }
  if (version == kSchemaVersion) return {};
  SQLite::Transaction transaction(database);
  if (version < 2) database.exec(version == 0 ? kTables : kFromVersion1);
  database.exec(kElsewhere);
  database.exec("PRAGMA user_version = " + std::to_string(kSchemaVersion));
  transaction.commit();
  return {};
}

}  // namespace jit
