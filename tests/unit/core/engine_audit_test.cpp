// The chain's writer: entries wait for a transaction, and nothing is lost unseen.
#include "jitd/audit/audit_log.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

std::unique_ptr<Store> open_store() {
  Result<std::unique_ptr<Store>> opened = Store::open(":memory:");
  REQUIRE(opened);
  return std::move(*opened);
}

AuditEvent event(std::int64_t time, const std::string& name) {
  return {time, name, {{"n", name}}};
}

void write(Store& store, AuditLog& log) {
  auto transaction = store.begin();
  REQUIRE(transaction);
  REQUIRE(log.write());
  REQUIRE((*transaction)->commit());
  log.committed();
}

}  // namespace

TEST_CASE("P9: entries are chained across restarts", "[core][audit]") {
  auto store = open_store();
  for (int start = 0; start < 3; ++start) {
    AuditLog log(*store);
    REQUIRE(log.load());
    log.note(event(start, "start"));
    log.note(event(start, "end"));
    write(*store, log);
    CHECK(log.sequence() == static_cast<std::uint64_t>(start + 1) * 2);
  }
  CHECK(verify_chain(*store->audit(1, 100), {}, 1));
}

TEST_CASE("P9: what could not be written waits, and the chain says so", "[core][audit]") {
  auto store = open_store();
  AuditLog log(*store);
  log.note(event(10, "end"));
  {
    auto transaction = store->begin();
    REQUIRE(log.write());
  }  // no commit
  log.cancelled();
  CHECK(log.sequence() == 0);
  CHECK(store->audit(1, 10)->empty());
  log.note(event(20, "deny"));
  write(*store, log);
  const std::vector<ChainEntry> entries = *store->audit(1, 10);
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].event == "gap");
  CHECK(entries[0].fields.at("late_since") == "10");
  CHECK(entries[0].fields.at("lost") == "0");
  CHECK(entries[1].time == 10);
  CHECK(entries[2].event == "deny");
  CHECK(verify_chain(entries, {}, 1));
}

TEST_CASE("P9: a withdrawn activation is not in the chain", "[core][audit]") {
  auto store = open_store();
  AuditLog log(*store);
  log.note(event(10, "request"));
  log.note(event(11, "activate"));
  log.withdraw(1);
  write(*store, log);
  REQUIRE(store->audit(1, 10)->size() == 1);
  CHECK(store->audit(1, 10)->front().event == "request");
}

TEST_CASE("P6: the queue is bounded, and what is lost is counted", "[core][audit]") {
  auto store = open_store();
  AuditLog log(*store);
  for (std::size_t i = 0; i < AuditLog::kMaxWaiting + 7; ++i) log.note(event(static_cast<std::int64_t>(i), "deny"));
  CHECK(log.waiting() == AuditLog::kMaxWaiting);
  write(*store, log);
  CHECK(store->audit(1, 1)->front().fields.at("lost") == "7");
  CHECK(log.waiting() == 0);
  CHECK(verify_chain(*store->audit(1, 100000), {}, 1));
}
