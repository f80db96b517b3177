// The outbox: what the engine says lies there, whatever else does.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "jitd/server/outbox.hpp"
#include "policy/document/envelope.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace jit;
using namespace jit::test;

namespace {

// A disk that is full when the test says so.
class Disk final : public Files {
 public:
  ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) noexcept override {
    if (full) {
      errno = ENOSPC;
      return -1;
    }
    return Files::pwrite(fd, data, size, offset);
  }
  bool full = false;
};

struct OutboxBench {
  explicit OutboxBench(bool there = true) {
    auto made = Loop::make();
    REQUIRE(made);
    loop = std::move(*made);
    auto host = std::make_shared<HostView>();
    host->config.host = "db1";
    host->config.segments = {"pci-db", "prod"};
    host->host_key = "SHA256:abc";
    view = host;
    if (there) make();
  }
  void make() const { REQUIRE(::mkdir(folder().c_str(), 0750) == 0); }
  [[nodiscard]] std::string folder() const { return var / "outbox"; }
  void open() {
    auto opened = Outbox::open(
        *loop, folder(),
        {engine, disk, [this] { return view; }, [this](int, const std::string& message) { log.push_back(message); }});
    if (!opened) FAIL(opened.error().message);
    outbox = std::move(*opened);
    turn();
  }
  void turn(int times = 300) {
    for (int i = 0; i < times; ++i) loop->turn(0);
  }
  void news() {
    ++engine.news_now;
    outbox->changed();
    turn();
  }
  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder())) found.insert(entry.path().filename());
    return found;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(folder() + "/" + name, std::ios::binary).rdbuf();
    return text.str();
  }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(folder() + "/" + name, std::ios::binary) << text;
  }
  // A request that waits; its file.
  std::string waits(const std::string& text) {
    engine.waiting[sha256(text)] = text;
    return "r-" + id_of(sha256(text)) + ".jit";
  }
  std::set<std::string> everything() {
    std::set<std::string> all{"host", "alive.jit"};
    for (const auto& [digest, text] : engine.waiting) all.insert("r-" + id_of(digest) + ".jit");
    for (std::size_t i = 0; i < engine.told.size(); ++i) {
      std::string number = std::to_string(engine.first_event + i);
      all.insert("e-" + std::string(12 - number.size(), '0') + number + ".jit");
    }
    return all;
  }

  Folder var;
  std::unique_ptr<Loop> loop;
  FakeEngine engine;
  Disk disk;
  std::shared_ptr<const HostView> view;
  std::vector<std::string> log;
  std::unique_ptr<Outbox> outbox;
};

}  // namespace

TEST_CASE("the outbox has what the engine says, and nothing else of its own names", "[server][outbox]") {
  OutboxBench bench;
  const std::string request = bench.waits("a request");
  bench.engine.told = {"one", "two"};
  const mode_t mask = ::umask(GENERATE(as<mode_t>{}, 0000, 0077));
  bench.open();
  ::umask(mask);
  CHECK(bench.names() == bench.everything());
  CHECK(bench.read(request) == "a request");
  CHECK(bench.read("e-000000000001.jit") == "one");
  CHECK(bench.read("e-000000000002.jit") == "two");
  CHECK(bench.read("host") == "host db1\nsegment pci-db\nsegment prod\nkey SHA256:abc\n");
  CHECK(bench.read("alive.jit") == "alive 1");
  for (const std::string& name : bench.names()) {
    struct stat seen {};
    REQUIRE(::stat((bench.folder() + "/" + name).c_str(), &seen) == 0);
    INFO(name);
    CHECK((seen.st_mode & 07777U) == 0640);
    CHECK(seen.st_uid == ::geteuid());
  }
  CHECK(bench.outbox->problem().empty());
  CHECK(bench.log.empty());

  bench.engine.waiting.clear();
  const std::string other = bench.waits("another");
  bench.engine.told.emplace_back("three");
  bench.engine.told.erase(bench.engine.told.begin());
  ++bench.engine.first_event;
  bench.news();
  CHECK(bench.names() ==
        std::set<std::string>{"host", "alive.jit", other, "e-000000000002.jit", "e-000000000003.jit"});

  const int asked = bench.engine.asked_outgoing;
  bench.outbox->changed();
  bench.turn();
  CHECK(bench.engine.asked_outgoing == asked);  // nothing new: nobody is asked
}

