// The mailbox in a folder, and what strangers may put there.
#include "jitd/sync/directory.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/document/envelope.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;
using namespace std::chrono_literals;

namespace {

const Box kTo = *Box::to_host("db1");
const Box kSegment = *Box::to_segment("pci-db");
const Box kFrom = *Box::from_host("db1");

struct Bench {
  explicit Bench(DirectoryMailbox::Ports ports = {}) : box(specification(), std::move(ports)) {}
  [[nodiscard]] SourceSpec specification() const {
    auto spec = parse_source_url(folder.path());
    REQUIRE(spec);
    return *spec;
  }
  std::map<std::string, Item> list(const Box& which) {
    std::map<std::string, Item> items;
    const auto done = box.list(which, [&](const Item& item) {
      items[item.name] = item;
      return true;
    });
    REQUIRE(done);
    return items;
  }
  void make(const std::string& path) const { std::filesystem::create_directories(folder / path); }

  TempDir folder;
  DirectoryMailbox box;
};

Errc code(const Result<void>& result) {
  REQUIRE_FALSE(result.has_value());
  return result.error().code;
}

Errc code(const Result<std::string>& result) {
  REQUIRE_FALSE(result.has_value());
  return result.error().code;
}

const DirectoryMailbox::Visit kAll = [](const Item&) { return true; };

// How long a wait took; it may say no error.
std::chrono::milliseconds waited(DirectoryMailbox& box, const std::vector<Box>& boxes, int other,
                                 std::chrono::milliseconds at_most, bool eager = false) {
  const auto from = std::chrono::steady_clock::now();
  REQUIRE(box.wait(boxes, other, at_most, eager));
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - from);
}

constexpr auto kLong = 20s;  // a wait that is cut short takes far less
constexpr auto kShort = 60ms;

}  // namespace

TEST_CASE("what is put into a folder is listed and read, replaced and taken away", "[sync]") {
  Bench bench;
  CHECK(bench.list(kTo).empty());  // no box is an empty one
  REQUIRE(bench.box.put(kTo, "a.jit", "one", WallTime{}));
  REQUIRE(bench.box.put(kSegment, "b.jit", "two", WallTime{}));
  REQUIRE(bench.box.put(kFrom, "alive.jit", "three", WallTime{}));
  CHECK(get(bench.folder / "to/db1/a.jit") == "one");
  CHECK(get(bench.folder / "to/segment/pci-db/b.jit") == "two");
  CHECK(get(bench.folder / "from/db1/alive.jit") == "three");

  auto items = bench.list(kTo);
  REQUIRE(items.size() == 1);
  CHECK(items["a.jit"].size == 3);
  CHECK(bench.box.get(kTo, items["a.jit"]).value() == "one");
  REQUIRE(bench.box.put(kTo, "a.jit", "another", WallTime{}));
  auto later = bench.list(kTo);
  CHECK(later["a.jit"].stamp != items["a.jit"].stamp);
  CHECK(bench.box.get(kTo, items["a.jit"]).value() == "another");

  REQUIRE(bench.box.remove(kTo, "a.jit"));
  REQUIRE(bench.box.remove(kTo, "a.jit"));
  REQUIRE(bench.box.remove(*Box::to_host("nobody"), "a.jit"));
  CHECK(bench.list(kTo).empty());
  CHECK(code(bench.box.get(kTo, items["a.jit"])) == Errc::not_found);
  // No temporary is left anywhere.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(bench.folder.path()))
    CHECK_FALSE(entry.path().filename().string().starts_with('.'));
}

TEST_CASE("files and folders can be read by all, whatever the umask", "[sync]") {
  Bench bench;
  const mode_t before = ::umask(077);
  const auto done = bench.box.put(kFrom, "alive.jit", "x", WallTime{});
  ::umask(before);
  REQUIRE(done);
  CHECK((look(bench.folder / "from").st_mode & 0777) == 0755);
  CHECK((look(bench.folder / "from/db1").st_mode & 0777) == 0755);
  CHECK((look(bench.folder / "from/db1/alive.jit").st_mode & 0777) == 0644);
}

