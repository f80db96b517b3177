// jit.db: what goes in comes out, what is damaged is refused, what must be kept is kept.
#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "jitd/store/store.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

class Dir {
 public:
  Dir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "jit-store-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Dir() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Dir(const Dir&) = delete;
  Dir& operator=(const Dir&) = delete;
  [[nodiscard]] std::string db() const { return path + "/jit.db"; }
  std::string path;
};

std::unique_ptr<Store> open(const Dir& dir) {
  Result<std::unique_ptr<Store>> opened = Store::open(dir.db());
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

StoredDocument document(const std::string& text, std::int64_t keep_until = 2000) {
  return {sha256(text), Kind::review, text, 1000, keep_until, {"SHA256:a", "SHA256:b"}};
}

GrantRecord grant(const std::string& text, GrantState state = GrantState::pending) {
  GrantRecord record;
  record.digest = sha256(text);
  record.id = id_of(record.digest);
  record.direct = true;
  record.user = "DOM\\first.last";
  record.uid = 4'000'000'000U;
  record.role = "dba";
  record.reason = "two\nlines \xc3\xa4 '; DROP TABLE grants; --";
  record.ticket = "T-1";
  record.requesters = {{"alice", false}, {"carol", true}};
  record.asked = Seconds(7200);
  record.duration = Seconds(3600);
  record.created = 1000;
  record.expires = 90000;
  record.effects = "group postgres gid 120\nopens sudo\n";
  record.state = state;
  record.why = "waiting";
  record.activated = 1100;
  record.not_after = 4700;
  record.boot_id = "11111111-1111-1111-1111-111111111111";
  record.boot_deadline_ms = 123456789012ULL;
  record.ended = state == GrantState::ended ? 1500 : 0;
  record.facts_groups = {"dba", "a group"};
  record.consents = {{"carol", true}};
  record.rule = "rule 1 (office)";
  return record;
}

bool same(const GrantRecord& a, const GrantRecord& b) {
  return a.id == b.id && a.digest == b.digest && a.direct == b.direct && a.user == b.user && a.uid == b.uid &&
         a.role == b.role && a.reason == b.reason && a.ticket == b.ticket && a.requesters == b.requesters &&
         a.asked == b.asked && a.duration == b.duration && a.created == b.created && a.expires == b.expires &&
         a.effects == b.effects && a.state == b.state && a.why == b.why && a.activated == b.activated &&
         a.not_after == b.not_after && a.boot_id == b.boot_id && a.boot_deadline_ms == b.boot_deadline_ms &&
         a.ended == b.ended && a.facts_groups == b.facts_groups && a.consents == b.consents && a.rule == b.rule;
}

ChainEntry entry(std::uint64_t sequence, std::int64_t time, const Digest& previous) {
  ChainEntry made;
  made.sequence = sequence;
  made.time = time;
  made.event = "end";
  made.fields = {{"why", "a b\n=\\"}, {"empty", ""}};
  made.previous = previous;
  made.hash = chain_hash(made);
  return made;
}

}  // namespace

