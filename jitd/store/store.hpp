// /var/lib/jit/jit.db: documents, requests, grants, locks, revocations, audit and the clock mark. SQLite through
// SQLiteCpp, whose exceptions stop here. WAL, synchronous=FULL, foreign_keys, STRICT tables, schema_version, 0600
// under umask 077.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/digest.hpp"
#include "policy/document/chain.hpp"
#include "policy/document/kinds.hpp"
#include "policy/result.hpp"

namespace jit {

// What came in or was made here, whole.
struct StoredDocument {
  Digest digest;
  Kind kind = Kind::request;
  std::string text;             // the file, all signatures merged
  std::int64_t received = 0;    // seconds, wall
  std::int64_t keep_until = 0;  // digests are kept until all their times are past
  std::vector<std::string>
      void_keys;  // fingerprints of signers who were locked when their signature came: never count
};

enum class GrantState : std::uint8_t {
  pending,     // a request or direct grant that waits for signatures
  activating,  // durable, effects on their way
  active,
  ended,    // was active
  refused,  // never was: denied, expired while pending, refused at activation
};
[[nodiscard]] std::string_view to_text(GrantState state);

// A request or direct grant with its life. One row each; the id is that of its document.
struct GrantRecord {
  std::string id;
  Digest digest;
  bool direct = false;  // from a grant document, not a request
  std::string user;
  std::uint32_t uid = 0;
  std::string role;
  std::string reason;
  std::string ticket;
  std::vector<PersonRef> requesters;
  Seconds asked{0};     // what rules are judged by, as long as it lives; 0: an absolute end
  Seconds duration{0};  // asked for; after activation: given
  std::int64_t created = 0;
  std::int64_t expires = 0;  // while pending
  std::string effects;       // canonical text
  GrantState state = GrantState::pending;
  std::string why;             // of the state: "waiting for dba-leads (1 of 2)", "expired", "revoked by carol: ..."
  std::int64_t activated = 0;  // wall seconds
  std::int64_t not_after = 0;  // wall seconds; 0: no end fixed yet
  std::string boot_id;         // of boot_deadline_ms
  std::uint64_t boot_deadline_ms = 0;
  std::int64_t ended = 0;
  std::vector<std::string> facts_groups;  // facts at activation
  std::vector<PersonRef> consents;        // by whose consent it was activated
  std::string rule;                       // the rule that decided
  std::int64_t start = 0;                 // not activated before, wall seconds; 0: at once
  std::vector<Digest> extends;            // the documents whose grant it takes over, latest first
  bool once = false;                      // for one session
  std::string session;                    // of `once`: the process that it is bound to, "PID STARTED_MS BOOT_ID"
  std::optional<Digest> ask;              // the document from elsewhere that the request was made of
};

struct LockRecord {
  Digest digest;
  std::vector<std::string> users, keys, approvers;
  std::int64_t created = 0;
  std::int64_t until = 0;  // 0: until lifted
  bool lifted = false;
  std::string reason;
  std::string by;  // persons, for people
};

// A revocation that refuses what comes later: created before it (users, approvers, all) or by digest.
struct RevocationRecord {
  Digest digest;
  std::int64_t created = 0;
  std::vector<Digest> documents;
  std::vector<std::string> users, approvers;
  bool all = false;
  std::string reason;
  std::string by;  // persons, for people
  // What its signers could end when it came, fixed then: everything (a revoker), or these roles.
  bool revoker = false;
  std::vector<std::string> roles;
};

// Something that happened here, as others are told: a signed event. Sequences have no gaps.
struct StoredEvent {
  std::uint64_t sequence = 0;      // from 1
  std::int64_t created = 0;        // seconds, wall
  std::int64_t keep_until = 0;     // told no longer than this
  std::optional<Digest> document;  // that it answers
  std::string text;                // the file
};

// Sequences of the events that are kept; none where `last` is less than `first`.
struct EventRange {
  std::uint64_t first = 1, last = 0;
};

// A numbered revocation list that came in and that the host's view still needs: the view's own, or one ahead of it
// (core/revocation_view.hpp).
struct ListRecord {
  std::uint64_t number = 0;
  Digest digest;
  std::int64_t created = 0;      // seconds, wall; as it says, and no later than when it came
  std::int64_t next_update = 0;  // seconds, wall
  std::string boot_id;           // of boot_ms: when it came, or was first read in a later boot
  std::uint64_t boot_ms = 0;
  std::int64_t age_ms = 0;  // how old it was then, by the later of wall clock and mark
  bool viewed = false;      // the view's own
  bool operator==(const ListRecord&) const = default;
};

class Store {
 public:
  // Opens or makes the database; a newer schema than this release knows is refused; PRAGMA quick_check first. Errors:
  // Errc::invalid: it is damaged, no database, or an older one than the last (head_file.hpp); Errc::busy: another
  // process holds it.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(const std::string& path);
  virtual ~Store() = default;

