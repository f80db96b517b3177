// jitd-sync's processes: the one that keeps the others, and what each of those does between passes.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>

#include "jitd/sync/daemon/supervisor.hpp"
#include "jitd/sync/daemon/worker.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sync/fake_mailbox.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;
using namespace jit::synctest;
using namespace std::chrono_literals;

namespace {

struct Host {
  Host() {
    for (const char* name : {"etc", "inbox", "outbox", "state"}) std::filesystem::create_directory(folder / name);
    places = {folder / "etc", folder / "inbox", folder / "outbox", folder / "state"};
  }
  void config(const std::string& text) const {
    put(folder / "etc/.new", text);
    std::filesystem::rename(folder / "etc/.new", folder / "etc/jitd.toml");
  }
  void ready(const std::string& name = "db1") const {
    put(folder / "outbox/.host", "host " + name + "\n");
    std::filesystem::rename(folder / "outbox/.host", folder / "outbox/host");
  }
  [[nodiscard]] bool said(const std::string& part) const {
    return std::ranges::any_of(lines, [&](const auto& line) { return line.find(part) != std::string::npos; });
  }
  TempDir folder;
  SyncPlaces places;
  std::vector<std::string> lines;
};

std::string source(const std::string& name, const std::string& url) {
  return "[[sources]]\nname = \"" + name + "\"\nurl = \"" + url + "\"\n";
}

// Children that leave a line, their name and pid, and then do as the script says.
struct Kept : Host {
  explicit Kept(const std::string& script) {
    put(folder / "child", "#!/bin/sh\necho \"$1 $$\" >>" + (folder / "started") + "\n" + script + "\n", 0755);
    Supervisor::Config made;
    made.places = places;
    made.command = {folder / "child"};
    made.log = [this](int, const std::string& line) { lines.push_back(line); };
    made.least_wait = 100ms;
    made.most_wait = 400ms;
    sigprocmask(SIG_SETMASK, nullptr, &before_);
    supervisor = std::make_unique<Supervisor>(std::move(made));
  }
  ~Kept() {
    supervisor.reset();
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  // Turns until that holds; false after so long.
  bool until(const std::function<bool()>& holds, std::chrono::milliseconds at_most = 20s) {
    const auto end = std::chrono::steady_clock::now() + at_most;
    while (std::chrono::steady_clock::now() < end) {
      if (!supervisor->turn(50ms)) return false;
      if (holds()) return true;
    }
    return false;
  }
  [[nodiscard]] std::size_t starts(const std::string& name) const {
    std::istringstream in(get(folder / "started"));
    std::size_t count = 0;
    for (std::string line; std::getline(in, line);) count += line.starts_with(name + " ") ? 1U : 0U;
    return count;
  }
  std::unique_ptr<Supervisor> supervisor;

 private:
  sigset_t before_{};  // it blocks the signals that end it
};

struct Passing : Host {
  explicit Passing(const std::string& url) {
    ready();
    auto spec = parse_source_url(url);
    REQUIRE(spec);
    spec->name = "src";
    auto box = std::make_unique<FakeMailbox>();
    mailbox = box.get();
    auto made = Worker::make(
        *spec, {"db1", {}, ""}, places, std::move(box),
        [this](int, const std::string& line) { lines.push_back(line); }, clock);
    REQUIRE(made);
    worker = std::move(*made);
  }
  SourceStatus kept() const {
    auto status = parse_status(get(folder / "state/src.status"));
    REQUIRE(status);
    return *status;
  }
  SystemClock clock;
  FakeMailbox* mailbox = nullptr;
  std::unique_ptr<Worker> worker;
};

}  // namespace

TEST_CASE("each source has its process, when jitd has said who this host is", "[sync]") {
  Kept host("exec sleep 1000");
  host.config(source("a", "/srv/a") + source("b", "/srv/b"));
  CHECK(host.supervisor->turn(0ms));
  CHECK(host.supervisor->children().empty());
  CHECK(host.supervisor->summary().starts_with("waiting for jitd: "));
  host.ready();
  REQUIRE(host.until([&] { return host.supervisor->children().size() == 2; }));
  auto before = host.supervisor->children();

  // Only the one that changed is started anew; the outbox's other files are nobody's matter.
  host.config(source("a", "/srv/a") + source("b", "/srv/other"));
  put(host.folder / "outbox/alive.jit", "x");
  REQUIRE(host.until([&] { return host.starts("b") == 2; }));
  CHECK(host.supervisor->children()["a"] == before["a"]);
  CHECK(host.supervisor->children()["b"] != before["b"]);
  CHECK(host.starts("a") == 1);

  // A bad configuration changes nothing and is told once.
  host.config(source("a", "/srv/a") + source("b", "nonsense"));
  REQUIRE(host.until([&] { return host.said("jitd.toml:6: sources[2].url"); }));
  const auto told = host.lines.size();
  before = host.supervisor->children();
  put(host.folder / "outbox/host.tmp", "x");
  CHECK_FALSE(host.until([&] { return host.lines.size() != told || host.supervisor->children() != before; }, 500ms));

  host.config(source("b", "/srv/other"));
  REQUIRE(host.until([&] { return host.supervisor->children().size() == 1; }));
  CHECK(host.supervisor->children()["b"] == before["b"]);

  // Another name or segment of the host is everybody's matter; an outbox that goes is none.
  std::filesystem::remove(host.folder / "outbox/host");
  REQUIRE(host.until([&] { return host.said("this host stays db1"); }));
  CHECK(host.supervisor->children()["b"] == before["b"]);
  host.ready("db2");
  REQUIRE(host.until([&] { return host.starts("b") == 3; }));

  const pid_t last = host.supervisor->children()["b"];
  ::kill(::getpid(), SIGTERM);
  CHECK_FALSE(host.supervisor->turn(10s));
  host.supervisor->stop_all();
  CHECK(host.supervisor->children().empty());
  CHECK(::kill(last, 0) != 0);
}

TEST_CASE("a process that ends is started again, ever later, and touches no other", "[sync]") {
  Kept host("if [ \"$1\" = bad ]; then exit 7; fi; exec sleep 1000");
  host.ready();
  host.config(source("bad", "/srv/a") + source("good", "/srv/b"));
  const auto from = std::chrono::steady_clock::now();
  REQUIRE(host.until([&] { return host.starts("bad") == 5; }));
  // After 50 to 100, 100 to 200, 200 to 400 and 200 to 400 ms.
  CHECK(std::chrono::steady_clock::now() - from >= 550ms);
  CHECK(host.starts("good") == 1);
  CHECK(host.said("source bad: its process ended with status 7 and is started again"));
  REQUIRE(host.until([&] { return host.supervisor->children().contains("good"); }));
  ::kill(host.supervisor->children()["good"], SIGKILL);
  REQUIRE(host.until([&] { return host.starts("good") == 2; }));
  CHECK(host.said("source good: its process was ended by signal 9"));
}

TEST_CASE("a process that ignores to be ended is ended all the same", "[sync]") {
  Kept host("trap '' TERM; while :; do sleep 1; done");
  host.ready();
  host.config(source("a", "/srv/a"));
  REQUIRE(host.until([&] { return host.starts("a") == 1; }));
  const pid_t child = host.supervisor->children()["a"];
  host.supervisor->stop_all();
  CHECK(::kill(child, 0) != 0);
}

TEST_CASE("files of sources that are no more go, and no others", "[sync]") {
  Kept host("exec sleep 1000");
  for (const char* name : {"a.seen", "a.status", "old.seen", "old.status", "notes"})
    put(host.folder / (std::string("state/") + name), "x");
  host.config("host = 1\nnonsense");
  CHECK(host.supervisor->turn(0ms));
  CHECK(there(host.folder / "state/old.seen"));
  host.config("host = \"db1\"\nkey_of_a_later_release = 1\n" + source("a", "/srv/a"));
  REQUIRE(host.until([&] { return !there(host.folder / "state/old.seen"); }));
  CHECK_FALSE(there(host.folder / "state/old.status"));
  for (const char* name : {"a.seen", "a.status", "notes"}) CHECK(there(host.folder / (std::string("state/") + name)));
}

TEST_CASE("the configuration is root's word, or that of who runs us", "[sync]") {
  Host host;
  CHECK(read_source_config(host.places).value().empty());
  host.config(source("a", "/srv/a"));
  CHECK(read_source_config(host.places).value().size() == 1);
  ::chmod((host.folder / "etc/jitd.toml").c_str(), 0666);
  CHECK_FALSE(read_source_config(host.places));
  host.config(source("a", "/srv/a") + source("a", "/srv/b"));
  const auto twice = read_source_config(host.places);
  REQUIRE_FALSE(twice);
  CHECK(twice.error().message.find("etc/jitd.toml:5: sources[2].name") != std::string::npos);
  CHECK(read_outbox_host(host.places).error().code == Errc::not_found);
  host.ready();
  CHECK(read_outbox_host(host.places).value().host == "db1");
}

TEST_CASE("a source that goes bad or good again is told of once, and its status says how it is", "[sync]") {
  Passing host("/srv/folder");
  host.mailbox->add("to/db1", "a.jit", document("a"));
  host.worker->turn(0ms);
  CHECK(host.lines == std::vector<std::string>{"source src: is read"});
  auto status = host.kept();
  CHECK(status.good);
  CHECK(status.url == "/srv/folder");
  CHECK(status.taken == 1);
  CHECK(status.waiting == 1);
  CHECK(status.last_success);
  CHECK_FALSE(status.last_error);
  CHECK((look(host.folder / "state/src.status").st_mode & 0777) == 0644);
  CHECK(there(host.folder / "state/src.seen"));

  host.mailbox->list_errors["to/db1"] = {Errc::unavailable, "it is gone", 0};
  for (int i = 0; i < 3; ++i) host.worker->turn(0ms);
  CHECK(host.lines.size() == 2);
  CHECK(host.lines.back() == "source src: it is gone");
  status = host.kept();
  CHECK_FALSE(status.good);
  CHECK(status.error == "it is gone");
  CHECK(status.last_error);
  host.mailbox->list_errors.clear();
  host.worker->turn(0ms);
  CHECK(host.lines.size() == 3);
  CHECK(host.kept().good);
  CHECK(host.kept().error == "it is gone");  // what it was stays to be read

  put(host.folder / "outbox/alive.jit", document("alive"));
  host.mailbox->put_error = Error{Errc::refused, "read-only", 0};
  for (int i = 0; i < 3; ++i) host.worker->turn(0ms);
  CHECK(host.lines.size() == 4);
  CHECK(host.kept().post_error == "read-only");
  CHECK(host.kept().good);
}

TEST_CASE("a worker waits as its mailbox does, eagerly while a request waits", "[sync]") {
  Passing host("/srv/folder");
  host.worker->turn(1s);
  CHECK(host.mailbox->waits == 1);
  CHECK_FALSE(host.mailbox->eager);
  put(host.folder / "outbox/r-0123456789abcdef.jit", document("r"));
  host.worker->turn(1s);
  CHECK(host.mailbox->waits == 2);
  CHECK(host.mailbox->eager);
  CHECK(host.worker->status().posted == 1);
  // Passes that end at once come with a pause between them all the same.
  const auto from = std::chrono::steady_clock::now();
  for (int i = 0; i < 4; ++i) host.worker->turn(1s);
  CHECK(std::chrono::steady_clock::now() - from >= 200ms);
  // A folder that is not there is looked for; who runs a server is spared.
  const int waits = host.mailbox->waits;
  host.mailbox->list_errors["to/db1"] = {Errc::unavailable, "it is gone", 0};
  host.worker->turn(1s);
  CHECK(host.mailbox->waits == waits + 1);
  Passing server("https://example.org/jit");
  server.mailbox->list_errors["to/db1"] = {Errc::unavailable, "no answer", 0};
  const auto before = std::chrono::steady_clock::now();
  server.worker->turn(10s);
  CHECK(std::chrono::steady_clock::now() - before >= 500ms);
  CHECK(server.mailbox->waits == 0);
}

TEST_CASE("what was delivered is known to the next process of the same source", "[sync]") {
  Host host;
  host.ready();
  std::filesystem::create_directories(host.folder / "source/to/db1");
  put(host.folder / "source/to/db1/a.jit", document("a"));
  const auto count = [&] { return std::distance(std::filesystem::directory_iterator(host.folder / "inbox"), {}); };
  auto spec = parse_source_url(host.folder / "source");
  REQUIRE(spec);
  spec->name = "src";
  const SystemClock clock;
  for (int i = 0; i < 2; ++i) {
    auto mailbox = make_mailbox(*spec);
    REQUIRE(mailbox);
    auto worker = Worker::make(
        *spec, {"db1", {}, ""}, host.places, std::move(*mailbox), [](int, const auto&) {}, clock);
    REQUIRE(worker);
    (*worker)->turn(0ms);
    CHECK(count() == 1);
  }
  std::filesystem::remove(host.folder / "state/src.seen");
  auto worker = Worker::make(
      *spec, {"db1", {}, ""}, host.places, std::move(*make_mailbox(*spec)), [](int, const auto&) {}, clock);
  REQUIRE(worker);
  (*worker)->turn(0ms);
  CHECK(count() == 2);
}