TEST_CASE("records come back as they went in, also from the disk", "[store]") {
  const Dir dir;
  const LockRecord lock{sha256("lock"), {"alice"}, {"SHA256:x"}, {"carol"}, 10, 20, true, "lost", "erin"};
  RevocationRecord revocation;
  revocation.digest = sha256("revocation");
  revocation.created = 30;
  revocation.documents = {sha256("a"), sha256("b")};
  revocation.users = {"alice", "bob"};
  revocation.approvers = {"carol"};
  revocation.all = true;
  revocation.reason = "enough";
  revocation.by = "erin";
  revocation.revoker = true;
  revocation.roles = {"dba"};
  const ChainEntry first = entry(1, 100, {});
  {
    auto store = open(dir);
    REQUIRE(store->put(document("request")));
    REQUIRE(store->put(document("review")));
    REQUIRE(store->link_review(sha256("request"), sha256("review")));
    REQUIRE(store->link_review(sha256("request"), sha256("review")));
    REQUIRE(store->put(grant("request")));
    REQUIRE(store->put(lock));
    REQUIRE(store->put(revocation));
    REQUIRE(store->append(first));
    REQUIRE(store->set_value("name", "one"));
    REQUIRE(store->set_value("name", "two"));
  }
  auto store = open(dir);
  const auto got = store->document(sha256("review"));
  REQUIRE((got && *got));
  CHECK((*got)->text == "review");
  CHECK((*got)->kind == Kind::review);
  CHECK((*got)->keep_until == 2000);
  CHECK((*got)->void_keys == std::vector<std::string>{"SHA256:a", "SHA256:b"});
  REQUIRE(store->reviews_of(sha256("request"))->size() == 1);
  CHECK(store->reviews_of(sha256("review"))->empty());
  REQUIRE(store->grants(0)->size() == 1);
  CHECK(same(store->grants(0)->front(), grant("request")));
  CHECK(same(**store->grant(sha256("request")), grant("request")));
  CHECK_FALSE(*store->grant(sha256("other")));
  REQUIRE(store->locks()->size() == 1);
  const LockRecord locked = store->locks()->front();
  CHECK(locked.digest == lock.digest);
  CHECK((locked.users == lock.users && locked.keys == lock.keys && locked.approvers == lock.approvers));
  CHECK((locked.created == 10 && locked.until == 20 && locked.lifted && locked.reason == "lost" &&
         locked.by == "erin"));
  const RevocationRecord back = store->revocations()->front();
  CHECK(back.documents == revocation.documents);
  CHECK((back.users == revocation.users && back.approvers == revocation.approvers && back.all));
  CHECK((back.created == 30 && back.by == "erin" && back.reason == "enough" && back.revoker));
  CHECK(back.roles == revocation.roles);
  REQUIRE(store->audit_head());
  CHECK((**store->audit_head()).fields == first.fields);
  CHECK((**store->audit_head()).hash == first.hash);
  CHECK(**store->value("name") == "two");
  CHECK_FALSE(*store->value("nothing"));
}

TEST_CASE("the database is private whatever the umask, and is no link or fifo", "[store]") {
  const Dir dir;
  for (const mode_t mask : {0U, 0777U}) {
    const mode_t before = ::umask(mask);
    const auto store = open(dir);
    ::umask(before);
    REQUIRE(store->set_value("a", "b"));
    for (const char* suffix : {"", "-wal", "-shm"}) {
      struct stat status {};
      REQUIRE(::stat((dir.db() + suffix).c_str(), &status) == 0);
      CHECK((status.st_mode & 07777) == 0600);
    }
  }
  std::filesystem::create_symlink(dir.db(), dir.path + "/link");
  CHECK_FALSE(Store::open(dir.path + "/link"));
  REQUIRE(::mkfifo((dir.path + "/fifo").c_str(), 0600) == 0);
  CHECK_FALSE(Store::open(dir.path + "/fifo"));
}

TEST_CASE("a transaction is whole or not at all", "[store]") {
  const Dir dir;
  auto store = open(dir);
  {
    auto transaction = store->begin();
    REQUIRE(transaction);
    REQUIRE(store->put(grant("a")));
    CHECK_FALSE(store->begin());  // one at a time
  }
  CHECK(store->grants(0)->empty());
  {
    auto transaction = store->begin();
    REQUIRE(store->put(grant("a")));
    REQUIRE((*transaction)->commit());
  }
  CHECK(store->grants(0)->size() == 1);
}

TEST_CASE("P6: a disk without room is an error, and the database as it was", "[store]") {
  const Dir dir;
  auto store = open(dir);
  REQUIRE(store->put(grant("before")));
  StoredDocument large = document("large");
  large.text = std::string(256 * 1024, 'x');
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto heard = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{128 * 1024, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
  const Result<void> put = store->put(large);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, heard);
  CHECK_FALSE(put);
  CHECK_FALSE(*store->document(large.digest));
  CHECK(store->grants(0)->size() == 1);
  CHECK(store->put(large));  // room again
}

