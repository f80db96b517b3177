#include "jitd/wire/board.hpp"

#include <string>

#include "jitd/wire/codec.hpp"
#include "jitd/wire/layout.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/wire/boards.hpp"

using namespace jit::wire;
using namespace jit::wire::test;

namespace {

std::optional<BoardView> open(const std::string& bytes, std::string_view boot = kBoot) {
  static thread_local std::optional<MemoryBoard> source;
  source.emplace(bytes_of(bytes));
  return BoardView::open(*source, boot);
}

std::string made(const BoardContent& content) {
  const auto board = make_board(content);
  REQUIRE(board);
  return *board;
}

// Everything that a reader can read of a board.
bool reads_whole(const std::string& bytes) {
  const auto board = open(bytes);
  if (!board) return false;
  for (std::uint32_t i = 0; i < board->gates(); ++i)
    if (!board->gate(i)) return false;
  for (std::uint32_t i = 0; i < board->grants(); ++i)
    if (!board->grant(i)) return false;
  for (const char* name : {"sshd", "login", "sudo", "sudo-i", "su", "su-l"})
    if (!board->gates_of(name)) return false;
  for (const char* name : {"root", "alice", "bob", "carol"})
    if (!board->subject(name)) return false;
  return board->last_sudo_end(1000).has_value() && board->last_sudo_end(1001).has_value();
}

BoardContent full() {
  BoardContent out = content();
  out.grants = {grant("aaaaaaaaaaaaaaaa", "alice", 1000, {"login", "dba"}),
                grant("bbbbbbbbbbbbbbbb", "bob", 1001, {"login"}), grant("cccccccccccccccc", "alice", 1000, {"dba"})};
  out.grants[0].has_sudo = true;
  out.grants[2].not_after_ms -= 1000;
  out.grants[2].live = false;
  out.sudo_ends = {{1001, 77}, {1000, 40}, {1000, 41}};
  return out;
}

}  // namespace

TEST_CASE("a board says what was put on it", "[wire]") {
  const std::string bytes = made(full());
  const auto board = open(bytes);
  REQUIRE(board);
  CHECK(board->gates() == 3);
  CHECK(board->grants() == 3);
  CHECK(board->enforced() == 0b011);
  CHECK(board->everybodys() == 0b101);
  const auto login = board->gate(0);
  REQUIRE(login);
  CHECK(std::string(login->name) == "login");
  CHECK(std::string(login->help) == "Ask with: jitctl request db-login");
  CHECK((login->enforce && login->everybody));
  CHECK_FALSE(board->gate(3));
  CHECK(board->gates_of("sshd") == 0b001U);
  CHECK(board->gates_of("sudo-i") == 0b010U);
  CHECK(board->gates_of("su") == 0b100U);
  CHECK(board->gates_of("cron") == 0U);
  CHECK(board->subject("alice")->covered == 0b010);
  CHECK(board->subject("root")->excepted == 0b001);
  CHECK(board->subject("mallory")->covered == 0);
  CHECK(board->last_sudo_end(1000) == 41U);
  CHECK(board->last_sudo_end(1001) == 77U);
  CHECK(board->last_sudo_end(1002) == 0U);

  std::vector<std::string> ids;
  REQUIRE(board->grants_of(*board->subject("alice"), [&](const BoardGrant& each) {
    ids.emplace_back(each.id);
    CHECK(each.uid == 1000);
    CHECK(each.live == (ids.back() == "aaaaaaaaaaaaaaaa"));
  }));
  CHECK(ids == std::vector<std::string>{"aaaaaaaaaaaaaaaa", "cccccccccccccccc"});  // which ends last first
}

TEST_CASE("a live word is set in place, outside every checksum", "[wire]") {
  std::string bytes = made(full());
  for (const std::uint32_t word : {0U, ended_word(kBootMs), kLive ^ 1U, 0xffffffffU}) {
    for (std::uint32_t i = 0; i < 3; ++i) store_u32(bytes.data() + open(bytes)->live_word_offset(i), word);
    CHECK(reads_whole(bytes));
    for (std::uint32_t i = 0; i < 3; ++i) {
      CHECK_FALSE(open(bytes)->grant(i)->live);
      CHECK(open(bytes)->grant(i)->word == word);
    }
  }
  store_u32(bytes.data() + open(bytes)->live_word_offset(1), kLive);
  CHECK(open(bytes)->grant(1)->live);
}

TEST_CASE("the word of an end is never one that means something else", "[wire]") {
  for (const std::uint64_t ms : {std::uint64_t{0}, std::uint64_t{99}, std::uint64_t{100}, kBootMs, UINT64_MAX}) {
    const std::uint32_t word = ended_word(ms);
    CHECK((word != 0 && word != kLive && word != kEndedBefore));
  }
  CHECK(ended_word((std::uint64_t{kLive} - 1) * 100) == kLive + 1);
  CHECK(ended_word((std::uint64_t{kEndedBefore} - 1) * 100) == kEndedBefore + 1);
  CHECK(ended_word(1000) == 11);  // rounded up
}

