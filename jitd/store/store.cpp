#include "jitd/store/store.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>

#include "jitd/store/head_file.hpp"
#include "jitd/store/rows.hpp"
#include "jitd/store/schema.hpp"
#include "jitd/store/signed_files.hpp"
#include "jitd/sys/fd.hpp"

namespace jit {
namespace {

// Only tools like sqlite3 and backups ever hold the file besides us. A start can wait for them; ends that are to be
// written down cannot, and are tried again.
constexpr int kBusyAtStartMs = 2000, kBusyMs = 100;

// What a call on the database throws, as our error: out of space and broken disks are the system's, not the caller's.
Error as_error(const std::string& what, const SQLite::Exception& thrown) {
  const int code = thrown.getErrorCode();
  const bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;
  const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
  return {busy ? Errc::busy : damaged ? Errc::invalid : Errc::system, what + ": " + thrown.what(), 0};
}

// A statement that is not reset holds its read transaction open.
class Resetting {
 public:
  explicit Resetting(SQLite::Statement& statement) : statement_(statement) {}
  Resetting(const Resetting&) = delete;
  Resetting& operator=(const Resetting&) = delete;
  ~Resetting() { statement_.tryReset(); }

 private:
  SQLite::Statement& statement_;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(std::unique_ptr<SQLite::Database> database, std::optional<SignedFiles> files,
              std::optional<HeadFile> head)
      : database_(std::move(database)), files_(std::move(files)), head_(std::move(head)) {}

  // Whether this is the database that the file beside it speaks of, or an older one. One without any entry is new.
  Result<void> not_older(const std::string& path) {
    const auto written = head_ ? head_->read() : std::nullopt;
    const auto last = audit_head();
    if (!last) return tl::unexpected<Error>(last.error());
    if (!written || !*last) return {};
    const auto there = audit(written->sequence, 1);
    if (!there) return tl::unexpected<Error>(there.error());
    if (!there->empty() && there->front().sequence == written->sequence && there->front().hash == written->hash)
      return {};
    return fail(Errc::invalid,
                path + " is not the one that was last written here, but an older or another one: it has " +
                    std::to_string((*last)->sequence) + " entries of the audit, and " + HeadFile::path_of(path) +
                    " says " + std::to_string(written->sequence));
  }

  Result<std::unique_ptr<Transaction>> begin() override {
    return guarded<std::unique_ptr<Transaction>>("the database does not begin a transaction", [this] {
      return Result<std::unique_ptr<Transaction>>(std::make_unique<Open>(*this));
    });
  }

  Result<void> put(const StoredDocument& document) override {
    const bool refuses = document.kind == Kind::lock || document.kind == Kind::revocation;
    if (refuses && files_) {
      if (Result<void> kept = files_->keep(document.digest, document.text); !kept) return kept;
    }
    // Not INSERT OR REPLACE: that would delete the row first, and with it the links of reviews.
    return write("INSERT INTO documents (" + std::string(rows::kDocumentColumns) +
                     ") VALUES (?,?,?,?,?,?) ON CONFLICT (digest) DO UPDATE SET text = excluded.text, "
                     "keep_until = excluded.keep_until, void_keys = excluded.void_keys",
                 document);
  }

  Result<std::optional<StoredDocument>> document(const Digest& digest) override {
    return one<StoredDocument>(select(rows::kDocumentColumns, "documents WHERE digest = ?"), &digest);
  }

  Result<std::vector<StoredDocument>> reviews_of(const Digest& request) override {
    return all<StoredDocument>(select(rows::kDocumentColumns,
                                      "documents WHERE digest IN (SELECT review FROM reviews WHERE request = ?) "
                                      "ORDER BY received, digest"),
                               [&](SQLite::Statement& statement) { rows::bind(statement, 1, request); });
  }

  Result<void> link_review(const Digest& request, const Digest& review) override {
    return run("INSERT OR IGNORE INTO reviews (request, review) VALUES (?, ?)", [&](SQLite::Statement& statement) {
      rows::bind(statement, 1, request);
      rows::bind(statement, 2, review);
    });
  }