TEST_CASE("a folder that is not there is never made", "[sync]") {
  Bench bench;
  std::filesystem::remove(bench.folder.path());
  CHECK(code(bench.box.list(kTo, kAll)) == Errc::unavailable);
  CHECK(code(bench.box.get(kTo, {"a.jit", 1, ""})) == Errc::unavailable);
  CHECK(code(bench.box.put(kTo, "a.jit", "x", WallTime{})) == Errc::unavailable);
  CHECK(code(bench.box.remove(kTo, "a.jit")) == Errc::unavailable);
  CHECK_FALSE(there(bench.folder.path()));
  // It comes, goes and comes.
  std::filesystem::create_directory(bench.folder.path());
  REQUIRE(bench.box.put(kTo, "a.jit", "x", WallTime{}));
  CHECK(bench.list(kTo).size() == 1);
}

TEST_CASE("the root may be a link, nothing below it is followed", "[sync]") {
  TempDir elsewhere;
  std::filesystem::create_directories(elsewhere / "real/to/db1");
  put(elsewhere / "real/to/db1/a.jit", "x");
  std::filesystem::create_symlink(elsewhere / "real", elsewhere / "link");
  DirectoryMailbox linked(*parse_source_url(elsewhere / "link"));
  CHECK(linked.get(kTo, {"a.jit", 1, ""}).value() == "x");

  for (const std::string where : {"to", "to/db1", "to/segment"}) {
    INFO(where);
    Bench bench;
    if (where != "to") bench.make("to");
    std::filesystem::create_directories(elsewhere / "real/db1");
    std::filesystem::create_directories(elsewhere / "real/pci-db");
    std::filesystem::create_symlink(elsewhere / (where == "to" ? "real/to" : "real"), bench.folder / where);
    const Box& box = where == "to/segment" ? kSegment : kTo;
    CHECK(code(bench.box.list(box, kAll)) == Errc::invalid);
    CHECK(code(bench.box.get(box, {"a.jit", 1, ""})) == Errc::invalid);
    CHECK(code(bench.box.put(box, "n.jit", "x", WallTime{})) == Errc::invalid);
    CHECK(code(bench.box.remove(box, "a.jit")) == Errc::invalid);
  }
  CHECK(there(elsewhere / "real/to/db1/a.jit"));
  CHECK_FALSE(there(elsewhere / "real/n.jit"));
  // A file where a folder should be.
  Bench bench;
  put(bench.folder / "to", "x");
  CHECK(code(bench.box.list(kTo, kAll)) == Errc::invalid);
  CHECK(code(bench.box.put(kTo, "n.jit", "x", WallTime{})) == Errc::invalid);
}