TEST_CASE("a board of another boot, version or length is unreadable", "[wire]") {
  const std::string good = made(full());
  CHECK(open(good));
  CHECK(open(good, ""));  // not compared
  CHECK_FALSE(open(good, "11234567-89ab-cdef-0123-456789abcdef"));
  CHECK_FALSE(open(good, "0"));
  const auto forged = [&](std::size_t at, std::uint32_t value) {
    std::string bad = good;
    store_u32(bad.data() + at, value);
    store_u32(bad.data() + layout::kHeader - 4, crc32c(bytes_of(bad).first(layout::kHeader - 4)));
    return bad;
  };
  CHECK(open(forged(layout::header::version, 1)));
  CHECK_FALSE(open(forged(layout::header::version, 2)));
  CHECK_FALSE(open(forged(layout::header::length, static_cast<std::uint32_t>(good.size() - 1))));
  CHECK_FALSE(open(forged(layout::header::gates, 65)));
  CHECK_FALSE(open(forged(layout::header::grants, 0xffffffff)));
  CHECK_FALSE(open(forged(layout::header::subjects, 5)));
}

TEST_CASE("every flipped bit outside the live words is noticed by who reads it, and every cut", "[wire]") {
  BoardContent small = full();
  const std::string good = made(small);
  REQUIRE(reads_whole(good));
  const std::uint64_t words = open(good)->live_word_offset(0);
  std::size_t missed = 0;
  for (std::size_t at = 0; at < words; ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    if (reads_whole(bad)) ++missed;
  }
  // All records but the index and subjects of names that nobody asked for are touched; here all are.
  CHECK(missed == 0);
  for (std::size_t size = 0; size < good.size(); ++size)
    if (reads_whole(good.substr(0, size))) FAIL("cut at " << size);
}

TEST_CASE("a record in the place of another is not believed", "[wire]") {
  std::string bytes = made(full());
  const std::uint64_t words = open(bytes)->live_word_offset(0);
  const std::size_t grants_at = words - 2 * layout::kSudoEnd - 3 * layout::kGrant;
  bytes.replace(grants_at, layout::kGrant, bytes.substr(grants_at + layout::kGrant, layout::kGrant));
  CHECK_FALSE(open(bytes)->grant(0));
  CHECK(open(bytes)->grant(1));
}

TEST_CASE("the writer refuses what a board cannot carry", "[wire]") {
  const auto refused = [](auto&& change) {
    BoardContent bad = full();
    change(bad);
    return !make_board(bad).has_value();
  };
  CHECK_FALSE(refused([](BoardContent&) {}));
  CHECK(refused([](BoardContent& c) { c.boot_id = "x"; }));
  CHECK(refused([](BoardContent& c) { c.gates.resize(65); }));
  CHECK(refused([](BoardContent& c) { c.gates[0].name = ""; }));
  CHECK(refused([](BoardContent& c) { c.gates[0].name = std::string(64, 'g'); }));
  CHECK(refused([](BoardContent& c) { c.gates[0].name = std::string("a\0b", 3); }));
  CHECK(refused([](BoardContent& c) { c.gates[1].name = "login"; }));
  CHECK(refused([](BoardContent& c) { c.gates[0].services = {std::string(64, 's')}; }));
  CHECK(refused([](BoardContent& c) { c.gates[1].users = {std::string(257, 'u')}; }));
  CHECK(refused([](BoardContent& c) { c.gates[1].except = {""}; }));
  CHECK(refused([](BoardContent& c) { c.grants[0].id = "short"; }));
  CHECK(refused([](BoardContent& c) { c.grants[0].id = c.grants[1].id; }));
  CHECK(refused([](BoardContent& c) { c.grants[0].opens = {"no such gate"}; }));
  CHECK(refused([](BoardContent& c) { c.grants[0].uid = UINT32_MAX; }));
  CHECK(refused([](BoardContent& c) { c.grants[0].user = ""; }));
  BoardContent most;
  most.boot_id = kBoot;
  for (int i = 0; i < 64; ++i)
    most.gates.push_back({"g" + std::to_string(i), {"sshd"}, true, true, {}, {}, std::string(600, 'h')});
  most.gates[63].users = {std::string(256, 'u')};
  const std::string bytes = made(most);
  CHECK(open(bytes)->gates_of("sshd") == UINT64_MAX);
  CHECK(open(bytes)->subject(std::string(256, 'u'))->covered == std::uint64_t{1} << 63U);
  CHECK(std::string(open(bytes)->gate(63)->help) == std::string(511, 'h'));  // help is cut, not refused
}

TEST_CASE("a check reads a few dozen records of a board with 10,000 grants", "[wire]") {
  BoardContent many = content();
  for (int i = 0; i < 10'000; ++i) {
    std::string id = std::to_string(i);
    id.insert(0, 16 - id.size(), '0');
    many.grants.push_back(grant(id, "user" + std::to_string(i), static_cast<std::uint32_t>(2000 + i), {"login"}));
  }
  const std::string bytes = made(many);
  for (const char* user : {"user0", "user4711", "user9999", "stranger"}) {
    const CountingBoard source(bytes);
    const auto board = BoardView::open(source, kBoot);
    REQUIRE(board);
    Query query;
    query.service = "sshd";
    query.subject = user;
    const Answer got = answer(*board, query, kNow);
    CHECK(got.verdict == (std::string_view(user) == "stranger" ? Verdict::deny : Verdict::allow));
    CHECK(source.reads <= 36);
    CHECK(source.total <= 4096);
  }
}
