// One source and this host: what goes in, what goes out, and what a hostile source does not get.
#include "jitd/sync/courier.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "tests/unit/catch.hpp"
#include "tests/unit/sync/fake_mailbox.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;
using namespace jit::synctest;

namespace {

struct Bench {
  Bench() {
    std::filesystem::create_directory(folder / "inbox");
    std::filesystem::create_directory(folder / "outbox");
    // Files are of now, and are posted for as long as they may count.
    clock.at.wall_ms = std::int64_t{::time(nullptr)} * 1000;
    start();
  }
  void start() {
    courier.reset();
    courier.emplace(Courier::Config{{"db1", {"pci-db", "web"}, ""},
                                    folder / "inbox",
                                    folder / "outbox",
                                    post,
                                    std::chrono::minutes(5),
                                    limits},
                    mailbox, seen, clock);
  }
  // jitd's side.
  std::set<std::string> inbox() const {
    std::set<std::string> texts;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "inbox")) texts.insert(get(entry.path()));
    return texts;
  }
  std::size_t inbox_files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder / "inbox"), {}));
  }
  void jitd_takes() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder / "inbox"))
      std::filesystem::remove(entry.path());
  }
  void say(const std::string& name, const std::string& text) const {
    put(folder / ("outbox/.tmp"), text, 0640);
    std::filesystem::rename(folder / "outbox/.tmp", folder / ("outbox/" + name));
  }
  void ready() const { say("host", "host db1\n"); }
  void unsay(const std::string& name) const { std::filesystem::remove(folder / ("outbox/" + name)); }
  std::set<std::string> posted() {
    std::set<std::string> names;
    for (const auto& [name, file] : mailbox.boxes["from/db1"]) names.insert(name);
    return names;
  }

  TempDir folder;
  FakeMailbox mailbox;
  FakeClock clock;
  Seen seen{1000};
  bool post = true;
  Courier::Limits limits;
  std::optional<Courier> courier;
};

std::string event(int number) {
  std::string digits = std::to_string(number);
  return "e-" + std::string(12 - digits.size(), '0') + digits + ".jit";
}

const std::string kRequest = "r-0123456789abcdef.jit";

}  // namespace

TEST_CASE("documents for this host and its segments are delivered, each once", "[sync]") {
  Bench bench;
  bench.mailbox.add("to/db1", "a.jit", document("a"));
  bench.mailbox.add("to/segment/pci-db", "b.jit", document("b"));
  bench.mailbox.add("to/segment/web", "c.jit", document("c"));
  bench.mailbox.add("to/db2", "d.jit", document("d"));
  bench.mailbox.add("to/segment/other", "e.jit", document("e"));
  auto pass = bench.courier->pass();
  CHECK_FALSE(pass.error);
  CHECK(pass.taken == 3);
  CHECK_FALSE(pass.again);
  CHECK(bench.inbox() == std::set<std::string>{document("a"), document("b"), document("c")});
  for (const auto& entry : std::filesystem::directory_iterator(bench.folder / "inbox")) {
    CHECK((look(entry.path()).st_mode & 0777) == 0600);
    CHECK(entry.path().filename().string().size() == 32);  // nobody could have guessed it
  }

  bench.jitd_takes();
  const auto gets = bench.mailbox.count("get");
  pass = bench.courier->pass();
  CHECK(pass.taken == 0);
  CHECK(bench.mailbox.count("get") == gets);  // and not even looked at again
  // The same bytes under another name, or in another box; after a start of ours.
  bench.mailbox.add("to/db1", "again.jit", document("a"));
  bench.mailbox.add("to/segment/web", "again.jit", document("a"));
  CHECK(bench.courier->pass().taken == 0);
  bench.start();
  CHECK(bench.courier->pass().taken == 0);
  CHECK(bench.inbox_files() == 0);
  // Another content under the same name; another signature is another file.
  bench.mailbox.add("to/db1", "a.jit", document("a") + document("a").substr(document("a").find("-----BEGIN")));
  CHECK(bench.courier->pass().taken == 1);
}

