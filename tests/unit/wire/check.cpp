#include "jitd/wire/check.hpp"

#include <array>
#include <bit>
#include <string>

#include "tests/unit/catch.hpp"

using namespace jit::wire;

namespace {

std::array<std::byte, kMaxCheckFrame> buffer;

Query query() {
  Query out;
  out.phase = Phase::session;
  out.service = "sudo";
  out.subject = "alice";
  out.has_uid = true;
  out.uid = 1000;
  out.target = "root";
  out.started_ms = 1234;
  out.tty = "/dev/pts/3";
  out.rhost = "10.0.0.1";
  out.line_enforces = false;
  return out;
}

std::optional<Query> there_and_back(const Query& asked) {
  const auto frame = Frame::parse(make_query(buffer, 9, asked));
  return frame ? read_query(*frame) : std::nullopt;
}

// A reply with this verdict and status.
std::optional<Answer> reply(std::uint64_t verdict, Verb verb = Verb::result, std::uint32_t id = 9,
                            Status status = Status::done) {
  Writer writer(buffer, verb, id);
  writer.number(Tag::status, static_cast<std::uint64_t>(status)).number(Tag::verdict, verdict);
  const auto frame = Frame::parse(writer.finish());
  return frame ? read_answer(*frame, 9) : std::nullopt;
}

}  // namespace

TEST_CASE("a query goes over whole", "[wire]") {
  const auto got = there_and_back(query());
  REQUIRE(got);
  CHECK(got->phase == Phase::session);
  CHECK(got->service == "sudo");
  CHECK(got->subject == "alice");
  CHECK((got->has_uid && got->uid == 1000));
  CHECK(got->target == "root");
  CHECK(got->started_ms == 1234);
  CHECK(got->tty == "/dev/pts/3");
  CHECK(got->rhost == "10.0.0.1");
  CHECK_FALSE(got->line_enforces);
  Query comer = query();
  comer.has_uid = false;
  comer.line_enforces = true;
  CHECK_FALSE(there_and_back(comer)->has_uid);
  CHECK(there_and_back(comer)->line_enforces);
}

TEST_CASE("what is decided on is refused when too long, what is for the record is cut", "[wire]") {
  const std::string long_text(300, 'x');
  Query asked = query();
  asked.rhost = asked.tty = asked.target = long_text;
  REQUIRE(there_and_back(asked));
  CHECK(there_and_back(asked)->rhost.size() == 255);
  asked.subject = long_text;
  CHECK(make_query(buffer, 1, asked).empty());
  asked.subject = {};
  CHECK(make_query(buffer, 1, asked).empty());
  asked.subject = std::string_view(long_text).substr(0, 256);
  CHECK(there_and_back(asked));
  asked.service = std::string_view(long_text).substr(0, 64);
  CHECK(make_query(buffer, 1, asked).empty());
}

TEST_CASE("a query that is none is refused", "[wire]") {
  const auto read = [](auto&& fill, Verb verb = Verb::check) {
    Writer writer(buffer, verb, 1);
    fill(writer);
    const auto frame = Frame::parse(writer.finish());
    return frame ? read_query(*frame) : std::nullopt;
  };
  const auto whole = [](Writer& w) { w.number(Tag::phase, 1).text(Tag::service, "sshd").text(Tag::subject, "bob"); };
  REQUIRE(read(whole));
  CHECK(read(whole)->line_enforces);  // not said: the safe side
  CHECK_FALSE(read(whole, Verb::status));
  CHECK_FALSE(read([](Writer& w) { w.number(Tag::phase, 4).text(Tag::service, "sshd").text(Tag::subject, "bob"); }));
  CHECK_FALSE(read([](Writer& w) { w.text(Tag::service, "sshd").text(Tag::subject, "bob"); }));
  CHECK_FALSE(read([](Writer& w) { w.number(Tag::phase, 1).text(Tag::subject, "bob"); }));
  CHECK_FALSE(read([](Writer& w) { w.number(Tag::phase, 1).text(Tag::service, "sshd"); }));
  CHECK_FALSE(read([](Writer& w) {
    w.number(Tag::phase, 1).text(Tag::service, "sshd").text(Tag::subject, std::string_view("bo\0b", 4));
  }));
  // Ledger: uid -1, 4294967295 and beyond are nobody (CVE-2019-14287).
  for (const std::uint64_t uid : {std::uint64_t{UINT32_MAX}, std::uint64_t{UINT32_MAX} + 1, UINT64_MAX})
    CHECK_FALSE(read([&](Writer& w) { whole(w), w.number(Tag::subject_uid, uid); }));
}

TEST_CASE("an answer goes over whole", "[wire]") {
  Answer answer;
  answer.verdict = Verdict::deny;
  copy_text(answer.gate, "login");
  copy_text(answer.grant, "0123456789abcdef");
  copy_text(answer.message, std::string(600, 'm'));
  const auto frame = Frame::parse(make_answer(buffer, 9, answer));
  REQUIRE(frame);
  const auto got = read_answer(*frame, 9);
  REQUIRE(got);
  CHECK(got->verdict == Verdict::deny);
  CHECK(std::string(got->gate) == "login");
  CHECK(std::string(got->grant) == "0123456789abcdef");
  CHECK(std::string(got->message) == std::string(511, 'm'));
}

TEST_CASE("verdicts are far apart, and one flipped bit is no verdict", "[wire]") {
  const Verdict all[] = {Verdict::allow, Verdict::not_gated, Verdict::observe, Verdict::deny, Verdict::unknown};
  for (const Verdict a : all) {
    const auto value = static_cast<std::uint32_t>(a);
    CHECK(reply(value)->verdict == a);
    for (const Verdict b : all)
      if (a != b) CHECK(std::popcount(value ^ static_cast<std::uint32_t>(b)) >= 10);
    for (int bit = 0; bit < 64; ++bit) CHECK_FALSE(reply(value ^ (std::uint64_t{1} << bit)));
  }
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, UINT64_MAX}) CHECK_FALSE(reply(value));
}

TEST_CASE("a reply to something else, or of a failure, is none", "[wire]") {
  const auto allow = static_cast<std::uint64_t>(Verdict::allow);
  CHECK(reply(allow));
  CHECK_FALSE(reply(allow, Verb::item));
  CHECK_FALSE(reply(allow, Verb::result, 8));
  CHECK_FALSE(reply(allow, Verb::result, 9, Status::failed));
  Writer writer(buffer, Verb::result, 9);
  CHECK_FALSE(read_answer(*Frame::parse(writer.number(Tag::status, 0).finish()), 9));
}
