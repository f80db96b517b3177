#include "jitd/wire/codec.hpp"

#include <rapidcheck.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "jitd/wire/answer.hpp"
#include "tests/unit/catch.hpp"

using namespace jit::wire;

namespace {

std::string frame_of(const std::vector<std::pair<Tag, std::string>>& texts) {
  std::vector<std::byte> buffer(kMaxFrame);
  Writer writer(buffer, Verb::status, 7);
  for (const auto& [tag, text] : texts) writer.text(tag, text);
  const auto bytes = writer.finish();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<Frame> parse(const std::string& bytes) {
  return Frame::parse(std::as_bytes(std::span(bytes)));
}

}  // namespace

TEST_CASE("CRC-32C of the vectors in RFC 3720 B.4", "[wire]") {
  const auto crc = [](const std::string& text) { return crc32c(std::as_bytes(std::span(text))); };
  CHECK(crc("123456789") == 0xe3069283U);
  CHECK(crc(std::string(32, '\0')) == 0x8a9136aaU);
  CHECK(crc(std::string(32, '\xff')) == 0x62a8ab43U);
  CHECK(crc("") == 0);
}

TEST_CASE("numbers are little-endian whatever the machine", "[wire]") {
  unsigned char bytes[9] = {};
  store_u64(bytes + 1, 0x0102030405060708U);
  CHECK(bytes[1] == 8);
  CHECK(bytes[8] == 1);
  CHECK(load_u64(bytes + 1) == 0x0102030405060708U);
  CHECK(load_u32(bytes + 1) == 0x05060708U);
  CHECK(load_u16(bytes + 1) == 0x0708U);
}

TEST_CASE("a frame byte by byte, as docs/PROTOCOL.md has it", "[wire]") {
  std::array<std::byte, 64> buffer{};
  Writer writer(buffer, Verb::check, 0x11223344);
  const auto bytes = writer.number(Tag::phase, 1).text(Tag::service, "sshd").finish();
  const unsigned char expected[] = {0x4a, 0x49, 0x54, 0x31, 1,  0, 16, 0, 20,  0,   0,   0,
                                    0x44, 0x33, 0x22, 0x11, 16, 0, 8,  0, 1,   0,   0,   0,
                                    0,    0,    0,    0,    17, 0, 4,  0, 's', 's', 'h', 'd'};
  REQUIRE(bytes.size() == sizeof expected);
  CHECK(std::memcmp(bytes.data(), expected, sizeof expected) == 0);
}

TEST_CASE("what was written is what is read", "[wire]") {
  std::array<std::byte, 256> buffer{};
  Writer writer(buffer, Verb::request, 42);
  writer.number(Tag::duration, UINT64_MAX).text(Tag::role, "dba").text(Tag::role, "second").text(Tag::reason, "");
  const auto frame = Frame::parse(writer.finish());
  REQUIRE(frame);
  CHECK(frame->verb() == Verb::request);
  CHECK(frame->id() == 42);
  CHECK(frame->number(Tag::duration) == UINT64_MAX);
  CHECK(frame->text(Tag::role) == "dba");
  CHECK(frame->text(Tag::reason) == "");
  CHECK_FALSE(frame->text(Tag::ticket));
  CHECK_FALSE(frame->text(Tag::duration));  // a number
  CHECK_FALSE(frame->number(Tag::role));    // a text
  std::vector<std::string> seen;
  frame->each([&](Tag, std::string_view value) { seen.emplace_back(value); });
  CHECK(seen.size() == 4);
  CHECK(seen[2] == "second");
}

TEST_CASE("a field that does not fit is never cut: there is no frame", "[wire]") {
  std::array<std::byte, kHeaderSize + 8> buffer{};
  Writer exact(buffer, Verb::status, 1);
  CHECK_FALSE(exact.text(Tag::name, "four").finish().empty());
  Writer over(buffer, Verb::status, 1);
  CHECK(over.text(Tag::name, "fives").finish().empty());
  CHECK(over.overflow());
  CHECK(over.text(Tag::name, "x").finish().empty());  // and stays so

  std::array<std::byte, kHeaderSize - 1> tiny{};
  CHECK(Writer(tiny, Verb::status, 1).finish().empty());
  std::vector<std::byte> huge(2 * kMaxFrame);
  Writer limit(huge, Verb::status, 1);
  CHECK(limit.text(Tag::name, std::string(kMaxField, 'x')).finish().empty());  // the frame's own limit
  CHECK(Writer(huge, Verb::status, 1).text(Tag::name, std::string(kMaxField + 1, 'x')).overflow());
}

TEST_CASE("only a whole, well-formed frame is taken", "[wire]") {
  const std::string good = frame_of({{Tag::role, "dba"}});
  REQUIRE(parse(good));
  const auto changed = [&](std::size_t at, char value) {
    std::string bad = good;
    bad[at] = value;
    return bad;
  };
  CHECK_FALSE(parse(""));
  CHECK_FALSE(parse(changed(0, 'X')));  // magic
  CHECK_FALSE(parse(changed(4, 2)));    // version
  CHECK_FALSE(parse(changed(8, 1)));    // length of the fields
  CHECK_FALSE(parse(changed(18, 4)));   // a field that runs over the end
  CHECK_FALSE(parse(changed(18, 2)));   // one that leaves a byte
  CHECK_FALSE(parse(good + "x"));       // more than it says
  for (std::size_t size = 0; size < good.size(); ++size) CHECK_FALSE(parse(good.substr(0, size)));
  CHECK(parse(changed(6, 99)));  // an unknown verb is the dispatcher's to refuse
}

TEST_CASE("a number is 8 bytes; an unknown tag is anything", "[wire]") {
  CHECK_FALSE(parse(frame_of({{Tag::duration, "1234567"}})));
  CHECK(parse(frame_of({{Tag::duration, "12345678"}})));
  const std::string bytes = frame_of({{static_cast<Tag>(60000), "later"}, {Tag::role, "dba"}});
  const auto unknown = parse(bytes);
  REQUIRE(unknown);
  CHECK(unknown->text(Tag::role) == "dba");
  CHECK_FALSE(unknown->text(static_cast<Tag>(60000)));
}

TEST_CASE("every tag has one rule and one name", "[wire]") {
  for (const TagRule& a : kTags) {
    CHECK(tag_rule(a.tag) == &a);
    CHECK(static_cast<unsigned>(a.tag) < 256);  // what the parser's table holds
    for (const TagRule& b : kTags) CHECK((&a == &b || a.name != b.name));
  }
  CHECK(tag_rule(static_cast<Tag>(999)) == nullptr);
  CHECK(control_verb(Verb::audit)->caller == Caller::root);
  CHECK(control_verb(Verb::check) == nullptr);  // not on control.sock
}

TEST_CASE("a text is cut between characters, never within", "[wire]") {
  char into[5];
  copy_text(into, "abc\xc3\xa9");
  CHECK(std::string(into) == "abc");
  copy_text(into, "ab\xc3\xa9");
  CHECK(std::string(into) == "ab\xc3\xa9");
  copy_text(into, "");
  CHECK(std::string(into).empty());
}

TEST_CASE("property: no bytes make the parser step outside, and fields come back", "[wire]") {
  CHECK(rc::check("any bytes behind a true header", [](const std::string& fields) {
    std::string bytes = frame_of({});
    bytes += fields.substr(0, 4096);
    store_u32(bytes.data() + 8, static_cast<std::uint32_t>(bytes.size() - kHeaderSize));
    if (const auto frame = parse(bytes)) {
      std::size_t total = 0;
      frame->each([&](Tag, std::string_view value) { total += value.size() + 4; });
      RC_ASSERT(total == bytes.size() - kHeaderSize);
    }
  }));
  CHECK(rc::check("texts", [](const std::vector<std::string>& texts) {
    std::vector<std::pair<Tag, std::string>> fields;
    for (const std::string& text : texts) fields.emplace_back(Tag::comment, text.substr(0, 500));
    if (fields.size() > 100) fields.resize(100);
    const std::string bytes = frame_of(fields);
    const auto frame = parse(bytes);
    RC_ASSERT(frame.has_value());
    std::size_t i = 0;
    frame->each([&](Tag tag, std::string_view value) {
      RC_ASSERT(tag == Tag::comment);
      RC_ASSERT(value == fields[i++].second);
    });
    RC_ASSERT(i == fields.size());
  }));
}

TEST_CASE("docs/PROTOCOL.md has every tag, verb and verdict with its number", "[wire]") {
  std::ifstream file(JIT_SOURCE_DIR "/docs/PROTOCOL.md");
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  REQUIRE_FALSE(page.empty());
  for (const TagRule& rule : kTags) {
    const char* type = rule.type == FieldType::number ? " (n)" : rule.type == FieldType::bytes ? " (b)" : "";
    const std::string cell =
        "| " + std::to_string(static_cast<unsigned>(rule.tag)) + " " + std::string(rule.name) + type + " |";
    INFO(cell);
    CHECK(page.find(cell) != std::string::npos);
  }
  std::string verbs = page;
  for (char& c : verbs)
    if (c == '\n') c = ' ';
  for (const VerbRule& rule : kControlVerbs) {
    const std::string word =
        " " + std::to_string(static_cast<unsigned>(rule.verb)) + " " + std::string(rule.name) + " ";
    INFO(word);
    CHECK(verbs.find(word) != std::string::npos);
  }
  for (const Verdict each : {Verdict::allow, Verdict::not_gated, Verdict::observe, Verdict::deny, Verdict::unknown}) {
    char word[16];
    std::snprintf(word, sizeof word, "| `%08x` |", static_cast<unsigned>(each));
    CHECK(page.find(word) != std::string::npos);
  }
}