TEST_CASE("what is no document never reaches jitd", "[sync]") {
  Bench bench;
  bench.mailbox.add("to/db1", "text.jit", "hello\n");
  bench.mailbox.add("to/db1", "empty.jit", "");
  bench.mailbox.add("to/db1", "crlf.jit", "a = 1\r\n");
  bench.mailbox.add("to/db1", "escape.jit", document("\x1b[31m"));
  bench.mailbox.add("to/db1", "large.jit", document("large", kMaxDocument));
  bench.mailbox.add("to/db1", "claims.jit", document("claims"));
  bench.mailbox.boxes["to/db1"]["claims.jit"].claimed_size = std::uint64_t{1} << 40U;
  bench.mailbox.add("to/db1", "other.txt", document("other"));
  bench.mailbox.add("to/db1", ".hidden.jit", document("hidden"));
  bench.mailbox.add("to/db1", "good.jit", document("good"));
  for (const auto code : {Errc::invalid, Errc::refused, Errc::not_found}) {
    const std::string name = "e" + std::to_string(static_cast<int>(code)) + ".jit";
    bench.mailbox.add("to/db1", name, document(name));
    bench.mailbox.get_errors[name] = {code, "no", 0};
  }
  const auto pass = bench.courier->pass();
  CHECK_FALSE(pass.error);
  CHECK(pass.taken == 1);
  CHECK(pass.refused == 8);
  CHECK(bench.inbox() == std::set<std::string>{document("good")});
  CHECK(bench.mailbox.count("get to/db1/claims.jit") == 0);
  const auto gets = bench.mailbox.count("get");
  (void)bench.courier->pass();
  CHECK(bench.mailbox.count("get") == gets + 1);  // what was gone may be there
}

TEST_CASE("a box that cannot be read does not stop the others, a source that is gone does", "[sync]") {
  Bench bench;
  bench.ready();
  bench.say("alive.jit", document("alive"));
  bench.mailbox.add("to/segment/web", "c.jit", document("c"));
  SECTION("refused") {
    bench.mailbox.list_errors["to/db1"] = {Errc::refused, "not yours", 0};
    const auto pass = bench.courier->pass();
    REQUIRE(pass.error);
    CHECK(pass.error->message == "not yours");
    CHECK(pass.taken == 1);
    CHECK(pass.posted == 1);
  }
  SECTION("gone") {
    bench.mailbox.list_errors["to/db1"] = {Errc::unavailable, "not there", 0};
    const auto pass = bench.courier->pass();
    REQUIRE(pass.error);
    CHECK(pass.taken == 0);
    CHECK(pass.posted == 0);
    CHECK(bench.mailbox.log == std::vector<std::string>{"list to/db1"});
    bench.mailbox.list_errors.clear();
    const auto later = bench.courier->pass();
    CHECK_FALSE(later.error);
    CHECK(later.taken == 1);
    CHECK(later.posted == 1);
  }
  SECTION("one bad spot") {
    for (const std::string name : {"a.jit", "b.jit", "c.jit", "d.jit"})
      bench.mailbox.add("to/db1", name, document(name));
    bench.mailbox.get_errors["b.jit"] = {Errc::unavailable, "input/output error", 0};
    const auto pass = bench.courier->pass();
    REQUIRE(pass.error);
    CHECK(pass.error->message == "input/output error");
    CHECK(pass.taken == 3);
  }
  SECTION("three in a row") {
    for (int i = 0; i < 50; ++i) {
      const std::string name = std::to_string(100 + i) + ".jit";
      bench.mailbox.add("to/db1", name, document(name));
      bench.mailbox.get_errors[name] = {Errc::unavailable, "no answer", 0};
    }
    CHECK(bench.courier->pass().error);
    CHECK(bench.mailbox.count("get") == 3);
    bench.mailbox.get_errors.clear();
    CHECK(bench.courier->pass().taken == 51);
  }
}

