// What was delivered already, what a source's status file says, and what jitd leaves in the outbox.
#include "jitd/sync/seen.hpp"

#include <sys/stat.h>

#include "jitd/sync/backoff.hpp"
#include "jitd/sync/outbox.hpp"
#include "jitd/sync/status.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;
using namespace std::chrono_literals;

namespace {

Digest of(int number) {
  return sha256(std::to_string(number));
}

Seen reopened(const TempDir& folder, std::size_t slots) {
  const auto dir = open_dir(folder.path());
  REQUIRE(dir);
  auto seen = Seen::open(dir->get(), "a.seen", slots);
  REQUIRE(seen);
  return std::move(*seen);
}

}  // namespace

TEST_CASE("what was seen is known after a start, up to the oldest that there is room for", "[sync]") {
  TempDir folder;
  {
    Seen seen = reopened(folder, 100);
    CHECK(seen.size() == 0);
    for (int i = 0; i < 250; ++i) {
      CHECK_FALSE(seen.contains(of(i)));
      REQUIRE(seen.add(of(i)));
      REQUIRE(seen.add(of(i)));
      CHECK(seen.contains(of(i)));
    }
  }
  Seen seen = reopened(folder, 100);
  CHECK(seen.size() == 100);
  for (int i = 0; i < 250; ++i) CHECK(seen.contains(of(i)) == (i >= 150));
  // It goes on where it was.
  REQUIRE(seen.add(of(1000)));
  CHECK_FALSE(seen.contains(of(150)));
  CHECK(seen.contains(of(151)));
  CHECK(look(folder / "a.seen").st_size == 100 * static_cast<off_t>(Seen::kRecord));
  CHECK((look(folder / "a.seen").st_mode & 0777) == 0600);
}

TEST_CASE("a damaged file of what was seen costs what is damaged", "[sync]") {
  TempDir folder;
  {
    Seen seen = reopened(folder, 100);
    for (int i = 0; i < 150; ++i) REQUIRE(seen.add(of(i)));
  }
  std::string bytes = get(folder / "a.seen");
  SECTION("cut") {
    bytes.resize(10 * Seen::kRecord + 7);
  }
  SECTION("one record's number") {
    bytes[3 * Seen::kRecord] = static_cast<char>(bytes[3 * Seen::kRecord] + 1);
  }
  SECTION("records in each other's place") {
    std::swap_ranges(bytes.begin(), bytes.begin() + 32, bytes.begin() + 32);
  }
  SECTION("the highest number") {
    bytes.replace(0, 8, std::string(8, '\xff'));
  }
  SECTION("noise") {
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7919 % 251);
  }
  SECTION("longer") {
    bytes += std::string(100000, 'x');
  }
  put(folder / "a.seen", bytes);
  Seen seen = reopened(folder, 100);
  CHECK(seen.size() <= 100);
  for (int i = 1000; i < 1100; ++i) {
    REQUIRE(seen.add(of(i)));
    CHECK(seen.contains(of(i)));
  }
  CHECK(seen.size() <= 100);
  Seen again = reopened(folder, 100);
  for (int i = 1000; i < 1100; ++i) CHECK(again.contains(of(i)));
}

TEST_CASE("what was seen is read from a file alone, and does without one", "[sync]") {
  TempDir folder;
  put(folder / "other", "x");
  const auto dir = open_dir(folder.path());
  REQUIRE(dir);
  REQUIRE(::symlink("other", (folder / "link.seen").c_str()) == 0);
  REQUIRE(::mkfifo((folder / "fifo.seen").c_str(), 0600) == 0);
  std::filesystem::create_directory(folder / "folder.seen");
  for (const char* name : {"link.seen", "fifo.seen", "folder.seen"}) CHECK_FALSE(Seen::open(dir->get(), name));
  CHECK(get(folder / "other") == "x");
  Seen seen(10);
  for (int i = 0; i < 25; ++i) REQUIRE(seen.add(of(i)));
  CHECK(seen.size() == 10);
  CHECK(seen.contains(of(24)));
}