  Result<void> put(const GrantRecord& grant) override {
    return write("INSERT OR REPLACE INTO grants (" + std::string(rows::kGrantColumns) +
                     ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                 grant);
  }

  Result<std::vector<GrantRecord>> grants(std::int64_t since) override {
    return all<GrantRecord>(select(rows::kGrantColumns,
                                   "grants WHERE state IN ('pending', 'activating', 'active') OR ended >= ? "
                                   "ORDER BY created, id"),
                            [&](SQLite::Statement& statement) { statement.bind(1, since); });
  }

  Result<std::optional<GrantRecord>> grant(const Digest& digest) override {
    return one<GrantRecord>(select(rows::kGrantColumns, "grants WHERE digest = ?"), &digest);
  }

  Result<std::vector<GrantRecord>> given_by_rules(std::uint32_t uid, const std::string& role,
                                                  std::int64_t since) override {
    return all<GrantRecord>(
        select(rows::kGrantColumns,
               "grants WHERE uid = ? AND role = ? AND direct = 0 AND consents = '' AND activated > 0 "
               "AND (state IN ('activating', 'active') OR (state = 'ended' AND ended >= ?))"),
        [&](SQLite::Statement& statement) {
          statement.bind(1, static_cast<std::int64_t>(uid));
          statement.bind(2, role);
          statement.bind(3, since);
        });
  }

  Result<void> put(const LockRecord& lock) override {
    if (lock.lifted && files_) files_->drop(lock.digest);
    return write("INSERT OR REPLACE INTO locks (" + std::string(rows::kLockColumns) + ") VALUES (?,?,?,?,?,?,?,?,?)",
                 lock);
  }

  Result<std::vector<LockRecord>> locks() override {
    return all<LockRecord>(select(rows::kLockColumns, "locks ORDER BY created, digest"));
  }

  Result<void> put(const RevocationRecord& revocation) override {
    return write("INSERT OR REPLACE INTO revocations (" + std::string(rows::kRevocationColumns) +
                     ") VALUES (?,?,?,?,?,?,?,?,?,?)",
                 revocation);
  }

  Result<std::vector<RevocationRecord>> revocations() override {
    return all<RevocationRecord>(select(rows::kRevocationColumns, "revocations ORDER BY created, digest"));
  }

  Result<void> set_lists(const std::vector<ListRecord>& lists) override {
    Result<void> done = run("DELETE FROM lists", [](SQLite::Statement&) {});
    for (const ListRecord& list : lists) {
      if (!done) return done;
      done = write("INSERT INTO lists (" + std::string(rows::kListColumns) + ") VALUES (?,?,?,?,?,?,?,?)", list);
    }
    return done;
  }

  Result<std::vector<ListRecord>> lists() override {
    return all<ListRecord>(select(rows::kListColumns, "lists ORDER BY number"));
  }

  Result<std::vector<StoredDocument>> documents_of(Kind kind) override {
    return all<StoredDocument>(select(rows::kDocumentColumns, "documents WHERE kind = ? ORDER BY received, digest"),
                               [&](SQLite::Statement& statement) { statement.bind(1, static_cast<int>(kind)); });
  }

  Result<void> drop(const Digest& document) override {
    return run("DELETE FROM documents WHERE digest = ?",
               [&](SQLite::Statement& statement) { rows::bind(statement, 1, document); });
  }

  Result<void> append(const ChainEntry& entry) override {
    // INSERT alone: an entry that is there is never written over.
    appended_ = ChainHead{entry.sequence, entry.hash};
    return write("INSERT INTO audit (" + std::string(rows::kAuditColumns) + ") VALUES (?,?,?,?,?,?)", entry);
  }

  Result<std::vector<ChainEntry>> audit(std::uint64_t from, std::size_t limit) override {
    return all<ChainEntry>(select(rows::kAuditColumns, "audit WHERE sequence >= ? ORDER BY sequence LIMIT ?"),
                           [&](SQLite::Statement& statement) { bind_page(statement, from, limit); });
  }

