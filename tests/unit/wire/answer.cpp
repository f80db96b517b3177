#include "jitd/wire/answer.hpp"

#include <string>

#include "jitd/wire/codec.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/wire/boards.hpp"

using namespace jit::wire;
using namespace jit::wire::test;

namespace {

constexpr std::uint64_t kStarted = kBootMs - 100;

Query sshd(std::string_view user, Phase phase = Phase::account) {
  Query out;
  out.phase = phase;
  out.service = "sshd";
  out.subject = user;
  return out;
}

Query sudo(std::string_view user, std::uint32_t uid, std::string_view service = "sudo") {
  Query out;
  out.service = service;
  out.subject = user;
  out.has_uid = true;
  out.uid = uid;
  out.started_ms = kStarted;
  return out;
}

Answer ask(const BoardContent& content, const Query& query, const Clocks& clocks = kNow,
           Conditions conditions = Conditions::unknown) {
  const auto bytes = make_board(content);
  REQUIRE(bytes);
  const MemoryBoard source(bytes_of(*bytes));
  const auto board = BoardView::open(source, kBoot);
  REQUIRE(board);
  return answer(*board, query, clocks, conditions);
}

// The same, with the word of grant `index` set in place.
Answer ask_marked(const BoardContent& content, const Query& query, std::uint32_t word) {
  auto bytes = make_board(content);
  REQUIRE(bytes);
  const MemoryBoard source(bytes_of(*bytes));
  const auto board = BoardView::open(source, kBoot);
  REQUIRE(board);
  store_u32(bytes->data() + board->live_word_offset(0), word);
  return answer(*board, query, kNow);
}

BoardContent with(GrantOnBoard each) {
  BoardContent out = content();
  out.grants = {std::move(each)};
  return out;
}

const std::string kId = "aaaaaaaaaaaaaaaa";

}  // namespace

TEST_CASE("an enforced gate is shut without a grant, and says what to do", "[wire]") {
  const Answer got = ask(content(), sshd("alice"));
  CHECK(got.verdict == Verdict::deny);
  CHECK(std::string(got.gate) == "login");
  CHECK(std::string(got.message) == "Ask with: jitctl request db-login");
  CHECK(std::string(ask(content(), sudo("alice", 1000)).message).find("jitctl request") !=
        std::string::npos);  // no help
}

TEST_CASE("a grant opens the gates that it names, for its user alone", "[wire]") {
  const BoardContent board = with(grant(kId, "alice", 1000, {"login"}));
  const Answer got = ask(board, sshd("alice"));
  CHECK(got.verdict == Verdict::allow);
  CHECK(std::string(got.gate) == "login");
  CHECK(std::string(got.grant) == kId);
  CHECK(std::string(got.message).empty());
  CHECK(ask(board, sshd("bob")).verdict == Verdict::deny);
  CHECK(ask(board, sudo("alice", 1000)).verdict == Verdict::deny);  // another gate
  CHECK(ask(board, sshd("alice", Phase::session)).verdict == Verdict::allow);
  CHECK(ask(board, sshd("bob", Phase::session)).verdict == Verdict::deny);
}

TEST_CASE("who is excepted or not among the users is none of our business", "[wire]") {
  CHECK(ask(content(), sshd("root")).verdict == Verdict::not_gated);
  CHECK(ask(content(), sudo("carol", 1002)).verdict == Verdict::not_gated);
  Query cron = sshd("alice");
  cron.service = "cron";
  CHECK(ask(content(), cron).verdict == Verdict::not_gated);
  CHECK(ask(content(), sshd("alice", Phase::close)).verdict == Verdict::not_gated);
}

TEST_CASE("a listed user does not slip by in upper case; an exception holds for the exact name", "[wire]") {
  CHECK(ask(content(), sudo("ALICE", 1000)).verdict == Verdict::deny);
  CHECK(ask(content(), sshd("ROOT")).verdict == Verdict::deny);
  CHECK(ask(with(grant(kId, "alice", 1000, {"dba"})), sudo("Alice", 1000)).verdict == Verdict::deny);
}

