// `effects`: the text that approvers sign stands for one meaning, and nothing else parses.
#include "policy/document/effects.hpp"

#include <rapidcheck.h>

#include <algorithm>

#include "policy/text.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/document/hostile.hpp"

using namespace jit;
using namespace jit::test;

namespace {

bool says(const std::string& message, std::string_view part) {
  INFO(message);
  return message.find(part) != std::string::npos;
}

std::string command_error(std::string_view text) {
  const auto command = parse_command(text);
  return command ? "" : command.error().message;
}

}  // namespace

TEST_CASE("commands as policy writes them", "[document][effects]") {
  CHECK(parse_command("/usr/bin/psql").value() == Command{"/usr/bin/psql", {}, false});
  CHECK(parse_command("/usr/bin/psql ...").value() == Command{"/usr/bin/psql", {}, true});
  CHECK(parse_command("/usr/bin/systemctl restart x@y:z ...").value() ==
        Command{"/usr/bin/systemctl", {"restart", "x@y:z"}, true});
  CHECK(parse_command("/usr/bin/x a\\x20b \\x2e..").value() == Command{"/usr/bin/x", {"a b", "..."}, false});
  CHECK(parse_command("ALL").value() == Command{"ALL", {}, false});
  CHECK(to_text(Command{"/usr/bin/x", {"a b", "[c]:,\\", "..."}, true}) ==
        "/usr/bin/x a\\x20b \\x5bc\\x5d\\x3a\\x2c\\x5c \\x2e.. ...");

  CHECK(says(command_error(""), "empty word"));
  CHECK(says(command_error("psql"), "not an absolute path"));
  CHECK(says(command_error("..."), "not an absolute path"));
  CHECK(says(command_error("sudoedit /etc/motd"), "not an absolute path"));
  CHECK(says(command_error("list"), "not an absolute path"));
  CHECK(says(command_error("!/usr/bin/x"), "not an absolute path"));
  CHECK(says(command_error("^/usr/bin/.*$"), "not an absolute path"));
  CHECK(says(command_error("sha256:AAAA /usr/bin/x"), "not an absolute path"));
  CHECK(says(command_error("/usr/bin/sudoedit /etc/motd"), "sudoedit"));
  CHECK(says(command_error("/usr/bin/"), "ends with '/'"));
  CHECK(says(command_error("/"), "ends with '/'"));
  CHECK(says(command_error("/usr/bin/../bin/x"), "plain path"));
  CHECK(says(command_error("/usr/./bin/x"), "plain path"));
  CHECK(says(command_error("/usr//bin/x"), "plain path"));
  for (const std::string_view glob : {"/usr/bin/*", "/usr/bin/p?ql", "/usr/bin/[ab]", "/usr/bin/\\x2a"})
    CHECK(says(command_error(glob), "wildcard"));
  CHECK(says(command_error("/usr/bin/a\\x5cb"), "misread"));
  CHECK(says(command_error("/usr/bin/x ... y"), "only stand last"));
  CHECK(says(command_error("/usr/bin/x  y"), "empty word"));
  CHECK(says(command_error("/usr/bin/x "), "empty word"));
  CHECK(says(command_error(" /usr/bin/x"), "empty word"));
  CHECK(says(command_error("/usr/bin/x a\\b"), "malformed escape"));
  CHECK(says(command_error("/usr/bin/x \\x0a"), "line break"));
  CHECK(says(command_error("/usr/bin/x a\tb"), "control character"));
  CHECK(says(command_error("/usr/bin/x \u202e"), "bidirectional"));
  CHECK(says(command_error("/usr/bin/x a\\x20"), "blank at the start or end"));
  CHECK(says(command_error("/usr/bin/x \\x20a"), "blank at the start or end"));
  CHECK(says(command_error("/usr/bin/x\\x20 ..."), "blank at the start or end"));
  CHECK(says(command_error("ALL x"), "nothing may follow"));
  CHECK(says(command_error("ALL ..."), "nothing may follow"));
  CHECK(says(command_error("/" + std::string(1100, 'a')), "longer than a path"));
}

