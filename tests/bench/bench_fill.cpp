// Fills a stopped jitd's state with N active grants, as N activations would have left it: rows in jit.db and records
// in `ends`. N = 0 empties it. For tests/bench/host.sh alone, on a throw-away host.
//
//   bench_fill N [FIRST_UID] [VAR]      users are bench0 ... with uids from FIRST_UID (default 20000), role "quick"
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "jitd/store/records.hpp"
#include "jitd/store/store.hpp"
#include "jitd/sys/clock.hpp"

namespace {

int failed(const char* what, const jit::Error& error) {
  std::fprintf(stderr, "bench_fill: %s: %s\n", what, error.message.c_str());
  return 1;
}

jit::GrantRecord grant(unsigned number, unsigned first_uid, const jit::Instant& now, const std::string& boot_id) {
  jit::GrantRecord record;
  record.digest = jit::sha256("bench " + std::to_string(number));
  record.id = jit::id_of(record.digest);
  record.user = "bench" + std::to_string(number);
  record.uid = first_uid + number;
  record.role = "quick";
  record.reason = "bench";
  record.requesters = {{record.user, false}};
  record.asked = record.duration = jit::Seconds(3600);
  record.created = record.activated = now.wall_ms / 1000;
  record.expires = record.created + 86400;
  record.effects = "opens login\n";
  record.state = jit::GrantState::active;
  record.why = "active";
  record.not_after = record.activated + 3600;
  record.boot_id = boot_id;
  record.boot_deadline_ms = now.boot_ms + 3600 * 1000;
  record.rule = "rule 1";
  return record;
}

}  // namespace

int main(int argc, char* argv[]) {
  const unsigned count = argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 0;
  const unsigned first_uid = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)) : 20000;
  const std::string var = argc > 3 ? argv[3] : "/var/lib/jit";
  for (const char* name : {"/jit.db", "/jit.db-wal", "/jit.db-shm", "/ends", "/held"})
    std::remove((var + name).c_str());
  if (count == 0) return 0;

  const jit::SystemClock clock;
  const jit::Instant now = clock.now();
  auto store = jit::Store::open(var + "/jit.db");
  if (!store) return failed("jit.db", store.error());
  auto ends = jit::EndsFile::open(jit::system_files(), var, "ends");
  if (!ends) return failed("ends", ends.error());
  auto transaction = (*store)->begin();
  if (!transaction) return failed("jit.db", transaction.error());
  for (unsigned i = 0; i < count; ++i) {
    const jit::GrantRecord record = grant(i, first_uid, now, clock.boot_id());
    if (auto done = (*store)->put(record); !done) return failed("a row", done.error());
    jit::EndRecord end;
    end.grant = record.id;
    end.digest = jit::digest_text(record.digest);
    end.not_after = record.not_after;
    end.boot_id = record.boot_id;
    end.boot_ms = record.boot_deadline_ms;
    if (auto done = ends->write(i, end, false); !done) return failed("a record", done.error());
  }
  if (auto done = (*transaction)->commit(); !done) return failed("jit.db", done.error());
  if (auto done = ends->sync(); !done) return failed("ends", done.error());
  return 0;
}