  Result<std::optional<ChainEntry>> audit_head() override {
    return one<ChainEntry>(select(rows::kAuditColumns, "audit ORDER BY sequence DESC LIMIT 1"), nullptr);
  }

  Result<void> link_ask(const Digest& ask, const Digest& request) override {
    return run("INSERT INTO asks (ask, request) VALUES (?, ?)", [&](SQLite::Statement& statement) {
      rows::bind(statement, 1, ask);
      rows::bind(statement, 2, request);
    });
  }

  Result<std::optional<Digest>> request_of_ask(const Digest& ask) override {
    return guarded<std::optional<Digest>>("the database does not read", [&]() -> Result<std::optional<Digest>> {
      SQLite::Statement& statement = prepared("SELECT request FROM asks WHERE ask = ?");
      rows::bind(statement, 1, ask);
      const Resetting resetting(statement);
      if (!statement.executeStep()) return std::optional<Digest>();
      Result<Digest> request = rows::digest_at(statement, 0);
      if (!request) return tl::unexpected<Error>(request.error());
      return std::optional<Digest>(*request);
    });
  }

  Result<void> put(const StoredEvent& event) override {
    return write("INSERT INTO events (" + std::string(rows::kEventColumns) + ") VALUES (?,?,?,?,?)", event);
  }

  Result<std::vector<StoredEvent>> events(std::uint64_t from, std::size_t limit) override {
    return all<StoredEvent>(select(rows::kEventColumns, "events WHERE sequence >= ? ORDER BY sequence LIMIT ?"),
                            [&](SQLite::Statement& statement) { bind_page(statement, from, limit); });
  }

  Result<std::optional<EventRange>> event_range() override {
    return guarded<std::optional<EventRange>>("the database does not read", [&] {
      SQLite::Statement& statement = prepared("SELECT min(sequence), max(sequence) FROM events");
      const Resetting resetting(statement);
      std::optional<EventRange> range;
      if (statement.executeStep() && !statement.getColumn(0).isNull()) {
        range = {static_cast<std::uint64_t>(statement.getColumn(0).getInt64()),
                 static_cast<std::uint64_t>(statement.getColumn(1).getInt64())};
      }
      return Result<std::optional<EventRange>>(range);
    });
  }

  Result<bool> answered(const Digest& document) override {
    return guarded<bool>("the database does not read", [&]() -> Result<bool> {
      SQLite::Statement& statement = prepared("SELECT 1 FROM events WHERE document = ? LIMIT 1");
      rows::bind(statement, 1, document);
      const Resetting resetting(statement);
      return statement.executeStep();
    });
  }

  Result<void> forget_events(std::uint64_t first, std::int64_t now) override {
    return run(
        "DELETE FROM events WHERE sequence < ?1 OR sequence < "
        "coalesce((SELECT min(sequence) FROM events WHERE keep_until >= ?2), 9223372036854775807)",
        [&](SQLite::Statement& statement) {
          statement.bind(1, static_cast<std::int64_t>(std::min<std::uint64_t>(first, INT64_MAX)));
          statement.bind(2, now);
        });
  }

  Result<std::optional<std::string>> value(const std::string& name) override {
    return guarded<std::optional<std::string>>("the database does not read", [&] {
      SQLite::Statement& statement = prepared("SELECT value FROM \"values\" WHERE name = ?");
      statement.bind(1, name);
      const Resetting resetting(statement);
      std::optional<std::string> found;
      if (statement.executeStep()) found = statement.getColumn(0).getString();
      return Result<std::optional<std::string>>(std::move(found));
    });
  }

  Result<void> set_value(const std::string& name, const std::string& value) override {
    return run("INSERT OR REPLACE INTO \"values\" (name, value) VALUES (?, ?)", [&](SQLite::Statement& statement) {
      statement.bind(1, name);
      statement.bind(2, value);
    });
  }

  Result<void> forget(std::int64_t now, Seconds retention) override;
  Result<std::vector<std::string>> unread_files() override;