TEST_CASE("whose group may read the outbox is said by its setgid bit", "[server][outbox]") {
  OutboxBench bench;
  if (::geteuid() != 0) return;
  constexpr gid_t group = 54321;
  REQUIRE(::chown(bench.folder().c_str(), 0, group) == 0);
  const bool setgid = GENERATE(true, false);
  REQUIRE(::chmod(bench.folder().c_str(), setgid ? 02750 : 0750) == 0);
  bench.waits("a request");
  bench.open();
  for (const std::string& name : bench.names()) {
    struct stat seen {};
    REQUIRE(::stat((bench.folder() + "/" + name).c_str(), &seen) == 0);
    CHECK(seen.st_gid == (setgid ? group : ::getegid()));
  }
}

TEST_CASE("many requests and events come in turns, so that nothing waits for them", "[server][outbox]") {
  OutboxBench bench;
  for (int i = 0; i < 500; ++i) bench.waits("request " + std::to_string(i));
  for (int i = 0; i < 300; ++i) bench.engine.told.push_back("event " + std::to_string(i));
  auto opened = Outbox::open(*bench.loop, bench.folder(),
                             {bench.engine, bench.disk, [&] { return bench.view; }, [](int, const std::string&) {}});
  REQUIRE(opened);
  bench.outbox = std::move(*opened);
  bench.turn(1);
  CHECK(bench.names().size() <= Outbox::kPerTurn);
  bench.turn();
  CHECK(bench.names() == bench.everything());
  SECTION("and go in turns") {
    bench.engine.waiting.clear();
    ++bench.engine.news_now;
    bench.outbox->changed();
    bench.turn(2);
    CHECK(bench.names().size() > 400);
    bench.turn();
    CHECK(bench.names() == bench.everything());
  }
  SECTION("a second start writes nothing again that is there") {
    struct stat before {
    }, after{};
    REQUIRE(::stat((bench.folder() + "/e-000000000001.jit").c_str(), &before) == 0);
    bench.open();
    REQUIRE(::stat((bench.folder() + "/e-000000000001.jit").c_str(), &after) == 0);
    CHECK(before.st_ino == after.st_ino);
    CHECK(bench.names() == bench.everything());
  }
}

TEST_CASE("whatever lies in the outbox under our names is made right, and others' is left alone",
          "[server][outbox]") {
  OutboxBench bench;
  const std::string request = bench.waits("a request");
  const std::string absent = "r-" + id_of(sha256("nobody asked for this")) + ".jit";
  bench.engine.told = {"one", "two", "three"};
  bench.engine.first_event = 5;
  Folder elsewhere;
  elsewhere.write("secret", "secret");
  const std::string folder = bench.folder();
  // Ours by name.
  bench.put("host", "host mallory\n");
  bench.put(absent, "x");
  bench.put("e-000000000001.jit", "old");
  bench.put("e-000000000099.jit", "of before");
  bench.put("e-000000000005.jit", "one");  // right, but for its mode
  REQUIRE(::chmod((folder + "/e-000000000005.jit").c_str(), 0666) == 0);
  REQUIRE(::symlink((elsewhere / "secret").c_str(), (folder + "/" + request).c_str()) == 0);
  REQUIRE(::mkfifo((folder + "/e-000000000006.jit").c_str(), 0666) == 0);
  REQUIRE(::link((elsewhere / "secret").c_str(), (folder + "/e-000000000007.jit").c_str()) == 0);
  bench.put("." + request + ".tmp", "half");
  // Others'.
  const std::set<std::string> theirs{"note.txt",
                                     "r-.jit",
                                     "r-" + std::string(16, 'U') + ".jit",
                                     "e-1.jit",
                                     "e-0000000000x1.jit",
                                     ".other.tmp",
                                     "hosts",
                                     "R-x.jit",
                                     "e-0000000000001.jit"};
  for (const std::string& name : theirs) bench.put(name, "theirs");
  bench.open();
  std::set<std::string> wanted = bench.everything();
  wanted.insert(theirs.begin(), theirs.end());
  CHECK(bench.names() == wanted);
  for (const std::string& name : theirs) CHECK(bench.read(name) == "theirs");
  CHECK(bench.read(request) == "a request");
  CHECK(bench.read("e-000000000006.jit") == "two");
  CHECK(bench.read("e-000000000007.jit") == "three");
  CHECK(bench.read("host").starts_with("host db1\n"));
  CHECK(std::ifstream(elsewhere / "secret").good());
  std::stringstream secret;
  secret << std::ifstream(elsewhere / "secret").rdbuf();
  CHECK(secret.str() == "secret");
  struct stat seen {};
  for (const char* const name : {request.c_str(), "e-000000000005.jit", "e-000000000006.jit"}) {
    REQUIRE(::lstat((folder + "/" + name).c_str(), &seen) == 0);
    CHECK(S_ISREG(seen.st_mode));
    CHECK((seen.st_mode & 07777U) == 0640);
    CHECK(seen.st_nlink == 1);
  }
}