TEST_CASE("the canonical text", "[document][effects]") {
  Effects effects;
  effects.groups = {{"postgres", 115}, {"DOM\\db admins", 9}, {"postgres", 115}};
  effects.opens = {"login"};
  effects.sudo = {{"root", 0, {"/usr/bin/systemctl", {"restart", "x"}, false}, true, Recording::required},
                  {"postgres", 112, {"/usr/bin/psql", {}, true}, false, Recording::none}};
  const std::string text =
      "group DOM\\x5cdb\\x20admins gid 9\n"
      "group postgres gid 115\n"
      "opens login\n"
      "sudo as postgres uid 112: /usr/bin/psql ...\n"
      "sudo as root uid 0: /usr/bin/systemctl restart x [nopasswd record]\n";
  CHECK(to_text(effects) == text);
  const Effects read = parse_effects(text).value();
  CHECK(to_text(read) == text);
  CHECK(read.groups.size() == 2);
  CHECK(read.sudo[1].nopasswd);
  CHECK(parse_effects("").value() == Effects{});
}

TEST_CASE("what is not canonical is refused", "[document][effects]") {
  const auto refused = [](const std::string& text) {
    INFO(text);
    CHECK_FALSE(parse_effects(text));
  };
  REQUIRE(parse_effects("opens a\nopens b\n").has_value());
  refused("opens b\nopens a\n");
  refused("opens a\nopens a\n");
  refused("opens a");
  refused("opens a\n\n");
  refused("\n");
  refused("opens  a\n");
  refused("opens a b\n");
  refused("opens a\r\n");
  refused("Opens a\n");
  refused("closes a\n");
  for (const std::string gid : {"", "-1", "+0", "0x0", "00", "4294967295", "4294967296", "65534", "1 ", "1e1"})
    refused("group a gid " + gid + "\n");
  refused("group a b gid 1\n");
  refused("group a:b gid 1\n");
  refused("group \\x61 gid 1\n");  // an escape that is not needed
  refused("group a\\x0ab gid 1\n");
  REQUIRE(parse_effects("sudo as root uid 0: /bin/x\n").has_value());
  refused("sudo as root uid 0: /bin/x []\n");
  refused("sudo as root uid 0: /bin/x [record nopasswd]\n");
  refused("sudo as root uid 0: /bin/x [record record-best-effort]\n");
  refused("sudo as root uid 0: /bin/x [record-best-effort nopasswd]\n");
  refused("sudo as root uid 0: /bin/x [best-effort]\n");
  REQUIRE(parse_effects("sudo as root uid 0: /bin/x [nopasswd record-best-effort]\n").has_value());
  refused("sudo as root uid 0: /bin/x [nopasswd ]\n");
  refused("sudo as root uid 0: /bin/x [nopasswd nopasswd]\n");
  refused("sudo as root uid 0: /bin/x [setenv]\n");
  refused("sudo as root uid 0: /bin/x [record] [record]\n");
  refused("sudo as root uid 0: /bin/x[record]\n");
  refused("sudo as root uid 0: /bin/x a:b\n");
  refused("sudo as root uid 0: /bin/x \\x5B\n");
  refused("sudo as root uid 0: x\n");
  refused("sudo as root uid 0:/bin/x\n");
  refused("sudo as root: /bin/x\n");
  refused("sudo as root uid 4294967295: /bin/x\n");
  refused("sudo as #0 uid 0: /bin/x\n");
  refused("sudo as root uid 0: /bin/x \\x2e.. ... ...\n");
}

TEST_CASE("text and value stand for each other", "[document][effects]") {
  CHECK(rc::check("hostile effects read back", [] {
    Effects effects;
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      effects.groups.push_back(
          {"g" + std::to_string(i) + *rc::gen::element<std::string>("", " x", "[1]", "é", "\\d"), 7});
    }
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      effects.sudo.push_back({*rc::gen::element<std::string>("root", "DOM\\x y", "a]b"), 5, *hostile_command(),
                              *rc::gen::arbitrary<bool>(),
                              *rc::gen::element(Recording::none, Recording::required, Recording::best_effort)});
    }
    const std::string text = to_text(effects);
    const auto read = parse_effects(text);
    if (!read) RC_FAIL(read.error().message + "\n" + text);
    RC_ASSERT(to_text(*read) == text);
    for (const SudoEffect& one : effects.sudo)
      RC_ASSERT(std::find(read->sudo.begin(), read->sudo.end(), one) != read->sudo.end());
    for (const GroupEffect& one : effects.groups)
      RC_ASSERT(std::find(read->groups.begin(), read->groups.end(), one) != read->groups.end());
  }));
}
