#include "pam_jit/text.hpp"

#include <rapidcheck.h>

#include <string>

#include "tests/unit/catch.hpp"

using namespace jit::pam;

namespace {
std::string clean(std::string_view text, bool lines = false) {
  Text<64> out;
  return (lines ? out.add_lines(text) : out.add(text)).c_str();
}
}  // namespace

TEST_CASE("P10: what is shown has no control, bidi or zero-width characters, and is UTF-8", "[pam_jit]") {
  CHECK(clean("plain text, \xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91") ==
        "plain text, \xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91");
  CHECK(clean("a\x1b[31mb") == "a?[31mb");
  CHECK(clean("a\nb\rc\td") == "a?b?c d");
  CHECK(clean("a\nb", true) == "a\nb");
  CHECK(clean(std::string_view("a\0b\x7f", 4)) == "a?b?");
  CHECK(clean("\xc2\x9b"
              "31m") == "?31m");  // C1
  CHECK(clean("\xe2\x80\xae"
              "x\xe2\x80\x8b") == "?x?");  // right to left, zero width
  CHECK(clean("\xff\xc3(\xc0\x80\xed\xa0\x80\xf5\x80\x80\x80") == std::string(2, '?') + "(" + std::string(9, '?'));
  CHECK(clean("%s%n") == "%s%n");
}

TEST_CASE("what does not fit is left out whole", "[pam_jit]") {
  Text<6> out;
  out.add("abcd").add("\xc3\xa9");
  CHECK(std::string(out.c_str()) == "abcd");
  out.add("x");
  CHECK(std::string(out.c_str()) == "abcdx");
}

TEST_CASE("property: any bytes, cleaned twice, are the same", "[pam_jit]") {
  CHECK(rc::check("clean", [](const std::string& text) {
    const std::string once = clean(text, true);
    RC_ASSERT(clean(once, true) == once);
    RC_ASSERT(once.size() < 64);
  }));
}