TEST_CASE("P2: a grant ends at whichever clock comes first", "[wire]") {
  const BoardContent board = with(grant(kId, "alice", 1000, {"login"}));
  const auto at = [&](std::int64_t wall, std::uint64_t boot) {
    return ask(board, sshd("alice"), {wall, boot}).verdict;
  };
  CHECK(at(kWall + 59'999, kBootMs + 59'999) == Verdict::allow);
  CHECK(at(kWall + 60'000, kBootMs) == Verdict::deny);  // the wall clock went forward
  CHECK(at(kWall, kBootMs + 60'000) == Verdict::deny);  // it went back: the other one ends it
  CHECK(at(kWall - 86'400'000, kBootMs + 60'000) == Verdict::deny);
  CHECK(at(INT64_MAX, UINT64_MAX) == Verdict::deny);
}

TEST_CASE("anything but the live word is ended", "[wire]") {
  const BoardContent board = with(grant(kId, "alice", 1000, {"login"}));
  CHECK(ask_marked(board, sshd("alice"), kLive).verdict == Verdict::allow);
  for (int bit = 0; bit < 32; ++bit)
    CHECK(ask_marked(board, sshd("alice"), kLive ^ (1U << bit)).verdict == Verdict::deny);
  CHECK(ask_marked(board, sshd("alice"), 0).verdict == Verdict::deny);
}

TEST_CASE("P7: for sudo and su the uid must match too", "[wire]") {
  const BoardContent board = with(grant(kId, "alice", 1000, {"dba"}));
  CHECK(ask(board, sudo("alice", 1000)).verdict == Verdict::allow);
  CHECK(ask(board, sudo("alice", 1001)).verdict == Verdict::deny);  // recycled name
  Query nobody = sudo("alice", 1000);
  nobody.has_uid = false;
  CHECK(ask(board, nobody).verdict == Verdict::unknown);
}

TEST_CASE("all gates that match must be open", "[wire]") {
  BoardContent board = content();
  board.gates.push_back({"vault", {"sshd"}, true, false, {"alice"}, {}, "vault help"});
  board.grants = {grant(kId, "alice", 1000, {"login"})};
  CHECK(std::string(ask(board, sshd("alice")).gate) == "vault");
  CHECK(ask(board, sshd("alice")).verdict == Verdict::deny);
  board.grants.push_back(grant("bbbbbbbbbbbbbbbb", "alice", 1000, {"vault"}));
  CHECK(ask(board, sshd("alice")).verdict == Verdict::allow);
}

TEST_CASE("the grant that is named is the one that ends last", "[wire]") {
  BoardContent board = content();
  board.grants = {grant(kId, "alice", 1000, {"login"}), grant("bbbbbbbbbbbbbbbb", "alice", 1000, {"login"})};
  board.grants[0].not_after_ms += 5000;
  CHECK(std::string(ask(board, sshd("alice")).grant) == kId);
}

TEST_CASE("P2: of grants that are all needed, the one that ends first is named", "[wire]") {
  BoardContent board = content();
  board.gates.push_back({"vault", {"sshd"}, true, false, {"alice"}, {}, ""});
  const std::string vault = "bbbbbbbbbbbbbbbb", both = "cccccccccccccccc";
  board.grants = {grant(kId, "alice", 1000, {"login"}), grant(vault, "alice", 1000, {"vault"})};
  board.grants[0].not_after_ms += 5000;
  CHECK(std::string(ask(board, sshd("alice")).grant) == vault);
  board.grants[0].not_after_ms -= 8000;
  CHECK(std::string(ask(board, sshd("alice")).grant) == kId);
  board.grants.push_back(grant(both, "alice", 1000, {"login", "vault"}));
  board.grants[2].not_after_ms -= 1000;  // between the two
  CHECK(std::string(ask(board, sshd("alice")).grant) == both);
  board.grants[2].not_after_ms += 9000;  // after them
  CHECK(std::string(ask(board, sshd("alice")).grant) == both);
}

TEST_CASE("an observed gate, or an observing line, only says what would have been", "[wire]") {
  Query su = sudo("alice", 1000, "su");
  const Answer watched = ask(content(), su);
  CHECK(watched.verdict == Verdict::observe);
  CHECK(std::string(watched.gate) == "watch");
  Query line = sshd("alice");
  line.line_enforces = false;
  CHECK(ask(content(), line).verdict == Verdict::observe);
  CHECK(ask(with(grant(kId, "alice", 1000, {"login"})), line).verdict == Verdict::allow);
  // An enforced gate beside it decides.
  BoardContent both = content();
  both.gates.push_back({"strict", {"su"}, true, true, {}, {}, ""});
  CHECK(ask(both, su).verdict == Verdict::deny);
}

TEST_CASE("a condition that only jitd can judge never opens by the board", "[wire]") {
  GrantOnBoard each = grant(kId, "alice", 1000, {"login"});
  each.conditional = true;
  CHECK(ask(with(each), sshd("alice")).verdict == Verdict::unknown);
  CHECK(ask(with(each), sudo("alice", 1000)).verdict == Verdict::deny);  // shut whatever jitd says
}

TEST_CASE("a grant for one session opens no service that is not known to open one", "[wire]") {
  BoardContent board = content();
  board.gates.push_back({"mail", {"dovecot"}, true, true, {}, {}, ""});
  board.grants = {grant(kId, "alice", 1000, {"mail", "login"})};
  Query mail = sshd("alice");
  mail.service = "dovecot";
  CHECK(ask(board, mail).verdict == Verdict::allow);
  board.grants[0].conditional = true;
  for (const Conditions conditions : {Conditions::unknown, Conditions::looked_at_later})
    CHECK(ask(board, mail, kNow, conditions).verdict == Verdict::deny);
  CHECK(ask(board, sshd("alice"), kNow, Conditions::looked_at_later).verdict == Verdict::allow);
  mail.phase = Phase::session;  // one that was opened by something else is bound
  CHECK(ask(board, mail, kNow, Conditions::looked_at_later).verdict == Verdict::allow);
}

TEST_CASE("what runs by a grant that only jitd can judge is asked about, gate or not", "[wire]") {
  GrantOnBoard each = grant(kId, "carol", 1002, {});
  each.has_sudo = each.conditional = true;
  CHECK(ask(with(each), sudo("carol", 1002)).live_sudo);
  CHECK(std::string(ask(with(each), sudo("carol", 1002)).grant).empty());
}

TEST_CASE("P2: a sudo that waited while a grant ended is refused, gate or not", "[wire]") {
  BoardContent board = content();
  board.sudo_ends = {{1002, kStarted}};
  const Answer got = ask(board, sudo("carol", 1002));  // carol is under no gate
  CHECK(got.verdict == Verdict::deny);
  CHECK(std::string(got.gate).empty());
  CHECK(std::string(got.message).find("Run it again") != std::string::npos);
  CHECK(ask(board, sudo("carol", 1002, "sudo-i")).verdict == Verdict::deny);
  CHECK(ask(board, sudo("carol", 1002, "su")).verdict == Verdict::observe);  // su asks sudoers nothing
  CHECK(ask(board, sudo("carol", 1003)).verdict == Verdict::not_gated);      // of that uid
  Query later = sudo("carol", 1002);
  later.started_ms = kStarted + 1;
  CHECK(ask(board, later).verdict == Verdict::not_gated);
  later.started_ms = 0;  // unknown
  CHECK(ask(board, later).verdict == Verdict::deny);
  Query observing = sudo("carol", 1002);
  observing.line_enforces = false;
  CHECK(ask(board, observing).verdict == Verdict::deny);  // not for want of a grant
}

TEST_CASE("an end that was only marked, or passed unmarked, refuses a waiting sudo as well", "[wire]") {
  GrantOnBoard each = grant(kId, "carol", 1002, {});
  each.has_sudo = true;
  const BoardContent board = with(each);
  const auto started = [](std::uint64_t ms) {
    Query out = sudo("carol", 1002);
    out.started_ms = ms;
    return out;
  };
  CHECK(ask_marked(board, started(kBootMs - 5000), ended_word(kBootMs - 1000)).verdict == Verdict::deny);
  CHECK(ask_marked(board, started(kBootMs - 900), ended_word(kBootMs - 1000)).verdict ==
        Verdict::deny);  // rounded up
  CHECK(ask_marked(board, started(kBootMs - 899), ended_word(kBootMs - 1000)).verdict == Verdict::not_gated);
  CHECK(ask_marked(board, started(kBootMs), 0).verdict == Verdict::deny);                        // who knows when
  CHECK(ask_marked(board, started(kBootMs), ended_word(2 * kBootMs)).verdict == Verdict::deny);  // to come: nonsense
  CHECK(ask_marked(board, started(1), kEndedBefore).verdict == Verdict::not_gated);  // stands in sudo_ends
  const Clocks after{kWall + 70'000, kBootMs + 70'000};
  CHECK(ask(board, started(kBootMs + 60'000), after).verdict == Verdict::deny);
  // Its rule is there until somebody takes it: a sudo that began after the end may have matched it.
  CHECK(ask(board, started(kBootMs + 60'001), after).verdict == Verdict::deny);
  CHECK(ask(board, started(kBootMs), {kWall + 70'000, kBootMs}).verdict == Verdict::deny);  // the clock was set
}

TEST_CASE("sudo under a live sudo entitlement is allowed without a gate, so that its session is known", "[wire]") {
  GrantOnBoard each = grant(kId, "carol", 1002, {});
  each.has_sudo = true;
  const Answer got = ask(with(each), sudo("carol", 1002));
  CHECK(got.verdict == Verdict::allow);
  CHECK(got.live_sudo);
  CHECK(std::string(got.grant) == kId);
  CHECK(ask(with(each), sudo("carol", 7)).verdict == Verdict::not_gated);
  Query login = sshd("carol");
  CHECK(ask(with(each), login).verdict == Verdict::deny);
  // Where a gate matches too, the gate decides.
  each.user = "alice";
  each.uid = 1000;
  const Answer gated = ask(with(each), sudo("alice", 1000));
  CHECK(gated.verdict == Verdict::deny);
  CHECK(gated.live_sudo);
}

TEST_CASE("a question without a service, a subject or a phase has no answer", "[wire]") {
  Query query = sshd("");
  CHECK(ask(content(), query).verdict == Verdict::unknown);
  query = sshd("alice");
  query.service = "";
  CHECK(ask(content(), query).verdict == Verdict::unknown);
  query = sshd("alice");
  query.phase = static_cast<Phase>(9);
  CHECK(ask(content(), query).verdict == Verdict::unknown);
}

TEST_CASE("P5: no damage to a board ever lets in whom it refuses", "[wire]") {
  const auto made = make_board(content());
  REQUIRE(made);
  for (const Query& query : {sshd("alice"), sudo("alice", 1000)}) {
    for (std::size_t at = 0; at < made->size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string bad = *made;
        bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
        const MemoryBoard source(bytes_of(bad));
        const auto board = BoardView::open(source, kBoot);
        if (!board) continue;
        const Verdict got = answer(*board, query, kNow).verdict;
        if (got != Verdict::deny && got != Verdict::unknown) FAIL("byte " << at << " bit " << bit);
      }
    }
  }
}