TEST_CASE("a folder with one of our names is said, and keeps nothing else out", "[server][outbox]") {
  OutboxBench bench;
  const std::string request = bench.waits("a request");
  bench.engine.told = {"one", "two"};
  std::filesystem::create_directories(bench.folder() + "/e-000000000001.jit/x");
  std::filesystem::create_directories(bench.folder() + "/e-000000000077.jit");
  bench.open();
  CHECK(bench.read(request) == "a request");
  CHECK(bench.read("e-000000000002.jit") == "two");
  CHECK(bench.read("alive.jit") == "alive 1");
  CHECK(bench.log.size() == 1);
  CHECK(bench.outbox->problem().find("something else has the name e-0000000000") != std::string::npos);
}

TEST_CASE("an outbox that is not root's alone gets nothing", "[server][outbox]") {
  OutboxBench bench;
  bench.waits("a request");
  SECTION("others may write it") {
    REQUIRE(::chmod(bench.folder().c_str(), GENERATE(as<mode_t>{}, 0770, 0757)) == 0);
  }
  SECTION("it is somebody else's") {
    if (::geteuid() != 0) return;
    REQUIRE(::chown(bench.folder().c_str(), 54321, 0) == 0);
  }
  SECTION("it is a link") {
    std::filesystem::rename(bench.folder(), bench.var / "elsewhere");
    REQUIRE(::symlink((bench.var / "elsewhere").c_str(), bench.folder().c_str()) == 0);
  }
  bench.open();
  CHECK(bench.names().empty());
  CHECK(bench.log.size() == 1);
  CHECK_FALSE(bench.outbox->problem().empty());
}

TEST_CASE("a full disk is said once, and made good when there is room", "[server][outbox]") {
  OutboxBench bench;
  bench.disk.full = true;
  const std::string request = bench.waits("a request");
  bench.open();
  CHECK(bench.names().empty());  // no half of a file either
  for (int i = 0; i < 5; ++i) bench.news();
  CHECK(bench.log.size() == 1);
  CHECK(bench.outbox->problem().find("No space left") != std::string::npos);
  // What is over goes all the same.
  bench.disk.full = false;
  bench.news();
  CHECK(bench.names() == bench.everything());
  CHECK(bench.outbox->problem().empty());
  CHECK(bench.log.size() == 2);
  bench.disk.full = true;
  bench.engine.waiting.clear();
  bench.waits("another");
  bench.news();
  CHECK_FALSE(bench.names().contains(request));
  CHECK(bench.log.size() == 3);
  bench.engine.database_fails = true;
  bench.disk.full = false;
  bench.news();
  CHECK(bench.outbox->problem().find("does not read") != std::string::npos);
  CHECK(bench.log.size() == 3);
}

TEST_CASE("the outbox may come and go while jitd runs", "[server][outbox]") {
  OutboxBench bench(false);
  bench.waits("a request");
  bench.open();
  CHECK(bench.engine.calls.empty());
  CHECK(bench.outbox->problem().empty());  // most hosts have none
  bench.make();
  bench.turn();
  CHECK(bench.engine.calls == std::vector<std::string>{"outbox 0"});
  CHECK(bench.names() == bench.everything());
  SECTION("removed") {
    std::filesystem::remove_all(bench.folder());
    bench.turn();
    CHECK(bench.engine.calls.back() == "no outbox");
    CHECK(bench.outbox->problem().find("is gone") != std::string::npos);
    CHECK(bench.log.size() == 1);
    bench.news();
    CHECK(bench.log.size() == 1);
    bench.make();
    bench.turn();
    CHECK(bench.names() == bench.everything());
    CHECK(bench.outbox->problem().empty());
  }
  SECTION("another in its place") {
    std::filesystem::rename(bench.folder(), bench.var / "aside");
    bench.make();
    bench.turn();
    CHECK(bench.names() == bench.everything());
  }
}

