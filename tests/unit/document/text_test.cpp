// Text, times, names and digests: what everything else leans on.
#include <rapidcheck.h>

#include "policy/digest.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"
#include "policy/time.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;

TEST_CASE("UTF-8 is checked to the letter of RFC 3629", "[document][text]") {
  CHECK(valid_utf8(""));
  CHECK(valid_utf8("Größe €  𝄞"));
  for (const std::string_view bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff", "\xc3", "\xe2\x82", "a\xf0\x9d\x84", "\xc3\x28"}) {
    INFO(shown(bad));
    CHECK_FALSE(valid_utf8(bad));
    CHECK(unclean(bad).has_value());
  }
}

TEST_CASE("what hides or reorders text is named (P10)", "[document][text]") {
  CHECK_FALSE(unclean("plain\ntext é 漢字").has_value());
  CHECK(unclean("a\x1b[31m").value() == "control character 0x1b at byte 1");
  CHECK(unclean("a\tb").value() == "control character 0x09 at byte 1");
  CHECK(unclean(std::string_view("a\0b", 3)).value() == "control character 0x00 at byte 1");
  CHECK(unclean("\x7f").value() == "control character 0x7f at byte 0");
  CHECK(unclean("\xc2\x85").value() == "control character 0x85 at byte 0");
  CHECK(unclean("x\u202ey").value() == "bidirectional control U+202E at byte 1");
  for (const std::string_view bad :
       {"\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u3164", "\ufe0f", "\U000e0041"}) {
    CHECK(unclean(bad).value().find("zero-width") == 0);
  }
  for (const std::string_view bad : {"\u061c", "\u200e", "\u200f", "\u202a", "\u2066", "\u2069"}) {
    CHECK(unclean(bad).value().find("bidirectional") == 0);
  }
  CHECK(unclean("\u2028").value().find("line separator") == 0);
}

TEST_CASE("blanks of every kind are blanks (P10)", "[document][text]") {
  CHECK(without_blank_runs("  a \t\n b\u00a0\u3000\u2003 c\u2800 ") == "a b c");
  CHECK(without_blank_runs("gr\u00fc\u00df") == "gr\u00fc\u00df");
  CHECK(without_blank_runs("a\xff  b") == "a\xff b");
  for (const std::string_view blank :
       {"", " ", "\u00a0", "\u3000", "\u2000\u200a", "\u1680\u202f\u205f", "\u2800", "\n\t"})
    CHECK(only_blanks(blank));
  CHECK_FALSE(only_blanks(" . "));
  CHECK_FALSE(only_blanks("\xff"));
}

TEST_CASE("shown text is one clean line (P10)", "[document][text]") {
  CHECK(shown("a\nb\x1b\x80\u202e") == "a\\nb\\x1b\\x80\\u{202e}");
  CHECK(shown("ééé", 4) == "éé…");
  CHECK(rc::check("shown is clean whatever comes", [](const std::string& text, std::uint8_t limit) {
    const std::string line = shown(text, limit);
    RC_ASSERT(!unclean(line).has_value());
    RC_ASSERT(line.find('\n') == std::string::npos);
    RC_ASSERT(line.size() <= limit + 3U);
  }));
}

TEST_CASE("encodings read back what they wrote and nothing else", "[document][text]") {
  CHECK(escape_word("a b\\[c]:,\x7f") == "a\\x20b\\x5c\\x5bc\\x5d\\x3a\\x2c\\x7f");
  CHECK(rc::check("words",
                  [](const std::string& word) { RC_ASSERT(unescape_word(escape_word(word)).value() == word); }));
  for (const std::string_view bad : {"\\", "\\x", "\\x4", "\\xG0", "\\x4A", "\\n", "a\\x2"})
    CHECK_FALSE(unescape_word(bad));
  CHECK(rc::check("base64",
                  [](const std::string& bytes) { RC_ASSERT(from_base64(to_base64(bytes)).value() == bytes); }));
  CHECK(to_base64("foob") == "Zm9vYg==");  // RFC 4648 section 10
  CHECK(to_base64("foob", false) == "Zm9vYg");
  for (const std::string_view bad : {"Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Z g=", "Zm9v\n"}) {
    INFO(bad);
    CHECK_FALSE(from_base64(bad));
  }
  CHECK_FALSE(from_hex("0G"));
  CHECK_FALSE(from_hex("AB"));
  CHECK_FALSE(from_hex("abc"));
}

TEST_CASE("numbers are plain decimals", "[document][text]") {
  CHECK(parse_number("0").value() == 0);
  CHECK(parse_number("18446744073709551615").value() == UINT64_MAX);
  for (const std::string_view bad :
       {"", "-1", "+0", " 0", "0 ", "0x0", "00", "01", "18446744073709551616", "1e3", "1.0", "٣"}) {
    INFO(bad);
    CHECK_FALSE(parse_number(bad));
  }
  CHECK_FALSE(parse_number("256", 255));
}

