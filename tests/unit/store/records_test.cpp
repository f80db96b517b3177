#include "jitd/store/records.hpp"

#include <span>

#include "jitd/wire/codec.hpp"
#include "policy/text.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

const std::string kId = "0123456789abcdef";

HeldRecord held(const std::string& user = "alice") {
  return {kId, "postgres", 115, user, 1001, true};
}
EndRecord end_record() {
  return {kId, "sha256:" + std::string(64, 'a'), 1'800'000'000, "boot-1", 123456, true, {}};
}

HeldFile open_held(const TempDir& dir, Files& files = system_files()) {
  auto file = HeldFile::open(files, dir.path(), "held");
  REQUIRE(file);
  return std::move(*file);
}

}  // namespace

TEST_CASE("a record is one line of 1 KiB that a person can read", "[store][records]") {
  const auto text = encode(held()).value();
  CHECK(text.size() == kRecordSize);
  constexpr std::string_view kRecord = "1 0123456789abcdef postgres 115 alice 1001 +";
  CHECK(text.starts_with("1 0123456789abcdef postgres 115 alice 1001 + " +
                         std::to_string(wire::crc32c(std::as_bytes(std::span(kRecord)))) + " "));
  CHECK(text.find('\n') == kRecordSize - 1);
  CHECK(decode_held(text).value() == held());

  EndRecord ended = end_record();
  ended.active = false;
  ended.reason = "revoked";
  CHECK(encode(ended).value().find(" ended:revoked ") != std::string::npos);
  CHECK(decode_end(encode(ended).value()).value() == ended);
  CHECK(decode_end(encode(end_record()).value()).value() == end_record());
}

TEST_CASE("names of real sites and hostile ones come back as they were, on one line", "[store][records]") {
  for (const std::string& name : {std::string("first.last"), std::string("name@corp"), std::string("DOM\\name"),
                                  std::string("a b"), std::string("x\n1 y"), std::string("é"), std::string("\x1b[2J"),
                                  std::string("-"), std::string("+"), std::string(200, 'u')}) {
    INFO(shown(name));
    const auto text = encode(held(name));
    REQUIRE(text);
    CHECK(text->find('\n') == kRecordSize - 1);
    CHECK(decode_held(*text).value() == held(name));
  }
  CHECK_FALSE(encode(held("")));
  CHECK(encode(held(std::string(256, ' '))).error().code == Errc::refused);  // escaped, it would not fit
}

TEST_CASE("any one changed byte makes a record read as held, or as ended", "[store][records]") {
  const TempDir dir;
  auto heldf = open_held(dir);
  HeldRecord gone = held();
  gone.held = false;
  REQUIRE(heldf.add(gone));
  auto endsf = EndsFile::open(system_files(), dir.path(), "ends");
  REQUIRE(endsf);
  REQUIRE(endsf->add(end_record()));
  const std::string held_text = get(dir / "held").substr(0, kRecordSize);
  const std::string end_text = get(dir / "ends").substr(0, kRecordSize);
  const std::size_t used = end_text.find_last_not_of(" \n") + 1;
  for (std::size_t at = 0; at < used; ++at) {
    for (const char flip : {'\x01', '\x04', '\x20'}) {
      INFO(at);
      std::string bad = end_text;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      CHECK_FALSE(decode_end(bad));
      const UniqueFd ends(::open((dir / "ends").c_str(), O_WRONLY));
      REQUIRE(::pwrite(ends.get(), bad.data(), bad.size(), 0) == static_cast<ssize_t>(kRecordSize));
      const auto end_slots = endsf->read();
      REQUIRE(end_slots);
      for (const auto& slot : *end_slots)
        if (slot.record) CHECK_FALSE(slot.record->active);
      if (at >= held_text.find_last_not_of(" \n") + 1) continue;
      bad = held_text;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      CHECK_FALSE(decode_held(bad));
      const UniqueFd file(::open((dir / "held").c_str(), O_WRONLY));
      REQUIRE(::pwrite(file.get(), bad.data(), bad.size(), 0) == static_cast<ssize_t>(kRecordSize));
      const auto slots = heldf.read().value();
      REQUIRE(slots.size() == 1);
      CHECK(slots[0].torn);
      if (slots[0].record) CHECK(slots[0].record->held);
    }
  }
}