TEST_CASE("jitd is given no more than it takes in", "[sync]") {
  Bench bench;
  bench.limits.undelivered = 10;
  bench.start();
  for (int i = 0; i < 25; ++i)
    bench.mailbox.add("to/db1", std::to_string(100 + i) + ".jit", document(std::to_string(i)));
  bench.mailbox.add("to/segment/web", "late.jit", document("late"));
  std::set<std::string> all;
  auto pass = bench.courier->pass();
  CHECK(pass.taken == 10);
  CHECK(bench.courier->undelivered() == 10);
  REQUIRE(pass.again);
  CHECK(pass.again->count() > 0);  // not at once: jitd needs its time
  CHECK(bench.courier->pass().taken == 0);
  for (int round = 0; round < 5; ++round) {
    all.merge(bench.inbox());
    bench.jitd_takes();
    CHECK(bench.courier->pass().taken <= 10);
  }
  all.merge(bench.inbox());
  CHECK(all.size() == 26);
}

TEST_CASE("a flood is taken in at a pace, and all of it in the end", "[sync]") {
  Bench bench;
  bench.limits.per_minute = 60;
  bench.limits.fetched = 16;
  bench.start();
  for (int i = 0; i < 200; ++i)
    bench.mailbox.add("to/db1", std::to_string(1000 + i) + ".jit", document(std::to_string(i)));
  for (int i = 0; i < 300; ++i) bench.mailbox.add("to/db1", "junk" + std::to_string(i) + ".jit", "junk");
  std::size_t taken = 0, first_minute = 0;
  for (int second = 0; second < 240; ++second) {
    for (int i = 0; i < 5; ++i) taken += bench.courier->pass().taken;
    bench.jitd_takes();
    bench.clock.pass(1000);
    if (second == 59) first_minute = taken;
  }
  CHECK(first_minute >= 60);
  CHECK(first_minute <= 121);  // what may come at once, and a minute's
  CHECK(taken == 200);
  const auto gets = bench.mailbox.count("get");
  CHECK_FALSE(bench.courier->pass().again);
  CHECK(bench.mailbox.count("get") == gets);
}

TEST_CASE("documents at the end of a long list have their turn while its beginning stays unknown", "[sync]") {
  Bench bench;
  bench.limits.fetched = 10;
  bench.start();
  // Not known after a look, since they may come back: these are fetched again and again.
  for (int i = 0; i < 100; ++i) {
    const std::string name = std::to_string(1000 + i) + ".jit";
    bench.mailbox.add("to/db1", name, document(name));
    bench.mailbox.get_errors[name] = {Errc::not_found, "gone", 0};
  }
  bench.mailbox.add("to/db1", "last.jit", document("last"));
  unsigned taken = 0;
  for (int i = 0; i < 12; ++i) {
    const auto pass = bench.courier->pass();
    CHECK(pass.again == std::chrono::milliseconds(0));
    taken += pass.taken;
  }
  CHECK(taken == 1);
}

TEST_CASE("a delivery that fails leaves nothing, and is made up for", "[sync]") {
  Bench bench;
  bench.mailbox.add("to/db1", "a.jit", document("a"));
  std::filesystem::remove(bench.folder / "inbox");
  const auto pass = bench.courier->pass();
  REQUIRE(pass.error);
  CHECK(pass.error->message.find("inbox") != std::string::npos);
  CHECK_FALSE(bench.seen.contains(sha256(document("a"))));
  // A link in its place is not written through.
  std::filesystem::create_directory(bench.folder / "elsewhere");
  std::filesystem::create_directory_symlink(bench.folder / "elsewhere", bench.folder / "inbox");
  CHECK(bench.courier->pass().error);
  CHECK(std::filesystem::is_empty(bench.folder / "elsewhere"));
  std::filesystem::remove(bench.folder / "inbox");
  std::filesystem::create_directory(bench.folder / "inbox");
  CHECK(bench.courier->pass().taken == 1);
}