TEST_CASE("a status comes back as it was written, whatever a source said", "[sync]") {
  SourceStatus status;
  status.url = "etcd+https://a:2379,b:2379/jit";
  status.started = WallTime(Seconds(1'800'000'000));
  CHECK(parse_status(to_text(status)).value() == status);
  status.good = true;
  status.last_success = WallTime(Seconds(1'800'000'100));
  status.last_error = WallTime(Seconds(1'800'000'050));
  status.error = "it said: no";
  status.post_error = "read-only";
  status.taken = 1;
  status.posted = 2;
  status.refused = UINT64_MAX;
  status.waiting = 4;
  CHECK(parse_status(to_text(status)).value() == status);
  status.error = "two\nlines, \x1b[31mred\x1b[0m \xff";
  const auto read = parse_status(to_text(status));
  REQUIRE(read);
  CHECK(read->error.find('\x1b') == std::string::npos);
  CHECK(read->error.starts_with("two\\nlines, "));
  CHECK(read->taken == 1);
  status.error = std::string(100000, 'a');
  CHECK(to_text(status).size() < kMaxStatus);

  CHECK(parse_status("state good\nfuture word\nstarted 2026-11-29T00:00:00Z\n").value().good);
  for (const std::string bad : {"", "state good", "state other\n", "good\n", "taken -1\n", "taken\n", "started now\n",
                                "last_error 1\n", "state good\n\n"}) {
    INFO(bad);
    CHECK_FALSE(parse_status(bad));
  }
  CHECK_FALSE(parse_status(std::string(kMaxStatus, ' ') + "\n"));
}

TEST_CASE("jitd's word of who this host is is read strictly", "[sync]") {
  const auto host = parse_outbox_host("host db1\nsegment pci-db\nsegment web\nkey SHA256:abc\n");
  REQUIRE(host);
  CHECK(host->host == "db1");
  CHECK(host->segments == std::vector<std::string>{"pci-db", "web"});
  CHECK(host->key == "SHA256:abc");
  CHECK(parse_outbox_host("host db1\n").value().segments.empty());
  for (const std::string bad :
       {"", "host db1", "host \n", "host ..\n", "host a/b\n", "host segment\n", "host db1\nhost db2\n", "segment x\n",
        "host db1\nsegment ../x\n", "host db1\nkey md5:x\n", "host db1\nkey SHA256:a\nkey SHA256:b\n", "host db1\n\n",
        "host db1\nother x\n", "host  db1\n", "Host db1\n", "host db1\r\n"}) {
    INFO(bad);
    CHECK_FALSE(parse_outbox_host(bad));
  }
}

TEST_CASE("names of the outbox are these", "[sync]") {
  CHECK(outbox_kind("alive.jit") == OutboxKind::alive);
  CHECK(outbox_kind("r-0123456789abcdef.jit") == OutboxKind::request);
  CHECK(outbox_kind("e-000000000042.jit") == OutboxKind::event);
  for (const std::string other :
       {"", ".jit", "a.jit", "alive", "r-.jit", "r-0123456789abcde.jit", "r-0123456789abcdeg0.jit",
        "r-0123456789ABCDEF.jit", "r-0123456789abcdei.jit", "e-00000000042.jit", "e-00000000004x.jit",
        "e-000000000042.jit.jit", ".e-000000000042.jit", "x-000000000042.jit", "host", "7k3m-0123456789abcdef.jit"}) {
    INFO(other);
    CHECK(outbox_kind(other) == OutboxKind::none);
  }
}

TEST_CASE("each try waits twice as long as the one before, with jitter and an end", "[sync]") {
  Backoff backoff(1s, 300s);
  auto most = 1000ms;
  bool below = false;
  for (int i = 0; i < 20; ++i) {
    const auto wait = backoff.next();
    CHECK(wait >= most / 2);
    CHECK(wait <= most);
    below = below || wait < most * 9 / 10;
    most = std::min(most * 2, 300000ms);
  }
  CHECK(below);
  backoff.reset();
  CHECK(backoff.next() <= 1s);
}
