// Ticket patterns: what they match, what is refused, and that hostile text cannot hold anybody up.
#include <rapidcheck.h>

#include <chrono>
#include <regex>

#include "policy/rules/pattern.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;

namespace {
bool matches(const std::string& pattern, const std::string& text) {
  const auto parsed = Pattern::parse(pattern);
  INFO(pattern << " on " << text);
  REQUIRE(parsed.has_value());
  return parsed->matches(text);
}
std::string refused(const std::string& pattern) {
  const auto parsed = Pattern::parse(pattern);
  REQUIRE_FALSE(parsed.has_value());
  return parsed.error().message;
}
}  // namespace

TEST_CASE("a pattern matches the whole ticket", "[rules]") {
  CHECK(matches("INC-[0-9]+", "INC-1234"));
  CHECK_FALSE(matches("INC-[0-9]+", "INC-1234 "));
  CHECK_FALSE(matches("INC-[0-9]+", "xINC-1234"));
  CHECK_FALSE(matches("INC-[0-9]+", "INC-"));
  CHECK(matches("^INC-[0-9]+$", "INC-1"));
  CHECK(matches("CHG-[0-9]{4,6}|INC-\\d{2}", "CHG-12345"));
  CHECK(matches("CHG-[0-9]{4,6}|INC-\\d{2}", "INC-12"));
  CHECK_FALSE(matches("CHG-[0-9]{4,6}|INC-\\d{2}", "CHG-123"));
  CHECK_FALSE(matches("CHG-[0-9]{4,6}|INC-\\d{2}", "CHG-1234567"));
  CHECK(matches("(?:a|b)*c?", "abbac"));
  CHECK(matches("a{0}b", "b"));
  CHECK(matches("a{2,}", "aaaa"));
  CHECK_FALSE(matches("a{2,}", "a"));
  CHECK(matches("[^0-9a-f]+", "xyz"));
  CHECK_FALSE(matches("[^0-9a-f]+", "xfz"));
  CHECK(matches("[\\w.-]+", "a_b.c-9"));
  CHECK(matches("[a\\-z]", "-"));
  CHECK_FALSE(matches("[a\\-z]", "b"));
  CHECK(matches("\\$\\.\\*", "$.*"));
  CHECK(matches("a.c", "a\nc"));
  CHECK(matches("caf\xc3\xa9", "caf\xc3\xa9"));
  CHECK_FALSE(matches("a", ""));
  CHECK(matches("a*", ""));
}

TEST_CASE("patterns beyond the subset are refused by name", "[rules]") {
  CHECK(refused("") == "the pattern \"\" is empty");
  CHECK(refused("(a") == "the pattern \"(a\" has a ( without )");
  CHECK(refused("a)") == "the pattern \"a)\" has an unexpected \")\"");
  CHECK(refused("[a") == "the pattern \"[a\" has a [ without ]");
  CHECK(refused("[]") == "the pattern \"[]\" has an empty []");
  CHECK(refused("[z-a]") == "the pattern \"[z-a]\" has a range that runs backwards");
  CHECK(refused("*a") == "the pattern \"*a\" has \"*\" with nothing before it; put a backslash before it");
  CHECK(refused("a**") == "the pattern \"a**\" has a quantifier behind a quantifier");
  CHECK(refused("a+?") == "the pattern \"a+?\" has a quantifier behind a quantifier");
  CHECK(refused("a{3,2}") ==
        "the pattern \"a{3,2}\" has a {3,2} that is not {n}, {n,} or {n,m} with numbers up to 128");
  CHECK(refused("a{999}") ==
        "the pattern \"a{999}\" has a {999} that is not {n}, {n,} or {n,m} with numbers up to 128");
  CHECK(refused("a{1") == "the pattern \"a{1\" has a { without }");
  CHECK(refused("(a)\\1").find("has \\1, which is not supported") != std::string::npos);
  CHECK(refused("\\bx").find("has \\b, which is not supported") != std::string::npos);
  CHECK(refused("(?=x)") == "the pattern \"(?=x)\" has a (? that is not (?:");
  CHECK(refused("a^b") == "the pattern \"a^b\" has ^ or $ in the middle; put a backslash before it");
  CHECK(refused("a\\").find("ends with a backslash") != std::string::npos);
  CHECK(refused(std::string(257, 'a')).find("is longer than 256 bytes") != std::string::npos);
  CHECK(refused("[\xc3\xa9]").find("has a character beyond ASCII inside []") != std::string::npos);
  CHECK(refused("((a{128}){128}){128}").find("repeats too much") != std::string::npos);
  CHECK(refused(std::string(20, '(') + "a" + std::string(20, ')')).find("nests groups deeper than 16") !=
        std::string::npos);
}

TEST_CASE("no ticket holds the matcher up", "[rules]") {
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(matches("(a*)*b", std::string(128, 'a')));
  CHECK_FALSE(matches("(a|aa)+$", std::string(127, 'a') + "!"));
  CHECK_FALSE(matches("(((((a?){64}){2}){2}){2}){2}b", std::string(128, 'a')));
  CHECK(matches("(((((){128}){128}){128}){128}){128}a", "a"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  CHECK_FALSE(matches("a*", std::string(129, 'a')));
}

// The same answer as std::regex wherever that is defined: texts here are short, so that it cannot explode.
TEST_CASE("patterns mean what ECMAScript says they mean", "[rules]") {
  const auto atom =
      rc::gen::element<std::string>("a", "b", "[ab]", "[^a]", ".", "\\d", "\\w", "(a|b)", "(?:ab|c)", "(a(b|c)?)");
  const auto quantifier = rc::gen::element<std::string>("", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{1,}");
  const auto text = rc::gen::container<std::string>(rc::gen::element('a', 'b', 'c', '1', '-'));
  const bool good = rc::check("as std::regex", [&] {
    std::string pattern;
    const int parts = *rc::gen::inRange(1, 5);
    for (int i = 0; i < parts; ++i) {
      pattern += *atom + *quantifier;
      if (i + 1 < parts && *rc::gen::inRange(0, 4) == 0) pattern += "|";
    }
    std::string subject = *text;
    subject.resize(std::min<std::size_t>(subject.size(), 12));
    const auto parsed = Pattern::parse(pattern);
    RC_ASSERT(parsed.has_value());
    RC_ASSERT(parsed->matches(subject) == std::regex_match(subject, std::regex(pattern)));
  });
  CHECK(good);
}