TEST_CASE("a database of an older release keeps its grants and takes what newer ones say", "[store]") {
  const Dir dir;
  const int version = GENERATE(1, 2);
  {
    const auto store = open(dir);
    REQUIRE(store->put(grant("a", GrantState::active)));
  }
  {
    SQLite::Database database(dir.db(), SQLite::OPEN_READWRITE);
    database.exec("ALTER TABLE grants DROP COLUMN ask");
    for (const std::string table : {"asks", "events", "lists"}) database.exec("DROP TABLE " + table);
    if (version == 1) {
      database.exec("DROP INDEX grants_by_uid");
      for (const std::string column : {"start", "extends", "once", "session"})
        database.exec("ALTER TABLE grants DROP COLUMN " + column);
    }
    database.exec("PRAGMA user_version = " + std::to_string(version));
  }
  const auto store = open(dir);
  const GrantRecord before = **store->grant(grant("a").digest);
  CHECK(before.user == grant("a").user);
  CHECK(before.start == 0);
  CHECK(before.extends.empty());
  CHECK_FALSE(before.once);
  CHECK_FALSE(before.ask);
  GrantRecord after = grant("b", GrantState::active);
  after.start = 1'800'000'000;
  after.extends = {before.digest, sha256("c")};
  after.once = true;
  after.session = "500 12345";
  after.ask = sha256("an ask");
  REQUIRE(store->put(after));
  const GrantRecord read = **store->grant(after.digest);
  CHECK(read.start == after.start);
  CHECK(read.extends == after.extends);
  CHECK(read.once);
  CHECK(read.session == after.session);
  CHECK(read.ask == after.ask);
  CHECK_FALSE(*store->event_range());
}

TEST_CASE("P7: which request an ask made is known as long as the ask could come again", "[store]") {
  const Dir dir;
  auto store = open(dir);
  StoredDocument ask = document("ask", 3000);
  ask.kind = Kind::ask;
  CHECK_FALSE(store->link_ask(ask.digest, sha256("r")));  // its document first
  REQUIRE(store->put(ask));
  CHECK_FALSE(*store->request_of_ask(ask.digest));
  REQUIRE(store->link_ask(ask.digest, sha256("r")));
  CHECK_FALSE(store->link_ask(ask.digest, sha256("another")));  // one, ever
  store.reset();
  store = open(dir);
  CHECK(*store->request_of_ask(ask.digest) == sha256("r"));
  CHECK((*store->document(ask.digest))->kind == Kind::ask);
  REQUIRE(store->forget(3000, Seconds(86400)));
  CHECK(*store->request_of_ask(ask.digest) == sha256("r"));
  REQUIRE(store->forget(3001, Seconds(86400)));
  CHECK_FALSE(*store->request_of_ask(ask.digest));
}

TEST_CASE("events come back in order, and go from the front", "[store]") {
  const Dir dir;
  const auto store = open(dir);
  for (std::uint64_t i = 1; i <= 20; ++i) {
    // The clock was set back in between.
    const std::int64_t keep = i == 10 ? 50 : 100 * static_cast<std::int64_t>(i);
    REQUIRE(store->put(
        StoredEvent{i, 7, keep, i == 3 ? std::optional(sha256("d")) : std::nullopt, "text " + std::to_string(i)}));
  }
  CHECK_FALSE(store->put(StoredEvent{20, 7, 1, std::nullopt, "again"}));
  const auto range = [&] {
    const auto found = *store->event_range();
    REQUIRE(found);
    return std::pair(found->first, found->last);
  };
  CHECK(range() == std::pair<std::uint64_t, std::uint64_t>(1, 20));
  const auto some = *store->events(5, 3);
  REQUIRE(some.size() == 3);
  CHECK(some[0].sequence == 5);
  CHECK(some[2].text == "text 7");
  CHECK_FALSE(some[0].document);
  CHECK((*store->events(3, 1))[0].document == sha256("d"));
  CHECK(*store->answered(sha256("d")));
  CHECK_FALSE(*store->answered(sha256("e")));
  REQUIRE(store->forget_events(0, 501));
  CHECK(range() == std::pair<std::uint64_t, std::uint64_t>(6, 20));  // without a hole at 10
  CHECK_FALSE(*store->answered(sha256("d")));
  REQUIRE(store->forget_events(12, 0));
  CHECK(range() == std::pair<std::uint64_t, std::uint64_t>(12, 20));
  REQUIRE(store->forget_events(0, 5000));
  CHECK_FALSE(*store->event_range());
}