TEST_CASE("a write torn at any byte leaves the old record, the new one, or the safe side", "[store][records]") {
  HeldRecord closed = held();
  closed.held = false;
  const std::string before = encode(held()).value();
  const std::string after = encode(closed).value();
  const TempDir dir;
  auto file = open_held(dir);
  REQUIRE(file.add(held()));
  const UniqueFd raw(::open((dir / "held").c_str(), O_WRONLY));
  for (std::size_t cut = 0; cut <= kRecordSize; ++cut) {
    const std::string mixed = after.substr(0, cut) + before.substr(cut);
    REQUIRE(::pwrite(raw.get(), mixed.data(), mixed.size(), 0) == static_cast<ssize_t>(kRecordSize));
    const auto slots = file.read().value();
    REQUIRE(slots.size() == 1);
    REQUIRE(slots[0].record);
    CHECK((slots[0].record->held || mixed == after));
  }
  // First written into a free slot: nothing was given by it yet.
  const std::string blank = std::string(kRecordSize - 1, ' ') + '\n';
  for (std::size_t cut = 0; cut < before.find_last_not_of(" \n") + 1; ++cut) {
    const std::string mixed = before.substr(0, cut) + blank.substr(cut);
    const auto decoded = decode_held(mixed);
    if (decoded) CHECK_FALSE(decoded->has_value());
  }
}

TEST_CASE("records are changed in place, in space that is there already", "[store][records]") {
  const TempDir dir;
  FailingFiles files;
  auto file = open_held(dir, files);
  CHECK((look(dir / "held").st_mode & 07777U) == 0600);
  CHECK(get(dir / "held").size() == kRecordsPreallocated * kRecordSize);
  CHECK(look(dir / "held").st_blocks * 512 >= static_cast<blkcnt_t>(kRecordsPreallocated * kRecordSize));
  CHECK(file.free_slots().value() == kRecordsPreallocated);
  files.log.clear();
  const auto slot = file.add(held());
  REQUIRE(slot);
  CHECK(files.log == std::vector<std::string>{"pwrite", "fsync"});
  files.log.clear();
  HeldRecord closed = held();
  closed.held = false;
  REQUIRE(file.write(*slot, closed, false));
  CHECK(files.log == std::vector<std::string>{"pwrite"});
  CHECK(look(dir / "held").st_size == static_cast<off_t>(kRecordsPreallocated * kRecordSize));
  REQUIRE(file.clear(*slot));
  CHECK(file.read().value().empty());
  CHECK(file.free_slots().value() == kRecordsPreallocated);
}

TEST_CASE("the file grows when it is full, keeps what it holds, and says when it cannot", "[store][records]") {
  const TempDir dir;
  FailingFiles files;
  auto file = open_held(dir, files);
  for (std::size_t i = 0; i < kRecordsPreallocated; ++i) REQUIRE(file.add(held("u" + std::to_string(i)), false));
  CHECK(file.free_slots().value() == 0);
  files.fail_at = files.calls;
  CHECK(file.add(held("late")).error().errnum == ENOSPC);
  CHECK(file.read().value().size() == kRecordsPreallocated);
  files.fail_at = -1;
  CHECK(file.add(held("late")).value() == kRecordsPreallocated);
  CHECK(file.free_slots().value() == kRecordsPreallocated - 1);
  const auto slots = file.read().value();
  REQUIRE(slots.size() == kRecordsPreallocated + 1);
  CHECK(slots[7].record->user == "u7");
  CHECK(slots.back().record->user == "late");
}

TEST_CASE("a file cut short by a crash is mended, and an absent one made only when asked", "[store][records]") {
  const TempDir dir;
  CHECK(HeldFile::open(system_files(), dir.path(), "held", false).error().errnum == ENOENT);
  CHECK_FALSE(there(dir / "held"));
  put(dir / "held", encode(held()).value() + std::string(300, '\0'), 0600);
  const auto file = open_held(dir);
  CHECK(file.read().value().size() == 1);
  CHECK(file.free_slots().value() == kRecordsPreallocated - 1);
  REQUIRE(::symlink("held", (dir / "link").c_str()) == 0);
  CHECK_FALSE(HeldFile::open(system_files(), dir.path(), "link"));
}