TEST_CASE("times are UTC in whole seconds", "[document][time]") {
  CHECK(format_utc(WallTime(Seconds(1795324239))) == "2026-11-22T05:10:39Z");
  CHECK(format_compact_utc(WallTime(Seconds(1795324239))) == "20261122051039Z");
  CHECK(parse_utc("2024-02-29T00:00:00Z").has_value());
  for (const std::string_view bad :
       {"", "2026-11-22", "2026-11-22T05:10:39", "2026-11-22T05:10:39z", "2026-11-22 05:10:39Z",
        "2026-11-22T05:10:39.5Z", "2026-11-22T05:10:39+00:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "1969-12-31T23:59:59Z",
        "-026-01-01T00:00:00Z"}) {
    INFO(bad);
    CHECK_FALSE(parse_utc(bad));
  }
  CHECK(parse_compact_utc("20261122Z").value() == parse_utc("2026-11-22T00:00:00Z").value());
  CHECK(parse_compact_utc("202611220510Z").value() == parse_utc("2026-11-22T05:10:00Z").value());
  for (const std::string_view bad :
       {"20261122", "20261122051039", "20261322Z", "2026112205Z", "20261122051039+0100", "Z", "20301331235959Z"}) {
    INFO(bad);
    CHECK_FALSE(parse_compact_utc(bad));
  }
  CHECK(rc::check("both forms read back", [] {
    const WallTime time(Seconds(*rc::gen::inRange<std::int64_t>(0, 253402300799)));
    RC_ASSERT(parse_utc(format_utc(time)).value() == time);
    RC_ASSERT(parse_compact_utc(format_compact_utc(time)).value() == time);
  }));
}

TEST_CASE("durations have one number and one unit", "[document][time]") {
  CHECK(parse_duration("90m").value() == Seconds(5400));
  CHECK(format_duration(Seconds(5400)) == "90m");
  CHECK(format_duration(std::chrono::hours(48)) == "2d");
  for (const std::string_view bad :
       {"", "m", "0m", "1", "1.5h", "-1h", "+1h", "1h30m", "1 h", "1H", "367d", "99999999999999999999s", "01h"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad));
  }
  CHECK(rc::check("durations read back", [] {
    const Seconds duration(*rc::gen::inRange<std::int64_t>(1, 366 * 86400 + 1));
    RC_ASSERT(parse_duration(format_duration(duration)).value() == duration);
  }));
}

TEST_CASE("names of real sites pass, what other files would misread does not", "[document][names]") {
  for (const std::string_view good : {"alice", "first.last", "name@corp", "DOM\\name", "größe", "a b", "svc$", "x"}) {
    INFO(good);
    CHECK(check_user_name(good));
    CHECK(check_group_name(good));
  }
  for (const std::string_view bad :
       {"", ".", "..", "-a", "+a", "#1", "a:b", "a,b", "a/b", " a", "a ", "a\nb", "a\x1b", "a\u202e", "\xff"}) {
    INFO(shown(bad));
    CHECK_FALSE(check_user_name(bad));
    CHECK_FALSE(check_group_name(bad));
  }
  CHECK(check_user_name(std::string(256, 'a')));
  CHECK_FALSE(check_user_name(std::string(257, 'a')));
  CHECK(check_policy_name("pci-db.eu_1@x", "segment"));
  for (const std::string_view bad : {"", "-a", "a b", "a/b", "é", ".a"}) CHECK_FALSE(check_policy_name(bad, "role"));
  CHECK(check_policy_name("-a", "role").error().message.find("role \"-a\"") == 0);
  CHECK(check_host_name("db1.example.org"));
  for (const std::string_view bad : {"", "-h", ".h", "h/../x", "h h", "h\n"}) CHECK_FALSE(check_host_name(bad));
  for (const std::uint32_t nobody : {65534U, 65535U, 4294967295U}) CHECK_FALSE(usable_id(nobody));
  CHECK(usable_id(0));
  CHECK(usable_id(1000));
  CHECK(dynamic_id(61184));
  CHECK(dynamic_id(65519));
  CHECK_FALSE(dynamic_id(65520));
}

TEST_CASE("digests and ids", "[document][digest]") {
  const Digest abc = sha256("abc");
  CHECK(digest_text(abc) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2
  CHECK(parse_digest(digest_text(abc)).value() == abc);
  for (const std::string& bad :
       {std::string("sha256:"), digest_text(abc) + "0", "SHA256:" + digest_text(abc).substr(7),
        "sha256:BA" + digest_text(abc).substr(9), digest_text(abc).substr(1)}) {
    CHECK_FALSE(parse_digest(bad));
  }
  const std::string id = id_of(abc);
  CHECK(id == "q9w1dfwf077ymga1");  // ba7816bf8f01cfea4141 in Crockford base32
  CHECK(parse_id_prefix("Q9W1").value() == "q9w1");
  CHECK(parse_id_prefix("oIl1").value() == "0111");
  for (const std::string_view bad : {"", "q9w", "q9w1dfwf077ymga1x", "uuuu", "q9w-", "q9w1 "})
    CHECK_FALSE(parse_id_prefix(bad));
}

TEST_CASE("errors say where", "[document][result]") {
  CHECK(fail_errno(ENOENT, "/x").value().code == Errc::not_found);
  CHECK(fail_errno(EACCES, "/x").value().message == "/x: Permission denied");
  CHECK(within("file", {Errc::busy, "held", 0}).value().message == "file: held");
  CHECK(joined({"a", "b", "c"}) == "a, b and c");
  CHECK(joined({"a", "b"}, " or ") == "a or b");
  CHECK(split("a::b", ':').size() == 3);
  CHECK(split("", ':').size() == 1);
}
