// The index of a box on a web server: what is written reads back, and nothing else is one.
#include "jitd/sync/https_index.hpp"

#include <rapidcheck.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "policy/document/envelope.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using hosttest::TempDir;
namespace fs = std::filesystem;

namespace {

const std::string kHash(64, 'a');

std::string line(const std::string& name, const std::string& size = "5", const std::string& hash = kHash) {
  return hash + " " + size + " " + name + "\n";
}

}  // namespace

TEST_CASE("an index that is written reads back", "[index]") {
  const bool good = rc::check([] {
    const auto names = *rc::gen::container<std::set<std::string>>(
        rc::gen::map(rc::gen::container<std::string>(rc::gen::inRange<char>(0x21, 0x7e)), [](std::string name) {
          std::replace(name.begin(), name.end(), '/', ' ');
          return "n" + name + ".jit";
        }));
    std::vector<Item> items;
    for (const auto& name : names) {
      auto item = index_item(name, *rc::gen::arbitrary<std::string>());
      RC_ASSERT(put_item(items, item));
      RC_ASSERT(!put_item(items, item));
    }
    const auto text = index_text(items);
    RC_ASSERT(text.has_value());
    const auto read = parse_index(*text);
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->size() == names.size());
    auto name = names.begin();
    for (std::size_t i = 0; i < items.size(); ++i, ++name) {
      RC_ASSERT(read->at(i).name == *name);
      RC_ASSERT(read->at(i).size == items[i].size);
      RC_ASSERT(read->at(i).stamp == items[i].stamp);
    }
    for (const auto& gone : names) RC_ASSERT(remove_item(items, gone));
    RC_ASSERT(items.empty());
  });
  CHECK(good);
}