TEST_CASE("the outbox is mirrored: requests first, events in their order, and nothing else", "[sync]") {
  Bench bench;
  bench.say("alive.jit", document("alive"));
  CHECK(bench.courier->pass().posted == 0);  // jitd has not said who it is
  bench.ready();
  bench.say(event(2), document("2"));
  bench.say(event(10), document("10"));
  bench.say(event(1), document("1"));
  bench.say(kRequest, document("request"));
  bench.say("other.jit", document("other"));
  bench.say(".x.jit", document("x"));
  REQUIRE(::symlink("/etc/passwd", (bench.folder / ("outbox/" + event(5))).c_str()) == 0);
  auto pass = bench.courier->pass();
  CHECK(pass.posted == 5);
  CHECK(pass.pending);
  CHECK_FALSE(pass.post_error);
  std::vector<std::string> puts;
  std::ranges::copy_if(bench.mailbox.log, std::back_inserter(puts),
                       [](const auto& line) { return line.starts_with("put"); });
  CHECK(puts == std::vector<std::string>{"put from/db1/" + kRequest, "put from/db1/" + event(1),
                                         "put from/db1/" + event(2), "put from/db1/" + event(10),
                                         "put from/db1/alive.jit"});
  CHECK(bench.mailbox.boxes["from/db1"][event(2)].bytes == document("2"));

  // Nothing has changed; then one has, one goes, and somebody else's stays.
  CHECK(bench.courier->pass().posted == 0);
  bench.mailbox.add("from/db1", "somebody.jit", "x");
  bench.mailbox.add("from/db1", "notes.txt", "x");
  bench.say("alive.jit", document("alive again"));
  bench.unsay(kRequest);
  bench.clock.pass(10 * 60 * 1000);
  pass = bench.courier->pass();
  CHECK(pass.posted == 1);
  CHECK(pass.removed == 1);
  CHECK_FALSE(pass.pending);
  CHECK(bench.posted() ==
        std::set<std::string>{"alive.jit", event(1), event(2), event(10), "somebody.jit", "notes.txt"});
  CHECK(bench.mailbox.boxes["from/db1"]["alive.jit"].bytes == document("alive again"));
}

TEST_CASE("what a source loses or keeps is made right after a while, at once after it was gone", "[sync]") {
  Bench bench;
  bench.ready();
  bench.say(event(1), document("1"));
  bench.say(event(2), document("2"));
  CHECK(bench.courier->pass().posted == 2);
  bench.mailbox.boxes["from/db1"].erase(event(1));
  bench.mailbox.add("from/db1", event(7), document("7"));
  SECTION("after a while") {
    CHECK(bench.courier->pass().posted == 0);
    bench.clock.pass(5 * 60 * 1000);
  }
  SECTION("gone meanwhile") {
    bench.mailbox.list_errors["to/db1"] = {Errc::unavailable, "not there", 0};
    CHECK(bench.courier->pass().error);
    bench.mailbox.list_errors.clear();
  }
  const auto pass = bench.courier->pass();
  CHECK(pass.posted == 1);
  CHECK(pass.removed == 1);
  CHECK(bench.posted() == std::set<std::string>{event(1), event(2)});
}

TEST_CASE("what comes back may be another: what is newest on both tells what has to be posted", "[sync]") {
  Bench bench;
  bench.ready();
  for (int i = 1; i <= 3; ++i) bench.say(event(i), document(std::to_string(i)));
  bench.say("alive.jit", document("alive"));
  CHECK(bench.courier->pass().posted == 4);
  bench.mailbox.list_errors["to/db1"] = {Errc::unavailable, "not there", 0};
  CHECK(bench.courier->pass().error);
  bench.mailbox.list_errors.clear();
  SECTION("the same") {
    CHECK(bench.courier->pass().posted == 1);  // that the host is alive
  }
  SECTION("one that was here long ago") {
    bench.mailbox.boxes["from/db1"].erase(event(3));
    bench.mailbox.add("from/db1", event(2), document("another database's"));
    CHECK(bench.courier->pass().posted == 4);
  }
  CHECK(bench.mailbox.boxes["from/db1"][event(2)].bytes == document("2"));
}

