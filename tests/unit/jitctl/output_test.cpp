// P10: what comes from outside reaches the terminal escaped, in tables and in JSON alike.
#include "jitctl/output.hpp"

#include <sstream>

#include "tests/unit/catch.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;

TEST_CASE("JSON text is safe on a terminal and for parsers", "[jitctl][P10]") {
  CHECK(json_text("plain") == "\"plain\"");
  CHECK(json_text("a\"b\\c") == R"("a\"b\\c")");
  CHECK(json_text("a\nb\tc") == R"("a\nb\tc")");
  CHECK(json_text("\x1b[31m") == R"("\u001b[31m")");
  CHECK(json_text("\x7f") == R"("\u007f")");
  CHECK(json_text("\xc2\x9b") == R"("\u009b")");  // CSI as one C1 character
  CHECK(json_text("a\xe2\x80\xae"
                  "b") == R"("a\u202eb")");  // right-to-left override
  CHECK(json_text("a\xe2\x80\x8b"
                  "b") == R"("a\u200bb")");  // zero width
  CHECK(json_text("\xe2\x80\xa8") == R"("\u2028")");
  CHECK(json_text("gr\xc3\xbc\xc3\x9f") == "\"gr\xc3\xbc\xc3\x9f\"");
  CHECK(json_text("\xf0\x9f\x94\x91") == "\"\xf0\x9f\x94\x91\"");
  SECTION("bytes that are no UTF-8") {
    CHECK(json_text("a\xff"
                    "b") == R"("a\ufffdb")");
    CHECK(json_text("\xc0\xaf") == R"("\ufffd\ufffd")");  // overlong '/'
    CHECK(json_text("\xed\xa0\x80") == R"("\ufffd\ufffd\ufffd")");
    CHECK(json_text("\xe2\x82") == R"("\ufffd\ufffd")");  // cut
  }
  SECTION("every byte alone, and after a letter, gives no control byte") {
    for (int byte = 0; byte < 256; ++byte) {
      for (const auto& text :
           {std::string(1, static_cast<char>(byte)), "x" + std::string(1, static_cast<char>(byte))}) {
        for (const char out : json_text(text)) CHECK((static_cast<unsigned char>(out) >= 0x20 && out != 0x7f));
      }
    }
  }
}

TEST_CASE("rows become JSON by the names of the wire", "[jitctl]") {
  Row row;
  row.text(Tag::id, "abcd").number(Tag::uid, 1001).text(Tag::signer, "carol").text(Tag::signer, "dave");
  CHECK(to_json(row) == R"({"id":"abcd","uid":1001,"signer":["carol","dave"]})");
  CHECK(to_json(Row().text(Tag::signer, "carol")) == R"({"signer":["carol"]})");  // a list however many
  CHECK(to_json(std::vector<Row>{}) == "[]");
  CHECK(to_json(std::vector<Row>{Row(), Row()}) == "[{},{}]");
  CHECK(to_json(Row().number(Tag::count, UINT64_MAX)) == R"({"count":18446744073709551615})");
}

TEST_CASE("a table keeps every cell on its line and its column", "[jitctl][P10]") {
  Table table({"ID", "WHO", "WHY"});
  table.add({"a", "gr\xc3\xbc", "one\nroot  forged"});
  table.add({"bb", "", "\x1b[2Jx"});
  std::ostringstream out;
  table.print(out);
  CHECK(out.str() ==
        "ID  WHO  WHY\n"
        "a   gr\xc3\xbc  one\\nroot forged\n"
        "bb  -    \\x1b[2Jx\n");
}

TEST_CASE("columns of text", "[jitctl]") {
  CHECK(width("") == 0);
  CHECK(width("abc") == 3);
  CHECK(width("gr\xc3\xbc\xc3\x9f") == 4);
  CHECK(width("\xe6\xbc\xa2\xe5\xad\x97") == 4);  // two wide characters
  CHECK(width("e\xcc\x81") == 1);                 // a combining accent
  CHECK(width("\xff\xff") == 2);
}

TEST_CASE("durations in words never say more than is left", "[jitctl]") {
  CHECK(in_words(Seconds(0)) == "0s");
  CHECK(in_words(Seconds(-5)) == "0s");
  CHECK(in_words(Seconds(59)) == "59s");
  CHECK(in_words(Seconds(60)) == "1m");
  CHECK(in_words(Seconds(119)) == "1m 59s");
  CHECK(in_words(Seconds(3600 + 5 * 60 + 59)) == "1h 5m");
  CHECK(in_words(Seconds(86400 + 59)) == "1d");
  CHECK(in_words(Seconds(3 * 86400 + 2 * 3600 + 1)) == "3d 2h");
}

TEST_CASE("times for people", "[jitctl]") {
  CHECK(time_text(1795332600) == "2026-11-22 07:30:00Z");
  CHECK(time_text(UINT64_MAX) == "never");
}