 private:
  class Open final : public Transaction {
   public:
    explicit Open(SqliteStore& store)
        : store_(store), transaction_(*store.database_, SQLite::TransactionBehavior::IMMEDIATE) {
      store_.appended_.reset();
    }
    Result<void> commit() override {
      try {
        transaction_.commit();
        if (store_.appended_ && store_.head_) store_.head_->write(*store_.appended_);
        return {};
      } catch (const SQLite::Exception& thrown) {
        return tl::unexpected<Error>(as_error("the database does not commit", thrown));
      }
    }

   private:
    SqliteStore& store_;
    SQLite::Transaction transaction_;
  };

  template <class T, class Call>
  static Result<T> guarded(const char* what, Call call) {
    try {
      return call();
    } catch (const SQLite::Exception& thrown) {
      return tl::unexpected<Error>(as_error(what, thrown));
    }
  }

  static void bind_page(SQLite::Statement& statement, std::uint64_t from, std::size_t limit) {
    constexpr std::uint64_t most = INT64_MAX;
    statement.bind(1, static_cast<std::int64_t>(std::min(from, most)));
    statement.bind(2, static_cast<std::int64_t>(std::min<std::uint64_t>(limit, most)));
  }

  static std::string select(const char* columns, const char* rest) {
    return "SELECT " + std::string(columns) + " FROM " + rest;
  }

  // A statement compiled once and kept, reset and without bindings.
  SQLite::Statement& prepared(const std::string& sql) {
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
      found = statements_.emplace(sql, std::make_unique<SQLite::Statement>(*database_, sql)).first;
    }
    found->second->tryReset();
    found->second->clearBindings();
    return *found->second;
  }

  template <class Bind>
  Result<void> run(const std::string& sql, Bind bind) {
    return guarded<void>("the database does not write", [&]() -> Result<void> {
      SQLite::Statement& statement = prepared(sql);
      bind(statement);
      const Resetting resetting(statement);
      statement.exec();
      return {};
    });
  }

  template <class Record>
  Result<void> write(const std::string& sql, const Record& record) {
    return run(sql, [&](SQLite::Statement& statement) { rows::bind(statement, record); });
  }

  template <class Record, class Bind>
  Result<std::vector<Record>> all(const std::string& sql, Bind bind) {
    return guarded<std::vector<Record>>("the database does not read", [&]() -> Result<std::vector<Record>> {
      SQLite::Statement& statement = prepared(sql);
      bind(statement);
      std::vector<Record> records;
      Result<Record> row;
      const Resetting resetting(statement);
      while (statement.executeStep()) {
        rows::read(statement, row);
        if (!row) return tl::unexpected<Error>(row.error());
        records.push_back(std::move(*row));
      }
      return records;
    });
  }

  template <class Record>
  Result<std::vector<Record>> all(const std::string& sql) {
    return all<Record>(sql, [](SQLite::Statement&) {});
  }

  template <class Record>
  Result<std::optional<Record>> one(const std::string& sql, const Digest* digest) {
    Result<std::vector<Record>> found = all<Record>(sql, [&](SQLite::Statement& statement) {
      if (digest != nullptr) rows::bind(statement, 1, *digest);
    });
    if (!found) return tl::unexpected<Error>(found.error());
    if (found->empty()) return std::optional<Record>();
    return std::optional<Record>(std::move(found->front()));
  }

  void drop_forgotten_files();