TEST_CASE("an index line is a digest, a size and a name", "[index]") {
  CHECK(parse_index("")->empty());
  const auto items = parse_index(line("a.jit", "0") + line("b c.jit", "32768") + line("\xc3\xa4.jit"));
  REQUIRE(items.has_value());
  REQUIRE(items->size() == 3);
  CHECK(items->at(1).name == "b c.jit");
  CHECK(items->at(1).size == 32768);
  CHECK(items->at(1).stamp == kHash);
  CHECK(index_item("x.jit", "abc").stamp == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("one bad line makes the whole index bad", "[index]") {
  const std::string good = line("a.jit");
  for (const std::string& bad : {std::string("\n"),
                                 std::string("x\n"),
                                 kHash + "\n",
                                 kHash + " 5\n",
                                 kHash + " 5 \n",
                                 kHash + "  b.jit\n",
                                 kHash + "\t5\tb.jit\n",
                                 line("b.jit", "05"),
                                 line("b.jit", "-1"),
                                 line("b.jit", "+1"),
                                 line("b.jit", "1e3"),
                                 line("b.jit", "9223372036854775808"),
                                 line("b.jit", "99999999999999999999999"),
                                 line("b.jit", "5", std::string(64, 'A')),
                                 line("b.jit", "5", std::string(63, 'a')),
                                 line("b.jit", "5", std::string(65, 'a')),
                                 line("b.jit", "5", std::string(64, 'g')),
                                 line("b"),
                                 line(".b.jit"),
                                 line("b.jit\r"),
                                 line("../b.jit"),
                                 line("x/b.jit"),
                                 line("b\x1b.jit"),
                                 line("b\x7f.jit"),
                                 line(std::string("b\0.jit", 6)),
                                 line(std::string(252, 'b') + ".jit"),
                                 line("a.jit"),
                                 line("Z.jit"),
                                 line("index"),
                                 std::string("<!DOCTYPE html>\n"),
                                 line("b.jit").substr(0, line("b.jit").size() - 1)}) {
    INFO(bad);
    const auto read = parse_index(good + bad);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().code == Errc::invalid);
    CHECK(read.error().message.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("an index has at most 4 MiB and 65536 lines", "[index]") {
  std::vector<Item> items;
  std::string text;
  for (int i = 10000; text.size() <= kMaxIndex; ++i) {
    auto item = index_item("n" + std::to_string(i) + ".jit", "");
    text += item.stamp + " 0 " + item.name + "\n";
    items.push_back(std::move(item));
  }
  CHECK_FALSE(parse_index(text).has_value());
  CHECK_FALSE(index_text(items).has_value());
  items.pop_back();
  const auto full = index_text(items);
  REQUIRE(full.has_value());
  CHECK(parse_index(*full).has_value());
}

// --- the indexer --------------------------------------------------------------------------------------------------

namespace {

void document(const TempDir& dir, const std::string& path, std::string_view text) {
  fs::create_directories(fs::path(dir / path).parent_path());
  hosttest::put(dir / path, text);
}

IndexReport indexed(const TempDir& dir) {
  auto report = write_index(dir.path());
  INFO((report ? "" : report.error().message));
  REQUIRE(report.has_value());
  return *report;
}

}  // namespace

TEST_CASE("every box of a folder gets its index, and a new one only when something changed", "[index]") {
  const TempDir dir;
  document(dir, "to/db1/b.jit", "two");
  document(dir, "to/db1/a.jit", "one");
  document(dir, "to/db1/a.jit.tmp", "not yet");
  document(dir, "to/segment/pci-db/s.jit", "for all");
  document(dir, "from/db1/e.jit", "said");
  document(dir, "from/README", "hello");
  document(dir, "to/-bad-/x.jit", "no host's name");
  document(dir, ".git/x.jit", "no box");
  fs::create_directories(dir / "to/empty");

  auto report = indexed(dir);
  CHECK(report.boxes == 4);
  CHECK(report.documents == 4);
  CHECK(report.written == std::vector<std::string>{"to/db1", "to/empty", "to/segment/pci-db", "from/db1"});
  CHECK(report.problems.empty());
  CHECK(hosttest::get(dir / "to/db1/index") == *index_text({index_item("a.jit", "one"), index_item("b.jit", "two")}));
  CHECK(hosttest::get(dir / "to/empty/index").empty());
  CHECK(hosttest::there(dir / "to/empty/index"));
  CHECK((hosttest::look(dir / "to/db1/index").st_mode & 0777) == 0644);
  CHECK_FALSE(hosttest::there(dir / "to/-bad-/index"));
  CHECK_FALSE(hosttest::there(dir / "to/segment/index"));

  const auto before = hosttest::look(dir / "to/db1/index").st_ino;
  CHECK(indexed(dir).written.empty());
  CHECK(hosttest::look(dir / "to/db1/index").st_ino == before);

  ::chmod((dir / "to/db1/index").c_str(), 0640);
  fs::remove(dir / "to/db1/a.jit");
  CHECK(indexed(dir).written == std::vector<std::string>{"to/db1"});
  CHECK(hosttest::get(dir / "to/db1/index") == *index_text({index_item("b.jit", "two")}));
  CHECK((hosttest::look(dir / "to/db1/index").st_mode & 0777) == 0640);
}

TEST_CASE("the indexer follows no link, waits for no FIFO and reads nothing large", "[index]") {
  const TempDir dir;
  const TempDir outside;
  document(dir, "to/db1/good.jit", "good");
  document(outside, "secret.jit", "secret");
  hosttest::put(outside / "index", "theirs");
  fs::create_directory_symlink(outside.path(), dir / "to/linked");
  fs::create_directory_symlink(outside.path(), dir / "to/segment");
  fs::create_symlink(outside / "secret.jit", dir / "to/db1/link.jit");
  fs::create_symlink(outside / "index", dir / "to/db1/index");
  REQUIRE(::mkfifo((dir / "to/db1/fifo.jit").c_str(), 0600) == 0);
  fs::create_directory(dir / "to/db1/folder.jit");
  hosttest::put(dir / "to/db1/large.jit", std::string(kMaxDocument + 1, 'x'));
  hosttest::put(dir / "to/db1/full.jit", std::string(kMaxDocument, 'x'));
  hosttest::put(dir / "to/db1/con\ntrol.jit", "x");

  const auto report = indexed(dir);
  CHECK(report.boxes == 1);
  CHECK(report.documents == 2);
  CHECK(report.problems.size() == 7);  // linked, segment, link, fifo, folder, large, control
  for (const auto& problem : report.problems) {
    INFO(problem);
    CHECK(problem.find('\n') == std::string::npos);
  }
  CHECK(hosttest::get(outside / "index") == "theirs");
  CHECK_FALSE(fs::is_symlink(dir / "to/db1/index"));
  const auto items = parse_index(hosttest::get(dir / "to/db1/index"));
  REQUIRE(items.has_value());
  CHECK(items->size() == 2);

  fs::remove_all(dir / "to");
  fs::create_directory_symlink(outside.path(), dir / "to");
  CHECK(indexed(dir).problems.size() == 1);
  const std::string link = dir.path() + "-link";
  fs::create_directory_symlink(dir.path(), link);
  CHECK_FALSE(write_index(link).has_value());
  fs::remove(link);
  CHECK_FALSE(write_index(dir / "nowhere").has_value());
}