TEST_CASE("what is no regular file is passed over, and its opening waits for nobody", "[sync]") {
  Bench bench;
  TempDir elsewhere;
  bench.make("to/db1");
  const std::string box = bench.folder / "to/db1/";
  put(elsewhere / "secret", "secret");
  REQUIRE(::symlink((elsewhere / "secret").c_str(), (box + "link.jit").c_str()) == 0);
  REQUIRE(::mkfifo((box + "fifo.jit").c_str(), 0666) == 0);
  std::filesystem::create_directory(box + "folder.jit");
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (box + "socket.jit").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const bool device = ::mknod((box + "device.jit").c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0;  // /dev/zero
  put(box + "good.jit", "good");
  put(box + ".hidden.jit", "x");
  put(box + "other.txt", "x");

  const auto items = bench.list(kTo);
  CHECK(items.size() == 1);
  CHECK(items.contains("good.jit"));
  for (const std::string name : {"link.jit", "fifo.jit", "folder.jit", "socket.jit", "device.jit"}) {
    if (name == "device.jit" && !device) continue;
    INFO(name);
    CHECK(code(bench.box.get(kTo, {name, 1, ""})) == Errc::invalid);
  }
  // A put replaces a link, never what it leads to; a folder stays.
  REQUIRE(bench.box.put(kTo, "link.jit", "mine", WallTime{}));
  CHECK(get(elsewhere / "secret") == "secret");
  CHECK(get(box + "link.jit") == "mine");
  CHECK(code(bench.box.put(kTo, "folder.jit", "mine", WallTime{})) == Errc::invalid);
  CHECK(code(bench.box.remove(kTo, "folder.jit")) == Errc::invalid);
  REQUIRE(bench.box.remove(kTo, "fifo.jit"));
}

TEST_CASE("names are bytes, and never a path", "[sync]") {
  Bench bench;
  bench.make("to/db1");
  const std::set<std::string> odd = {"a b.jit",      "-rf.jit",      "$(x).jit",      "line\nbreak.jit",
                                     "\x1b[31m.jit", "\xff\xfe.jit", "..jit.jit.jit", std::string(251, 'a') + ".jit"};
  std::set<std::string> good;
  for (const std::string& name : odd) {
    put(bench.folder / ("to/db1/" + name), "x");
    if (!name.starts_with('.')) good.insert(name);
  }
  std::set<std::string> found;
  for (const auto& [name, item] : bench.list(kTo)) {
    found.insert(name);
    CHECK(bench.box.get(kTo, item).value() == "x");
  }
  CHECK(found == good);
  put(bench.folder / "to/secret.jit", "x");
  for (const std::string& name :
       {std::string("../secret.jit"), std::string("/etc/x.jit"), std::string("a/b.jit"), std::string("a\0.jit", 6),
        std::string("x"), std::string(".x.jit"), std::string()}) {
    INFO(name);
    CHECK(code(bench.box.get(kTo, {name, 1, ""})) == Errc::invalid);
    CHECK(code(bench.box.put(kTo, name, "x", WallTime{})) == Errc::invalid);
    CHECK(code(bench.box.remove(kTo, name)) == Errc::invalid);
  }
  CHECK(there(bench.folder / "to/secret.jit"));
}

TEST_CASE("what is too large is not read", "[sync]") {
  Bench bench;
  bench.make("to/db1");
  put(bench.folder / "to/db1/most.jit", std::string(kMaxDocument, 'a'));
  put(bench.folder / "to/db1/more.jit", std::string(kMaxDocument + 1, 'a'));
  put(bench.folder / "to/db1/huge.jit", "");
  std::filesystem::resize_file(bench.folder / "to/db1/huge.jit", std::uintmax_t{1} << 40U);
  auto items = bench.list(kTo);
  CHECK(items["huge.jit"].size == std::uint64_t{1} << 40U);
  CHECK(bench.box.get(kTo, items["most.jit"]).value().size() == kMaxDocument);
  CHECK(code(bench.box.get(kTo, items["more.jit"])) == Errc::invalid);
  CHECK(code(bench.box.get(kTo, items["huge.jit"])) == Errc::invalid);
  CHECK(code(bench.box.put(kTo, "x.jit", std::string(kMaxDocument + 1, 'a'), WallTime{})) == Errc::invalid);
}

TEST_CASE("a list goes through, and ends when its reader has enough", "[sync]") {
  Bench bench;
  bench.make("to/db1");
  for (int i = 0; i < 3000; ++i) put(bench.folder / ("to/db1/" + std::to_string(i) + ".jit"), "x");
  CHECK(bench.list(kTo).size() == 3000);
  int visited = 0;
  REQUIRE(bench.box.list(kTo, [&](const Item&) { return ++visited < 10; }));
  CHECK(visited == 10);
}

TEST_CASE("a stamp stays until the file changes, once its clock has gone on", "[sync]") {
  std::chrono::seconds ahead{0};
  DirectoryMailbox::Ports ports;
  ports.now = [&] { return std::chrono::system_clock::now() + ahead; };
  Bench bench(ports);
  bench.make("to/db1");
  const std::string file = bench.folder / "to/db1/a.jit";
  put(file, "one");
  // Just written: another write in the same tick of the clock would not be seen.
  CHECK(bench.list(kTo)["a.jit"].stamp != bench.list(kTo)["a.jit"].stamp);
  ahead = std::chrono::minutes(1);
  const std::string stamp = bench.list(kTo)["a.jit"].stamp;
  CHECK(bench.list(kTo)["a.jit"].stamp == stamp);
  put(file, "two");
  CHECK(bench.list(kTo)["a.jit"].stamp != stamp);
}

TEST_CASE("what takes nothing says so, and what fails leaves nothing", "[sync]") {
  FailingFiles files;
  DirectoryMailbox::Ports ports;
  ports.files = &files;
  Bench bench(ports);
  REQUIRE(bench.box.put(kTo, "a.jit", "old", WallTime{}));
  const int calls = [&] {
    files.calls = 0;
    REQUIRE(bench.box.put(kTo, "a.jit", "old", WallTime{}));
    return files.calls;
  }();
  const std::map<int, Errc> codes = {{EROFS, Errc::refused},   {EACCES, Errc::refused},
                                     {EPERM, Errc::refused},   {ENOSPC, Errc::unavailable},
                                     {EIO, Errc::unavailable}, {ESTALE, Errc::unavailable}};
  for (const auto& [error, expected] : codes) {
    for (int at = 0; at < calls; ++at) {
      files.calls = 0;
      files.fail_at = at;
      files.error = error;
      const auto done = bench.box.put(kTo, "a.jit", "new", WallTime{});
      files.fail_at = -1;
      INFO("call " << at << ", errno " << error);
      if (!done) CHECK(done.error().code == expected);
      // Of modes and of the folder's own fsync nobody depends.
      const bool minor = at == 1 || at == calls - 1;
      CHECK(done.has_value() == minor);
      CHECK(get(bench.folder / "to/db1/a.jit") == (done ? "new" : "old"));
      CHECK(std::distance(std::filesystem::directory_iterator(bench.folder / "to/db1"), {}) == 1);
      REQUIRE(bench.box.put(kTo, "a.jit", "old", WallTime{}));
    }
  }
  files.calls = 0;
  files.fail_at = 0;
  files.error = EROFS;
  const auto done = bench.box.remove(kTo, "a.jit");
  CHECK(code(done) == Errc::refused);
  CHECK(done.error().message.find("mount it for writing") != std::string::npos);
}

TEST_CASE("a wait ends with a change in its boxes, and with no other", "[sync]") {
  Bench bench;
  bench.make("to/db1");
  const std::vector<Box> boxes{kTo, kSegment};
  const auto listed = [&] {
    (void)bench.list(kTo);
    (void)bench.list(kSegment);
  };
  listed();
  REQUIRE(waited(bench.box, boxes, -1, kShort) >= kShort);

  SECTION("a file renamed into place") {
    put(bench.folder / "to/db1/.x.tmp", "x");
    REQUIRE(waited(bench.box, boxes, -1, kShort) >= kShort);
    std::filesystem::rename(bench.folder / "to/db1/.x.tmp", bench.folder / "to/db1/x.jit");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    // It is told until it was looked at.
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    listed();
    CHECK(waited(bench.box, boxes, -1, kShort) >= kShort);
  }
  SECTION("a file that is written, one that goes, another name of one, one that may be read now") {
    put(bench.folder / "to/db1/x.jit", "x");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    listed();
    ::chmod((bench.folder / "to/db1/x.jit").c_str(), 0600);
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    listed();
    REQUIRE(::link((bench.folder / "to/db1/x.jit").c_str(), (bench.folder / "to/db1/y.jit").c_str()) == 0);
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    listed();
    std::filesystem::remove(bench.folder / "to/db1/x.jit");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
  }
  SECTION("a box that comes") {
    bench.make("to/segment/other");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);  // to/segment itself
    listed();
    CHECK(waited(bench.box, boxes, -1, kShort) >= kShort);
    bench.make("to/segment/pci-db");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    listed();
    put(bench.folder / "to/segment/pci-db/x.jit", "x");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
  }
  SECTION("a box that goes and comes again") {
    std::filesystem::rename(bench.folder / "to", bench.folder / "away");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    listed();
    put(bench.folder / "away/db1/x.jit", "x");
    CHECK(waited(bench.box, boxes, -1, kShort) >= kShort);
    bench.make("to/db1");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    listed();
    put(bench.folder / "to/db1/x.jit", "x");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
  }
  SECTION("what we post ourselves is no news") {
    (void)bench.list(kFrom);
    REQUIRE(bench.box.put(kFrom, "alive.jit", "x", WallTime{}));
    (void)bench.list(kFrom);
    REQUIRE(bench.box.put(kFrom, "alive.jit", "y", WallTime{}));
    CHECK(waited(bench.box, boxes, -1, kShort) >= kShort);
    CHECK(waited(bench.box, {kFrom}, -1, kLong) < kLong);  // but for who waits for that
  }
  SECTION("the root goes, and another comes in its place") {
    std::filesystem::rename(bench.folder.path(), bench.folder.path() + ".away");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    CHECK(code(bench.box.list(kTo, kAll)) == Errc::unavailable);
    std::filesystem::rename(bench.folder.path() + ".away", bench.folder.path());
    CHECK(waited(bench.box, boxes, -1, kLong, true) < 2s);  // nobody tells: it is looked for
    listed();
    put(bench.folder / "to/db1/x.jit", "x");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
  }
  SECTION("another folder in its place, unseen, is said once") {
    std::filesystem::rename(bench.folder.path(), bench.folder.path() + ".away");
    bench.make("to/db1");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    CHECK(code(bench.box.list(kTo, kAll)) == Errc::unavailable);
    CHECK(waited(bench.box, boxes, -1, kLong) < 1s);
    listed();
    put(bench.folder / "to/db1/x.jit", "x");
    CHECK(waited(bench.box, boxes, -1, kLong) < kLong);
    std::filesystem::remove_all(bench.folder.path() + ".away");
  }
  SECTION("somebody else's descriptor") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const UniqueFd reading(ends[0]), writing(ends[1]);
    CHECK(waited(bench.box, boxes, reading.get(), kShort) >= kShort);
    REQUIRE(::write(writing.get(), "x", 1) == 1);
    CHECK(waited(bench.box, boxes, reading.get(), kLong) < kLong);
  }
}