  std::unique_ptr<SQLite::Database> database_;
  std::optional<SignedFiles> files_;  // none for a database in memory
  std::optional<HeadFile> head_;
  std::optional<ChainHead> appended_;  // by the transaction that is open
  std::map<std::string, std::unique_ptr<SQLite::Statement>> statements_;
};

// What keeps a row: a document its times and a life, a lock or a revocation that stands on it; a grant its document.
constexpr const char* kForget[] = {
    "DELETE FROM locks WHERE (lifted = 1 OR (until > 0 AND until < ?1)) AND NOT EXISTS "
    "(SELECT 1 FROM documents d WHERE d.digest = locks.digest AND d.keep_until >= ?1)",
    "DELETE FROM revocations WHERE NOT EXISTS "
    "(SELECT 1 FROM documents d WHERE d.digest = revocations.digest AND d.keep_until >= ?1)",
    "DELETE FROM documents WHERE keep_until < ?1"
    " AND digest NOT IN (SELECT digest FROM grants WHERE state IN ('pending', 'activating', 'active'))"
    " AND digest NOT IN (SELECT r.review FROM reviews r JOIN grants g ON g.digest = r.request"
    "                    WHERE g.state IN ('pending', 'activating', 'active'))"
    " AND digest NOT IN (SELECT digest FROM locks)",
    "DELETE FROM grants WHERE state IN ('ended', 'refused') AND ended < ?2"
    " AND digest NOT IN (SELECT digest FROM documents)",
    // From the front alone, whatever the clock said in between: the chain keeps no hole.
    "DELETE FROM audit WHERE sequence < (SELECT min(sequence) FROM audit WHERE time >= ?2)",
};

Result<void> SqliteStore::forget(std::int64_t now, Seconds retention) {
  Result<std::unique_ptr<Transaction>> transaction = begin();
  if (!transaction) return tl::unexpected<Error>(transaction.error());
  for (const char* sql : kForget) {
    Result<void> done = run(sql, [&](SQLite::Statement& statement) {
      statement.bind(1, now);
      if (statement.getBindParameterCount() > 1)
        statement.bind(2, now - static_cast<std::int64_t>(retention.count()));
    });
    if (!done) return done;
  }
  if (Result<void> done = (*transaction)->commit(); !done) return done;
  drop_forgotten_files();
  return {};
}

void SqliteStore::drop_forgotten_files() {
  if (!files_) return;
  const auto files = files_->all();
  if (!files) return;  // another time
  for (const SignedFiles::File& file : *files)
    if (const auto known = document(file.digest); known && !*known) files_->drop(file.digest);
}

Result<std::vector<std::string>> SqliteStore::unread_files() {
  std::vector<std::string> texts;
  if (!files_) return texts;
  auto files = files_->all();
  if (!files) return tl::unexpected<Error>(files.error());
  for (SignedFiles::File& file : *files) {
    const auto known = document(file.digest);
    if (!known) return tl::unexpected<Error>(known.error());
    if (!*known) texts.push_back(std::move(file.text));
  }
  return texts;
}

// The file with its mode before SQLite writes a byte; the -wal and -shm files take their mode from it.
Result<void> make_private(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600));
  if (!file) return fail_errno(errno, path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail_errno(errno, path);
  if (!S_ISREG(status.st_mode)) return fail(Errc::refused, path + " is not a regular file");
  if (::fchmod(file.get(), 0600) != 0) return fail_errno(errno, path);
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& path) {
  if (path != ":memory:") {
    if (Result<void> made = make_private(path); !made) return tl::unexpected<Error>(made.error());
  }
  try {
    auto database =
        std::make_unique<SQLite::Database>(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyAtStartMs);
    const std::string health = database->execAndGet("PRAGMA quick_check(1)").getString();
    if (health != "ok") {
      return fail(Errc::invalid, path + " is damaged (" + health + ")");
    }
    database->exec("PRAGMA journal_mode = WAL");
    database->exec("PRAGMA synchronous = FULL");
    database->exec("PRAGMA foreign_keys = ON");
    database->exec("PRAGMA trusted_schema = OFF");
    if (Result<void> schema = prepare_schema(*database); !schema) return within(path, schema.error());
    database->setBusyTimeout(kBusyMs);
    std::optional<SignedFiles> files;
    std::optional<HeadFile> head;
    if (path != ":memory:") {
      files.emplace(path.substr(0, path.rfind('/') + 1) + "signed");
      head.emplace(path);
    }
    auto store = std::make_unique<SqliteStore>(std::move(database), std::move(files), std::move(head));
    if (Result<void> newest = store->not_older(path); !newest) return tl::unexpected<Error>(newest.error());
    return store;
  } catch (const SQLite::Exception& thrown) {
    return tl::unexpected<Error>(as_error(path, thrown));
  }
}

}  // namespace jit