  // Everything between begin and commit is one transaction; the destructor of an uncommitted one rolls back.
  class Transaction {
   public:
    virtual ~Transaction() = default;
    [[nodiscard]] virtual Result<void> commit() = 0;
  };
  [[nodiscard]] virtual Result<std::unique_ptr<Transaction>> begin() = 0;

  [[nodiscard]] virtual Result<void> put(
      const StoredDocument& document) = 0;  // insert or replace (merged signatures)
  [[nodiscard]] virtual Result<std::optional<StoredDocument>> document(const Digest& digest) = 0;
  // Documents whose reviews name this request.
  [[nodiscard]] virtual Result<std::vector<StoredDocument>> reviews_of(const Digest& request) = 0;
  [[nodiscard]] virtual Result<void> link_review(const Digest& request, const Digest& review) = 0;

  [[nodiscard]] virtual Result<void> put(const GrantRecord& grant) = 0;
  // All that are pending, activating or active, and those ended or refused since `since`.
  [[nodiscard]] virtual Result<std::vector<GrantRecord>> grants(std::int64_t since) = 0;

  [[nodiscard]] virtual Result<std::optional<GrantRecord>> grant(const Digest& digest) = 0;
  // Activated ones of this user and role without anybody's consent, in force now or ended since `since`.
  [[nodiscard]] virtual Result<std::vector<GrantRecord>> given_by_rules(std::uint32_t uid, const std::string& role,
                                                                        std::int64_t since) = 0;

  [[nodiscard]] virtual Result<void> put(const LockRecord& lock) = 0;
  [[nodiscard]] virtual Result<std::vector<LockRecord>> locks() = 0;
  [[nodiscard]] virtual Result<void> put(const RevocationRecord& revocation) = 0;
  [[nodiscard]] virtual Result<std::vector<RevocationRecord>> revocations() = 0;

  // Numbered lists: these and no others.
  [[nodiscard]] virtual Result<void> set_lists(const std::vector<ListRecord>& lists) = 0;
  [[nodiscard]] virtual Result<std::vector<ListRecord>> lists() = 0;

  // Documents that wait for others of their kind: parts of policy and trust. They are dropped when they are taken
  // over.
  [[nodiscard]] virtual Result<std::vector<StoredDocument>> documents_of(Kind kind) = 0;
  [[nodiscard]] virtual Result<void> drop(const Digest& document) = 0;

  [[nodiscard]] virtual Result<void> append(const ChainEntry& entry) = 0;
  [[nodiscard]] virtual Result<std::vector<ChainEntry>> audit(std::uint64_t from, std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::optional<ChainEntry>> audit_head() = 0;

  // One ask makes one request, or is answered by one: which. The ask's own document has to be there, and while it is
  // this is remembered.
  [[nodiscard]] virtual Result<void> link_ask(const Digest& ask, const Digest& request) = 0;
  [[nodiscard]] virtual Result<std::optional<Digest>> request_of_ask(const Digest& ask) = 0;

  [[nodiscard]] virtual Result<void> put(const StoredEvent& event) = 0;
  [[nodiscard]] virtual Result<std::vector<StoredEvent>> events(std::uint64_t from, std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::optional<EventRange>> event_range() = 0;  // nullopt: none is kept
  [[nodiscard]] virtual Result<bool> answered(const Digest& document) = 0;    // by an event that is kept
  // Drops those below `first`, and from the front on those that are kept no longer at `now`.
  [[nodiscard]] virtual Result<void> forget_events(std::uint64_t first, std::int64_t now) = 0;

  // Small values by name: the clock mark, the last start, confirmations.
  [[nodiscard]] virtual Result<std::optional<std::string>> value(const std::string& name) = 0;
  [[nodiscard]] virtual Result<void> set_value(const std::string& name, const std::string& value) = 0;

  // Drops what is past `now`: documents by keep_until (those of a grant that lives stay, and a lock's while it
  // holds), their revocations and lifted locks, and ended grants and audit entries older than the retention (a grant
  // stays as long as its document: that is what refuses a replay).
  [[nodiscard]] virtual Result<void> forget(std::int64_t now, Seconds retention) = 0;

  // Locks and revocations are kept as files too (SignedFiles). Those that this database has never seen, oldest first:
  // the one before it was lost.
  [[nodiscard]] virtual Result<std::vector<std::string>> unread_files() = 0;
};

}  // namespace jit