TEST_CASE("where changes are not told a wait ends when it is time to look again", "[sync]") {
  DirectoryMailbox::Ports ports;
  ports.local = [](int) { return false; };
  TempDir folder;
  std::filesystem::create_directories(folder / "to/db1");
  auto spec = parse_source_url(folder.path());
  REQUIRE(spec);
  spec->poll = Seconds(2);
  DirectoryMailbox box(*spec, ports);
  REQUIRE(box.list(kTo, kAll));
  CHECK(waited(box, {kTo}, -1, kShort) >= kShort);
  const auto eager = waited(box, {kTo}, -1, kLong, true);
  CHECK(eager >= 900ms);
  CHECK(eager < 1900ms);
  CHECK(waited(box, {kTo}, -1, kLong) >= 1900ms);
  spec->poll = Seconds(0);  // what is right for a folder
  DirectoryMailbox usual(*spec, ports);
  REQUIRE(usual.list(kTo, kAll));
  CHECK(waited(usual, {kTo}, -1, kLong) >= 4900ms);
}

TEST_CASE("each kind of source has its mailbox", "[sync]") {
  TempDir folder;
  auto mailbox = make_mailbox(*parse_source_url(folder.path()));
  REQUIRE(mailbox);
  CHECK((*mailbox)->put(kTo, "a.jit", "x", WallTime{}).has_value());
  CHECK(there(folder / "to/db1/a.jit"));
}

TEST_CASE("a list goes on where it was left, whatever lies between", "[sync][directory]") {
  Bench bench;
  bench.make("to/db1");
  for (int i = 0; i < 40; ++i) {
    hosttest::put(bench.folder / ("to/db1/" + std::to_string(i) + ".jit"), "x", 0644);
    std::filesystem::create_symlink("0.jit", bench.folder / ("to/db1/l" + std::to_string(i) + ".jit"));
    hosttest::put(bench.folder / ("to/db1/" + std::to_string(i) + ".txt"), "x", 0644);
  }
  const auto names_after = [&](std::size_t passed) {
    std::vector<std::string> names;
    REQUIRE(bench.box.list_after(passed, kTo, [&](const Item& item) {
      names.push_back(item.name);
      return true;
    }));
    return names;
  };
  const auto all = names_after(0);
  REQUIRE(all.size() == 40);
  for (std::size_t passed = 0; passed <= 41; ++passed)
    CHECK(names_after(passed) ==
          std::vector(all.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(passed, 40)), all.end()));
}