TEST_CASE("what a host is said to be follows its configuration", "[server][outbox]") {
  OutboxBench bench;
  bench.open();
  auto other = std::make_shared<HostView>(*bench.view);
  other->config.segments = {"web"};
  bench.view = other;
  bench.outbox->changed();
  bench.turn();
  CHECK(bench.read("host") == "host db1\nsegment web\nkey SHA256:abc\n");
  CHECK(bench.read("alive.jit") == "alive 2");
}

TEST_CASE("on another machine than that of its key a host says nothing in its name", "[server][outbox]") {
  OutboxBench bench;
  bench.waits("a request");
  bench.engine.told = {"one"};
  bench.open();
  const std::set<std::string> before = bench.names();
  auto other = std::make_shared<HostView>(*bench.view);
  other->machine.unknown = "copied";
  bench.view = other;
  bench.engine.waiting.clear();
  bench.engine.told = {"one", "two"};
  bench.outbox->changed();
  bench.news();
  std::set<std::string> left = before;
  left.erase("host");
  CHECK(bench.names() == left);  // as it was: what is removed here would be removed in the other's mailbox
  auto known = std::make_shared<HostView>(*bench.view);
  known->machine.unknown.clear();
  bench.view = known;
  bench.outbox->changed();
  bench.turn();
  CHECK(bench.names() == bench.everything());
}

TEST_CASE("how far was told before is read from what this host signed itself", "[server][outbox]") {
  Folder folder;
  const auto key = SigningKey::generate(), other = SigningKey::generate();
  REQUIRE((key && other));
  const TrustFile own = parse_trust("own", "db1 " + public_key_line(key->public_key()) + "\n");
  const auto event = [&](std::uint64_t sequence, const SigningKey& by, const std::string& what = "started") {
    EventDocument made;
    made.host = "db1";
    made.host_key = fingerprint(by.public_key());
    made.sequence = sequence;
    made.created = WallTime(Seconds(1'800'000'000));
    made.entry = 1;
    made.policy = made.machine = digest_text(sha256("p"));
    made.what = what;
    made.nonce = make_nonce();
    const std::string payload = to_payload(made);
    return to_text(Envelope{payload, {*by.sign(payload, "jit-event")}});
  };
  const auto put = [&](const std::string& name, const std::string& text, mode_t mode = 0640) {
    folder.write(name, text);
    REQUIRE(::chmod((folder / name).c_str(), mode) == 0);
  };
  CHECK_FALSE(told_in(folder / "none", own));
  CHECK(told_in(folder.path(), own) == 0U);
  put("e-000000000007.jit", event(7, *key));
  CHECK(told_in(folder.path(), own) == 7U);
  put("e-000000000900.jit", event(900, *other));      // of another key
  put("e-000000000901.jit", "nothing");               // torn
  put("e-000000000902.jit", event(902, *key), 0666);  // anybody may have written it
  REQUIRE(::symlink((folder / "e-000000000007.jit").c_str(), (folder / "e-000000000903.jit").c_str()) == 0);
  put("r-0123456789abcdef.jit", event(1000, *key));
  CHECK(told_in(folder.path(), own) == 7U);
  put("alive.jit", event(9, *key, "alive"));
  CHECK(told_in(folder.path(), own) == 9U);
}

TEST_CASE("who may read the outbox may be said after it is there", "[server][outbox]") {
  if (::geteuid() != 0) return;
  OutboxBench bench;
  const std::string request = bench.waits("a request");
  bench.open();
  REQUIRE(::chown(bench.folder().c_str(), 0, 54321) == 0);
  REQUIRE(::chmod(bench.folder().c_str(), 02750) == 0);
  bench.turn();
  struct stat seen {};
  for (const char* const name : {"host", request.c_str(), "alive.jit"}) {
    INFO(name);
    REQUIRE(::lstat((bench.folder() + "/" + name).c_str(), &seen) == 0);
    CHECK(seen.st_gid == 54321);
  }
}
