// Fills a stopped jitd's state with N active grants, as N activations would have left it: rows in jit.db and records
// in `ends` and `held`. N = 0 empties it. For tests/bench/host.sh alone, on a throw-away host.
//
//   bench_fill N SECONDS ROLE EFFECTS      users are bench0 ... with uids from 20000; all end at once, SECONDS from
//   now
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "jitd/core/clock_guard.hpp"
#include "jitd/core/open_store.hpp"
#include "jitd/store/records.hpp"
#include "jitd/store/store.hpp"
#include "jitd/sys/clock.hpp"
#include "policy/document/effects.hpp"

namespace {

int failed(const char* what, const jit::Error& error) {
  std::fprintf(stderr, "bench_fill: %s: %s\n", what, error.message.c_str());
  return 1;
}

constexpr unsigned kFirstUid = 20000;
constexpr const char* kVar = "/var/lib/jit";

struct Wish {
  unsigned count = 0;
  std::int64_t seconds = 0;
  std::string role;
  std::string effects;
};

jit::GrantRecord grant(unsigned number, const Wish& wish, const jit::Instant& now, const std::string& boot_id) {
  jit::GrantRecord record;
  record.digest = jit::sha256("bench " + std::to_string(number) + " " + std::to_string(now.wall_ms));
  record.id = jit::id_of(record.digest);
  record.user = "bench" + std::to_string(number);
  record.uid = kFirstUid + number;
  record.role = wish.role;
  record.reason = "bench";
  record.requesters = {{record.user, false}};
  record.asked = record.duration = jit::Seconds(wish.seconds);
  record.created = record.activated = now.wall_ms / 1000;
  record.expires = record.created + 86400;
  record.effects = wish.effects;
  record.facts_groups = {"users"};  // what made them eligible
  record.state = jit::GrantState::active;
  record.why = "active";
  record.not_after = record.activated + wish.seconds;
  record.boot_id = boot_id;
  record.boot_deadline_ms = now.boot_ms + static_cast<std::uint64_t>(wish.seconds) * 1000;
  record.rule = "rule 1";
  return record;
}

int fill(const Wish& wish, const jit::Effects& effects) {
  const std::string var = kVar;
  const jit::SystemClock clock;
  const jit::Instant now = clock.now();
  auto store = jit::Store::open(var + "/jit.db");
  if (!store) return failed("jit.db", store.error());
  auto ends = jit::EndsFile::open(jit::system_files(), var, "ends");
  if (!ends) return failed("ends", ends.error());
  auto held = jit::HeldFile::open(jit::system_files(), var, "held");
  if (!held) return failed("held", held.error());
  auto transaction = (*store)->begin();
  if (!transaction) return failed("jit.db", transaction.error());
  // A database without a mark is a new one, and a new one beside `ends` one that was lost.
  jit::ClockMark mark;
  mark.wall_ms = mark.anchor_wall_ms = now.wall_ms;
  mark.boot_id = clock.boot_id();
  mark.boot_ms = mark.anchor_boot_ms = now.boot_ms;
  if (auto done = (*store)->set_value(jit::kClockMark, jit::to_text(mark)); !done)
    return failed("the mark", done.error());
  std::size_t slot = 0;
  for (unsigned i = 0; i < wish.count; ++i) {
    const jit::GrantRecord record = grant(i, wish, now, clock.boot_id());
    if (auto done = (*store)->put(record); !done) return failed("a row", done.error());
    jit::EndRecord end;
    end.grant = record.id;
    end.digest = jit::digest_text(record.digest);
    end.not_after = record.not_after;
    end.boot_id = record.boot_id;
    end.boot_ms = record.boot_deadline_ms;
    if (auto done = ends->write(i, end, false); !done) return failed("a record", done.error());
    for (const jit::GroupEffect& group : effects.groups) {
      const jit::HeldRecord member{record.id, group.group, group.gid, record.user, record.uid, true};
      if (auto done = held->write(slot++, member, false); !done) return failed("a record", done.error());
    }
  }
  if (auto done = (*transaction)->commit(); !done) return failed("jit.db", done.error());
  if (auto done = ends->sync(); !done) return failed("ends", done.error());
  if (auto done = held->sync(); !done) return failed("held", done.error());
  return 0;
}

}  // namespace

int main(int argc, char* argv[]) {
  Wish wish;
  if (argc > 1) wish.count = static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10));
  const std::string var = kVar;
  for (const char* name : {"/jit.db", "/jit.db-wal", "/jit.db-shm", "/jit.db.head", "/ends", "/held"})
    std::remove((var + name).c_str());
  if (wish.count == 0) return 0;
  if (argc != 5) return failed("wanted", {jit::Errc::invalid, "N SECONDS ROLE EFFECTS", 0});
  wish.seconds = std::strtol(argv[2], nullptr, 10);
  wish.role = argv[3];
  wish.effects = argv[4];
  const auto effects = jit::parse_effects(wish.effects);
  return effects ? fill(wish, *effects) : failed("effects", effects.error());
}
