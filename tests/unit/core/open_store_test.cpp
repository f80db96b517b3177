#include <fstream>

#include "jitd/core/open_store.hpp"
#include "tests/unit/core/effect_host.hpp"
#include "tests/unit/core/engine_world.hpp"

namespace jit {
namespace {

using namespace hosttest;

struct LostHost : EffectHost {
  [[nodiscard]] std::string database() const { return paths.var + "/jit.db"; }
  [[nodiscard]] Result<OpenedStore> open(const std::string& damaged = "") {
    return open_store(
        paths, {system_files(), spawn, clock, bus, [] { return Result<pid_t>(fail(Errc::not_found, "none")); }},
        damaged);
  }
  void damage(std::size_t at, const std::string& bytes) const {
    std::fstream file(database(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << bytes;
  }
};

StoredDocument document(const std::string& text, Kind kind) {
  return {sha256(text), kind, text, 1000, 2000, {}};
}

}  // namespace

TEST_CASE("P4: a damaged database is set aside, everything ends, and a new one knows from when on it remembers",
          "[core][store]") {
  if (needs_root()) return;
  LostHost host;
  {
    const auto first = host.open();
    REQUIRE(first);
    CHECK(first->lost.empty() == false);  // records of ends without a database: as after a loss
    REQUIRE(first->store->put(document("a lock", Kind::lock)));
    REQUIRE(first->store->put(document("a revocation", Kind::revocation)));
    REQUIRE(first->store->put(document("a review", Kind::review)));
    LockRecord lifted;
    lifted.digest = sha256("another lock");
    REQUIRE(first->store->put(document("another lock", Kind::lock)));
    lifted.lifted = true;
    REQUIRE(first->store->put(lifted));
    CHECK(first->store->unread_files().value().empty());
  }
  const Entitlement given = host.entitlement(kA);
  host.activate(given, {given});
  REQUIRE(host.member("alice"));
  const std::string before = get(host.database());

  SECTION("cut short") {
    std::filesystem::resize_file(host.database(), before.size() / 2 + 100);
  }
  SECTION("bits flipped all over") {
    for (std::size_t at = 0; at < before.size(); at += 512) host.damage(at, "\xff\x5a");
  }
  SECTION("no database at all") {
    put(host.database(), std::string(8192, 'x'));
  }
  SECTION("empty") {
    std::filesystem::resize_file(host.database(), 0);
  }
  SECTION("gone") {
    std::filesystem::remove(host.database());
    std::filesystem::remove(host.database() + "-wal");
    std::filesystem::remove(host.database() + "-shm");
  }
  SECTION("its engine says so") {
    const auto opened = host.open("the database has a damaged row: an unknown state");
    REQUIRE(opened);
    CHECK(opened->lost.find("damaged row") != std::string::npos);
    CHECK(set_aside(host.paths).size() == 1);
    CHECK(get(set_aside(host.paths).front()) == before);
    return;
  }
  const auto opened = host.open();
  REQUIRE(opened);
  CHECK_FALSE(opened->lost.empty());
  CHECK(host.as_it_was());
  CHECK_FALSE(host.end_record(kA)->active);
  CHECK(host.live(kA) == false);
  const auto since = opened->store->value(kMemorySince).value();
  REQUIRE(since);
  CHECK(std::stoll(*since) >= host.clock.at.wall_ms / 1000);
  CHECK(opened->store->unread_files().value() == std::vector<std::string>{"a lock", "a revocation"});
  CHECK(opened->store->grants(0).value().empty());
}

TEST_CASE("P4: a database of before, brought back from a backup, is set aside and revives nothing", "[core][store]") {
  if (needs_root()) return;
  LostHost host;
  const std::string backup = host.paths.var + "/backup";
  const auto entry = [](std::uint64_t sequence, const Digest& previous) {
    ChainEntry one{sequence, 1000, "start", {}, previous, {}};
    one.hash = chain_hash(one);
    return one;
  };
  const auto append = [&](const ChainEntry& one) {
    const auto opened = host.open();
    REQUIRE(opened);
    auto transaction = opened->store->begin();
    REQUIRE(opened->store->append(one));
    REQUIRE((*transaction)->commit());
  };
  const ChainEntry first = entry(1, {});
  append(first);
  std::filesystem::copy(host.database(), backup);
  append(entry(2, first.hash));
  const Entitlement given = host.entitlement(kA);
  host.activate(given, {given});
  std::string lost;
  const auto start = [&] {
    const auto opened = host.open();
    REQUIRE(opened);
    lost = opened->lost;
  };
  SECTION("older") {
    std::filesystem::copy(backup, host.database(), std::filesystem::copy_options::overwrite_existing);
  }
  SECTION("another one, just as long") {
    std::filesystem::remove(host.database());
    std::filesystem::rename(host.database() + ".head", backup + ".head");
    std::filesystem::copy(backup, host.database());
    append(entry(2, sha256("others")));
    std::filesystem::rename(backup + ".head", host.database() + ".head");
  }
  SECTION("the last one") {
    start();
    CHECK(lost.empty());
    CHECK(host.member("alice"));
    return;
  }
  SECTION("the last one, of which it is not known how far it had come") {
    const std::string head = host.database() + ".head";
    SECTION("torn") {
      std::string text = get(head);
      text[0] = '9';
      put(head, text);
    }
    SECTION("gone") {
      std::filesystem::remove(head);
    }
    SECTION("empty") {
      put(head, "");
    }
    start();
    CHECK(lost.empty());
    return;
  }
  start();
  CHECK(lost.find("an older or another one") != std::string::npos);
  CHECK(host.as_it_was());
  CHECK_FALSE(host.end_record(kA)->active);
  CHECK(set_aside(host.paths).size() == 1);
  CHECK_FALSE(there(host.database() + ".head"));
  // The next one begins anew, and is not taken for an older one.
  append(first);
  start();
  CHECK(lost.empty());
  CHECK(set_aside(host.paths).size() == 1);
}

TEST_CASE("what belongs to a lost database goes with it, and its own times count where the clock is behind",
          "[core][store]") {
  if (needs_root()) return;
  LostHost host;
  REQUIRE(host.open());
  put(host.database() + "-wal", "of it");
  host.clock.at.wall_ms = 1'000'000'000'000;
  const auto opened = host.open("the database has a damaged row");
  REQUIRE(opened);
  REQUIRE(set_aside(host.paths).size() == 1);
  CHECK(get(set_aside(host.paths).front() + "-wal") == "of it");
  CHECK(std::stoll(opened->store->value(kMemorySince).value().value()) > 1'700'000'000);
}

TEST_CASE("a start that is killed while a lost database is made anew does it once more", "[core][store]") {
  if (needs_root()) return;
  LostHost host;
  REQUIRE(host.open());
  put(host.database(), std::string(8192, 'x'));
  REQUIRE(Store::open(host.database()).error().code == Errc::invalid);
  std::filesystem::rename(host.database(), host.paths.var + "/jit.db.damaged-20260101T000000Z");
  REQUIRE(Store::open(host.database()));  // made, and no more
  const auto opened = host.open();
  REQUIRE(opened);
  CHECK_FALSE(opened->lost.empty());
  CHECK(opened->store->value(kMemorySince).value());
  CHECK(set_aside(host.paths).size() == 1);
}

TEST_CASE("a database that is well, newer, or in somebody's hands is not set aside", "[core][store]") {
  if (needs_root()) return;
  LostHost host;
  REQUIRE(host.open());
  SECTION("well") {
    const auto opened = host.open();
    REQUIRE(opened);
    CHECK(opened->lost.empty());
  }
  SECTION("on a disk that does not take a new name") {
    put(host.database(), std::string(8192, 'x'));
    // A folder with something in it cannot be replaced by a file.
    const std::string stamp = format_utc(host.clock.at.wall());
    std::string name = stamp;
    std::erase_if(name, [](char c) { return c == '-' || c == ':'; });
    std::filesystem::create_directories(host.paths.var + "/jit.db.damaged-" + name + "/full");
    const auto opened = host.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().message.find("set") != std::string::npos);
    CHECK(there(host.database()));
  }
  CHECK(get(host.database()).size() >= 4096);
}

TEST_CASE("P4, P7: a host that lost its database counts no grant signed before, and keeps its locks",
          "[core][engine]") {
  test::World world;
  const std::string early = world.sign(world.grant_of("alice", "dba"), {"dave"});
  Lock lock = world.lock();
  lock.users = {"bob"};
  lock.until.reset();
  const std::string locked = world.sign(lock, {"erin"});
  Lock nobodys = lock;
  nobodys.users = {"alice"};
  world.stop();
  world.clock.pass(20L * 24 * 3600 * 1000);  // a lock holds for longer than a document may travel
  world.unread = {locked, world.sign(nobodys, {"mallory"}), "no document"};
  REQUIRE(world.store->set_value(kMemorySince, std::to_string(world.clock.at.wall_ms / 1000)));
  world.start();

  CHECK(world.request_refused(test::kBob, "dba").find("locked by erin") != std::string::npos);
  CHECK(world.active(test::kAlice, "dba").state == GrantState::active);
  REQUIRE(world.engine->health().warnings.size() >= 2);
  CHECK(world.engine->health().warnings.back().find("counts no more") != std::string::npos);

  GrantDocument grant = world.grant_of("alice", "auto");
  const std::string before = world.sign(grant, {"erin"});
  CHECK(world.refused(before).find("lost its database") != std::string::npos);
  world.clock.pass(10L * 60 * 1000);
  CHECK(world.refused(before).find("lost its database") != std::string::npos);
  grant = world.grant_of("alice", "auto");
  CHECK(world.submitted(world.sign(grant, {"erin"})).state == GrantState::active);
  CHECK_FALSE(world.refused(early).empty());
}

}  // namespace jit