TEST_CASE("a database of the second release has no lists yet, and takes them", "[store][lists]") {
  const Dir dir;
  {
    const auto store = open(dir);
    REQUIRE(store->put(grant("a", GrantState::active)));
  }
  {
    SQLite::Database database(dir.db(), SQLite::OPEN_READWRITE);
    database.exec("ALTER TABLE grants DROP COLUMN ask");
    for (const std::string table : {"asks", "events", "lists"}) database.exec("DROP TABLE " + table);
    database.exec("PRAGMA user_version = 2");
  }
  const ListRecord viewed{7, sha256("seven"), 1000, 2000, "boot", 123456, 5000, true};
  ListRecord ahead = viewed;
  ahead.number = 1ULL << 53U;
  ahead.viewed = false;
  {
    const auto store = open(dir);
    CHECK(store->lists()->empty());
    REQUIRE(store->set_lists({ahead, viewed}));
  }
  const auto store = open(dir);
  CHECK(*store->lists() == std::vector<ListRecord>{viewed, ahead});
  REQUIRE(store->set_lists({ahead}));
  CHECK(*store->lists() == std::vector<ListRecord>{ahead});
  CHECK(store->grants(0)->size() == 1);
}

TEST_CASE("documents of a kind are found, and dropped when they are not waited for any more", "[store]") {
  const Dir dir;
  const auto store = open(dir);
  StoredDocument part = document("part");
  part.kind = Kind::policy;
  REQUIRE(store->put(part));
  REQUIRE(store->put(document("review")));
  REQUIRE(store->documents_of(Kind::policy)->size() == 1);
  CHECK(store->documents_of(Kind::policy)->front().digest == part.digest);
  CHECK(store->documents_of(Kind::trust)->empty());
  REQUIRE(store->drop(part.digest));
  CHECK(store->documents_of(Kind::policy)->empty());
  CHECK(*store->document(sha256("review")));
}

TEST_CASE("what rules gave by themselves is found by user and role, in force or since a time", "[store]") {
  const Dir dir;
  const auto store = open(dir);
  const auto put = [&](const std::string& text, GrantState state, std::int64_t ended) {
    GrantRecord record = grant(text, state);
    record.uid = 1001;
    record.role = "dba";
    record.consents.clear();
    record.direct = false;
    record.activated = 100;
    record.ended = ended;
    return record;
  };
  const auto given = [&] { return store->given_by_rules(1001, "dba", 500)->size(); };
  REQUIRE(store->put(put("a", GrantState::active, 0)));
  REQUIRE(store->put(put("b", GrantState::ended, 500)));
  CHECK(given() == 2);
  REQUIRE(store->put(put("c", GrantState::ended, 499)));
  REQUIRE(store->put(put("d", GrantState::refused, 600)));
  REQUIRE(store->put(put("e", GrantState::pending, 0)));
  GrantRecord other = put("f", GrantState::active, 0);
  SECTION("another user") {
    other.uid = 1002;
  }
  SECTION("another role") {
    other.role = "ops";
  }
  SECTION("by somebody's consent") {
    other.consents = {{"carol", true}};
  }
  SECTION("issued directly") {
    other.direct = true;
  }
  REQUIRE(store->put(other));
  CHECK(given() == 2);
}