TEST_CASE("after a start what the source has is not posted again, unless jitd counts anew", "[sync]") {
  Bench bench;
  bench.ready();
  for (int i = 1; i <= 20; ++i) bench.say(event(i), document(std::to_string(i)));
  bench.say(kRequest, document("request"));
  bench.say("alive.jit", document("alive"));
  CHECK(bench.courier->pass().posted == 22);
  bench.start();
  SECTION("the same") {
    bench.say(event(21), document("21"));
    const auto pass = bench.courier->pass();
    CHECK(pass.posted == 2);  // the new one, and that the host is alive
    CHECK(bench.mailbox.count("get from") == 1);
  }
  SECTION("another database") {
    for (int i = 1; i <= 20; ++i) bench.unsay(event(i));
    for (int i = 1; i <= 3; ++i) bench.say(event(i), document("new " + std::to_string(i)));
    const auto pass = bench.courier->pass();
    CHECK(pass.posted == 4);
    CHECK(pass.removed == 17);
    CHECK(bench.mailbox.boxes["from/db1"][event(3)].bytes == document("new 3"));
    CHECK(bench.mailbox.boxes["from/db1"][event(1)].bytes == document("new 1"));
  }
}

TEST_CASE("a source that takes nothing is read all the same, and asked again later", "[sync]") {
  Bench bench;
  bench.ready();
  bench.say(event(1), document("1"));
  bench.say(event(2), document("2"));
  bench.mailbox.put_error = Error{Errc::refused, "read-only file system", 0};
  bench.mailbox.add("to/db1", "a.jit", document("a"));
  auto pass = bench.courier->pass();
  CHECK_FALSE(pass.error);
  CHECK(pass.taken == 1);
  REQUIRE(pass.post_error);
  CHECK(pass.post_error->message == "read-only file system");
  REQUIRE(pass.again);
  CHECK(pass.again->count() > 0);
  CHECK(bench.mailbox.count("put") == 1);  // never the second before the first
  pass = bench.courier->pass();
  CHECK(pass.post_error);
  CHECK(bench.mailbox.count("put") == 1);
  bench.mailbox.put_error.reset();
  bench.clock.pass(2000);
  pass = bench.courier->pass();
  CHECK_FALSE(pass.post_error);
  CHECK(pass.posted == 2);

  SECTION("nor is it where nothing is to be posted") {
    bench.post = false;
    bench.start();
    bench.mailbox.log.clear();
    bench.say(kRequest, document("request"));
    pass = bench.courier->pass();
    CHECK(pass.pending);  // an answer may come by this source
    CHECK(bench.mailbox.count("put") == 0);
    CHECK(bench.mailbox.count("list from") == 0);
  }
}

TEST_CASE("an outbox that cannot be read takes nothing away", "[sync]") {
  Bench bench;
  bench.ready();
  bench.say(event(1), document("1"));
  CHECK(bench.courier->pass().posted == 1);
  SECTION("gone") {
    std::filesystem::rename(bench.folder / "outbox", bench.folder / "away");
  }
  SECTION("being made") {
    bench.unsay("host");
    bench.unsay(event(1));
  }
  bench.clock.pass(10 * 60 * 1000);
  const auto pass = bench.courier->pass();
  CHECK(pass.removed == 0);
  CHECK(bench.posted() == std::set<std::string>{event(1)});
}

TEST_CASE("many files go out over several passes, and none for longer than it may count", "[sync]") {
  Bench bench;
  bench.ready();
  bench.limits.posted = 10;
  bench.limits.removed = 10;
  bench.start();
  for (int i = 1; i <= 35; ++i) bench.say(event(i), document(std::to_string(i)));
  const auto written = look(bench.folder / ("outbox/" + event(1))).st_mtim.tv_sec;
  bench.clock.at.wall_ms = std::int64_t{written} * 1000;
  unsigned posted = 0;
  for (int i = 0; i < 4; ++i) {
    const auto pass = bench.courier->pass();
    CHECK(pass.again.has_value() == (i < 3));
    posted += pass.posted;
  }
  CHECK(posted == 35);
  CHECK(bench.mailbox.until[event(1)] == WallTime(Seconds(written)) + std::chrono::days(14));
  for (int i = 1; i <= 35; ++i) bench.unsay(event(i));
  unsigned removed = 0;
  for (int i = 0; i < 4; ++i) removed += bench.courier->pass().removed;
  CHECK(removed == 35);
  // Older than anything signed counts: not posted at all.
  bench.clock.pass(std::int64_t{15} * 24 * 3600 * 1000);
  bench.say(event(36), document("36"));
  CHECK(bench.courier->pass().posted == 0);
}
