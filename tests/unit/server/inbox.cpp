// The inbox: what strangers may put there.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <fstream>

#include "jitd/server/inbox.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace jit;
using namespace jit::test;

namespace {

struct InboxBench {
  InboxBench() {
    auto made = Loop::make();
    REQUIRE(made);
    loop = std::move(*made);
  }
  void open() {
    auto opened = Inbox::open(
        *loop, folder.path(),
        [this](std::string text, const Inbox::Done& done) {
          taken.push_back(std::move(text));
          if (!later) return done({.keep = keep});
          waiting.push_back(done);
        },
        [this](const std::string& why) { refused.push_back(why); });
    REQUIRE(opened);
    inbox = std::move(*opened);
  }
  void turn(int times = 60) {
    for (int i = 0; i < times; ++i) loop->turn(1000);
  }
  [[nodiscard]] std::size_t left() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder.path()), {}));
  }
  Folder folder;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Inbox> inbox;
  std::vector<std::string> taken, refused;
  std::vector<Inbox::Done> waiting;
  bool keep = false, later = false;
};

}  // namespace

TEST_CASE("what lies there and what comes is taken and removed", "[server]") {
  InboxBench bench;
  bench.folder.write("early", "one");
  bench.open();
  bench.turn();
  CHECK(bench.taken == std::vector<std::string>{"one"});
  bench.folder.write("a b;$(touch x)\n", "two");  // names mean nothing
  bench.folder.write("-rf", "three");
  Folder elsewhere;
  elsewhere.write("f", "four");
  std::filesystem::rename(elsewhere / "f", bench.folder / "renamed-in");
  bench.turn();
  std::ranges::sort(bench.taken);
  CHECK(bench.taken == std::vector<std::string>{"four", "one", "three", "two"});
  CHECK(bench.left() == 0);
  CHECK(bench.refused.empty());
}

TEST_CASE("links, FIFOs, sockets, directories, devices and large files are thrown away unread", "[server]") {
  InboxBench bench;
  Folder elsewhere;
  elsewhere.write("secret", "secret");
  REQUIRE(::symlink((elsewhere / "secret").c_str(), (bench.folder / "link").c_str()) == 0);
  REQUIRE(::symlink("/nonexistent", (bench.folder / "dangling").c_str()) == 0);
  REQUIRE(::mkfifo((bench.folder / "fifo").c_str(), 0666) == 0);
  REQUIRE(::link((elsewhere / "secret").c_str(), (bench.folder / "hard").c_str()) == 0);
  std::filesystem::create_directory(bench.folder / "directory");
  const auto socket = listen_at(bench.folder / "socket", 0666);
  bench.folder.write("large", std::string(32 * 1024 + 1, 'a'));
  bench.open();
  bench.turn();
  CHECK(bench.taken.empty());
  CHECK(bench.refused.size() == 7);
  CHECK(bench.left() == 0);
  CHECK(std::filesystem::file_size(elsewhere / "secret") == 6);
  // One that holds something stays, said once and not again and again.
  bench.refused.clear();
  std::filesystem::create_directory(bench.folder / "full");
  bench.folder.write("full/x", "x");
  bench.folder.write("good", "good");
  bench.turn();
  CHECK(bench.taken == std::vector<std::string>{"good"});
}

TEST_CASE("a file still being written is not taken half", "[server]") {
  InboxBench bench;
  const UniqueFd writing(::open((bench.folder / "slow").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(::write(writing.get(), "half", 4) == 4);
  bench.open();  // scans while it is open
  bench.turn();
  CHECK(bench.taken.empty());
  REQUIRE(::write(writing.get(), " whole", 6) == 6);
  const_cast<UniqueFd&>(writing).reset();
  bench.turn();
  CHECK(bench.taken == std::vector<std::string>{"half whole"});
}

TEST_CASE("many files: all taken, the loop turning in between", "[server]") {
  InboxBench bench;
  for (int i = 0; i < 500; ++i) bench.folder.write("f" + std::to_string(i), std::to_string(i));
  bench.open();
  int turns = 0;
  auto other = bench.loop->later([&] { ++turns; });
  for (int i = 0; i < 400 && bench.taken.size() < 500; ++i) {
    other.arm(0);
    bench.loop->turn(1000);
  }
  CHECK(bench.taken.size() == 500);
  CHECK(turns >= 10);
  CHECK(bench.left() == 0);
}

TEST_CASE("what could not be judged stays; a file that took its place is not removed for it", "[server]") {
  InboxBench bench;
  SECTION("kept") {
    bench.keep = true;
    bench.folder.write("f", "x");
    bench.open();
    bench.turn();
    CHECK(bench.taken.size() == 1);
    CHECK(bench.left() == 1);
  }
  SECTION("replaced meanwhile") {
    bench.later = true;
    bench.folder.write("f", "old");
    bench.open();
    bench.turn();
    REQUIRE(bench.waiting.size() == 1);
    Folder elsewhere;
    elsewhere.write("n", "new");
    std::filesystem::rename(elsewhere / "n", bench.folder / "f");
    bench.waiting[0]({});
    CHECK(bench.left() == 1);
    bench.turn();
    CHECK(bench.taken == std::vector<std::string>{"old", "new"});
  }
  SECTION("answered after the inbox is gone") {
    bench.later = true;
    bench.folder.write("f", "x");
    bench.open();
    bench.turn();
    REQUIRE(bench.waiting.size() == 1);
    bench.inbox.reset();
    bench.waiting[0]({});
    CHECK(bench.left() == 1);
  }
}

TEST_CASE("more files at once than the kernel's queue of events holds", "[server]") {
  InboxBench bench;
  bench.open();
  bench.turn(3);
  std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
  std::size_t events = 0;
  REQUIRE(limit >> events);
  if (events > 50000) return;  // not the default: too many files for a test
  const std::size_t files = events + 500;
  for (std::size_t i = 0; i < files; ++i) bench.folder.write(std::to_string(i), "x");
  for (std::size_t i = 0; i < files && bench.taken.size() < files; ++i) bench.loop->turn(1000);
  CHECK(bench.taken.size() == files);
  CHECK(bench.left() == 0);
}

TEST_CASE("what is no file goes from a running inbox as well", "[server]") {
  InboxBench bench;
  bench.open();
  bench.turn(3);
  REQUIRE(::symlink("/nonexistent", (bench.folder / "dangling").c_str()) == 0);
  REQUIRE(::mkfifo((bench.folder / "fifo").c_str(), 0666) == 0);
  std::filesystem::create_directory(bench.folder / "directory");
  const auto socket = listen_at(bench.folder / "socket", 0666);
  bench.turn();
  CHECK(bench.taken.empty());
  CHECK(bench.refused.size() == 4);
  CHECK(bench.left() == 0);
}