TEST_CASE("a newer schema and a damaged file are refused with words", "[store]") {
  const Dir dir;
  open(dir).reset();
  SECTION("newer") {
    SQLite::Database database(dir.db(), SQLite::OPEN_READWRITE);
    database.exec("PRAGMA user_version = 99");
  }
  SECTION("no database") {
    std::ofstream(dir.db()) << std::string(8192, 'x');
  }
  SECTION("damaged pages") {
    std::fstream file(dir.db(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(20000, 'x');
  }
  const Result<std::unique_ptr<Store>> opened = Store::open(dir.db());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message.find(dir.db()) != std::string::npos);
}

TEST_CASE("a stored value that nobody wrote reads as an error, never as a right", "[store]") {
  const Dir dir;
  const auto store = open(dir);
  REQUIRE(store->put(grant("a", GrantState::ended)));
  {
    SQLite::Database database(dir.db(), SQLite::OPEN_READWRITE);
    SECTION("a state") {
      CHECK_THROWS(database.exec("UPDATE grants SET state = 'granted'"));  // the schema itself refuses
      database.exec("PRAGMA ignore_check_constraints = ON");
      database.exec("UPDATE grants SET state = 'Active', ended = 9000");
    }
    SECTION("a uid") {
      database.exec("UPDATE grants SET uid = -1");
    }
    SECTION("a person") {
      database.exec("UPDATE grants SET consents = 'carol\n'");
    }
    SECTION("a type") {
      CHECK_THROWS(database.exec("UPDATE grants SET uid = 'zero'"));
      database.exec("UPDATE grants SET uid = 4294967296");
    }
  }
  CHECK_FALSE(store->grants(0));
}

TEST_CASE("audit entries are appended, never written over", "[store]") {
  const Dir dir;
  auto store = open(dir);
  const ChainEntry first = entry(1, 100, {});
  REQUIRE(store->append(first));
  ChainEntry forged = entry(1, 200, {});
  CHECK_FALSE(store->append(forged));
  const ChainEntry second = entry(2, 200, first.hash);
  REQUIRE(store->append(second));
  CHECK(verify_chain(*store->audit(1, 10), {}, 1));
  CHECK(store->audit(2, 10)->size() == 1);
  CHECK(store->audit(1, 1)->size() == 1);
  CHECK(store->audit(UINT64_MAX, 1)->empty());
}

TEST_CASE("P7: what refuses a replay is kept as long as the replay could come", "[store]") {
  const Dir dir;
  auto store = open(dir);
  REQUIRE(store->put(document("old", 2000)));
  REQUIRE(store->put(document("long", 9000)));
  REQUIRE(store->put(document("live", 2000)));
  REQUIRE(store->put(document("review", 2000)));
  REQUIRE(store->put(document("lock", 2000)));
  REQUIRE(store->put(document("revocation", 9000)));
  REQUIRE(store->link_review(sha256("live"), sha256("review")));
  REQUIRE(store->put(grant("old", GrantState::ended)));
  REQUIRE(store->put(grant("long", GrantState::ended)));
  REQUIRE(store->put(grant("live", GrantState::active)));
  LockRecord lock;
  lock.digest = sha256("lock");
  REQUIRE(store->put(lock));
  RevocationRecord revocation;
  revocation.digest = sha256("revocation");
  REQUIRE(store->put(revocation));

  REQUIRE(store->forget(5000, Seconds(1000)));
  CHECK_FALSE(*store->document(sha256("old")));
  CHECK_FALSE(*store->grant(sha256("old")));
  CHECK(*store->grant(sha256("long")));  // ended long ago, but its document could still be handed in
  CHECK(*store->document(sha256("live")));
  CHECK(store->reviews_of(sha256("live"))->size() == 1);  // what it stands on
  CHECK(store->locks()->size() == 1);                     // it holds
  CHECK(*store->document(sha256("lock")));
  CHECK(store->revocations()->size() == 1);

  lock.lifted = true;
  REQUIRE(store->put(lock));
  REQUIRE(store->put(grant("live", GrantState::ended)));
  REQUIRE(store->forget(10000, Seconds(1000)));
  CHECK(store->locks()->empty());
  CHECK(store->revocations()->empty());
  CHECK(store->grants(0)->empty());
  CHECK(store->reviews_of(sha256("live"))->empty());
}

TEST_CASE("P9: old audit entries go from the front alone, so that the chain keeps no hole", "[store]") {
  const Dir dir;
  auto store = open(dir);
  Digest previous{};
  const std::int64_t times[] = {100, 200, 5000, 10, 5001};  // a clock that said 1970 in between
  for (std::uint64_t i = 0; i < 5; ++i) {
    const ChainEntry made = entry(i + 1, times[i], previous);
    REQUIRE(store->append(made));
    previous = made.hash;
  }
  REQUIRE(store->forget(6000, Seconds(2000)));
  const std::vector<ChainEntry> left = *store->audit(1, 10);
  REQUIRE(left.size() == 3);
  CHECK(left.front().sequence == 3);
  CHECK(verify_chain(left, left.front().previous, 3));
}
