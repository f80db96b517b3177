// Rendering to sudoers: what the real visudo and cvtsudoers read back is what was meant.
#include <rapidcheck.h>

#include <algorithm>

#include "policy/document/effects.hpp"
#include "policy/text.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/document/hostile.hpp"
#include "tests/unit/document/support.hpp"

using namespace jit;
using namespace jit::test;

namespace {

constexpr std::string_view kId = "q9w1dfwf077ymga1";
const WallTime kEnd = at("2026-11-22T08:00:00Z");
constexpr char kWildcard = '\x01';

Effects one(Command command, bool nopasswd = false, Recording record = Recording::none) {
  Effects effects;
  effects.sudo = {{"postgres", 112, std::move(command), nopasswd, record}};
  return effects;
}

// The lines without the header.
std::string body(const Result<std::string>& text) {
  REQUIRE(text.has_value());
  CHECK(text->find("# jit grant q9w1dfwf077ymga1 until 2026-11-22T08:00:00Z") == 0);
  return text->substr(text->find('\n') + 1);
}

std::string classic(const Command& command) {
  return body(to_sudoers(one(command), 1001, SudoDialect::classic, kEnd, kId));
}

// The strings behind `"key": ` in cvtsudoers' JSON, in order.
std::vector<std::string> json_strings(const std::string& json, const std::string& key) {
  std::vector<std::string> found;
  const std::string mark = "\"" + key + "\": \"";
  for (std::size_t at = 0; (at = json.find(mark, at)) != std::string::npos;) {
    at += mark.size();
    std::string value;
    for (; json.at(at) != '"'; ++at) {
      if (json[at] == '\\') {
        ++at;
        REQUIRE((json[at] == '"' || json[at] == '\\' || json[at] == '/'));
      }
      value += json[at];
    }
    found.push_back(value);
  }
  return found;
}

// What sudo will match against the joined command line: fnmatch's escapes taken away, wildcards marked. sudoers' args
// that are "" are left as they are: no arguments.
std::string meaning(const std::string& command) {
  std::string out;
  for (std::size_t i = 0; i < command.size(); ++i) {
    if (command[i] == '\\') {
      RC_ASSERT(i + 1 < command.size());
      out += command[++i];
    } else {
      RC_ASSERT(std::string_view("?[").find(command[i]) == std::string_view::npos);
      out += command[i] == '*' ? kWildcard : command[i];
    }
  }
  return out;
}

// What was meant, in the same form; sudo joins arguments with blanks.
std::vector<std::string> meant(const Command& command) {
  std::string text = command.path;
  for (const std::string& arg : command.args) text += " " + arg;
  if (command.args.empty()) return {command.any_args ? text : text + " \"\""};
  if (command.any_args) return {text, text + " " + kWildcard};
  return {text};
}

}  // namespace

TEST_CASE("sudoers lines as they should look", "[document][sudoers]") {
  CHECK(classic({"/usr/bin/psql", {}, true}) ==
        "#1001 ALL=(#112) NOTAFTER=20261122080000Z PASSWD: NOSETENV: /usr/bin/psql\n");
  CHECK(classic({"/usr/bin/psql", {}, false}) ==
        "#1001 ALL=(#112) NOTAFTER=20261122080000Z PASSWD: NOSETENV: /usr/bin/psql \"\"\n");
  CHECK(classic({"/usr/bin/x", {"a", "b"}, true}) ==
        "#1001 ALL=(#112) NOTAFTER=20261122080000Z PASSWD: NOSETENV: /usr/bin/x a b\n"
        "#1001 ALL=(#112) NOTAFTER=20261122080000Z PASSWD: NOSETENV: /usr/bin/x a b *\n");
  CHECK(classic({"ALL", {}, false}) == "#1001 ALL=(#112) NOTAFTER=20261122080000Z PASSWD: NOSETENV: ALL\n");
  CHECK(body(to_sudoers(one({"/usr/bin/x", {}, true}, true, Recording::required), 0, SudoDialect::classic, kEnd,
                        kId)) ==
        "Defaults:#0 iolog_dir=/var/log/jit-io, iolog_file=unclaimed-XXXXXX, iolog_flush\n"
        "#0 ALL=(#112) NOTAFTER=20261122080000Z NOPASSWD: NOSETENV: LOG_INPUT: LOG_OUTPUT: /usr/bin/x\n");
}

TEST_CASE("each sudo gets what it can keep", "[document][sudoers]") {
  const Command plain{"/usr/bin/systemctl", {"restart", "a@b:c,d=e#f"}, false};
  CHECK(body(to_sudoers(one(plain), 1001, SudoDialect::both, kEnd, kId)) ==
        "#1001 ALL=(#112) PASSWD: NOSETENV: /usr/bin/systemctl restart a@b\\:c\\,d\\=e\\#f\n");
  CHECK(body(to_sudoers(one(plain), 1001, SudoDialect::sudo_rs, kEnd, kId)).find("NOTAFTER") == std::string::npos);
  // Recorded, or read otherwise by sudo-rs: dated, so that sudo-rs drops the line; and refused where there is only
  // sudo-rs.
  CHECK(body(to_sudoers(one(plain, false, Recording::required), 1001, SudoDialect::both, kEnd, kId))
            .find(" NOTAFTER=20261122080000Z ") != std::string::npos);
  CHECK(to_sudoers(one(plain, false, Recording::required), 1001, SudoDialect::sudo_rs, kEnd, kId).error().code ==
        Errc::refused);
  for (const std::string arg : {"*", "?", "[a]", "a b", "\\", "\"\"", "^a$", "é"}) {
    INFO(arg);
    const Command odd{"/usr/bin/x", {arg}, false};
    CHECK(body(to_sudoers(one(odd), 1001, SudoDialect::both, kEnd, kId)).find(" NOTAFTER=20261122080000Z ") !=
          std::string::npos);
    CHECK(to_sudoers(one(odd), 1001, SudoDialect::sudo_rs, kEnd, kId).error().code == Errc::refused);
  }
  // sudo-rs reads the * behind fixed arguments literally.
  const Command open_end{"/usr/bin/systemctl", {"restart"}, true};
  CHECK(body(to_sudoers(one(open_end), 1001, SudoDialect::both, kEnd, kId)).find(" NOTAFTER=") != std::string::npos);
  CHECK(to_sudoers(one(open_end), 1001, SudoDialect::sudo_rs, kEnd, kId).error().code == Errc::refused);
  CHECK(to_sudoers(one({"/usr/bin/systemctl", {}, true}), 1001, SudoDialect::sudo_rs, kEnd, kId));
}

TEST_CASE("best effort is recorded by the sudo that can, and given by the other", "[document][sudoers]") {
  const Effects effects = one({"/usr/bin/id", {}, false}, false, Recording::best_effort);
  const std::string settings = "Defaults:#1001 iolog_dir=/var/log/jit-io, iolog_file=unclaimed-XXXXXX, iolog_flush\n";
  CHECK(body(to_sudoers(effects, 1001, SudoDialect::classic, kEnd, kId)) ==
        settings +
            "#1001 ALL=(#112) NOTAFTER=20261122080000Z PASSWD: NOSETENV: LOG_INPUT: LOG_OUTPUT: /usr/bin/id "
            "\"\"\n");
  CHECK(body(to_sudoers(effects, 1001, SudoDialect::both, kEnd, kId)) ==
        settings + "#1001 ALL=(#112) PASSWD: NOSETENV: LOG_INPUT: LOG_OUTPUT: /usr/bin/id \"\"\n");
  CHECK(body(to_sudoers(effects, 1001, SudoDialect::sudo_rs, kEnd, kId)) ==
        "#1001 ALL=(#112) PASSWD: NOSETENV: /usr/bin/id \"\"\n");
}

TEST_CASE("what cannot be rendered is an error, whole", "[document][sudoers]") {
  const Command good{"/usr/bin/x", {}, true};
  const auto fails = [&](const Effects& effects, std::uint32_t uid = 1001, std::string_view id = kId) {
    CHECK_FALSE(to_sudoers(effects, uid, SudoDialect::classic, kEnd, id));
  };
  fails(Effects{});
  fails(one(good), UINT32_MAX);
  fails(one(good), 65534);
  fails(one(good), 1001, "");
  fails(one(good), 1001, "x\nroot ALL=(ALL) ALL\n");
  fails(one(good), 1001, "Q9W1");
  for (const Command& bad :
       {Command{"", {}, false}, Command{"x", {}, false}, Command{"sudoedit", {"/etc/x"}, false},
        Command{"/usr/bin/*", {}, false}, Command{"/usr/bin/", {}, false}, Command{"/a\nb", {}, false},
        Command{"/a", {"b\nroot ALL=(ALL) ALL"}, false}, Command{"/a", {"b\r"}, false}, Command{"/a", {""}, false},
        Command{"ALL", {"x"}, false}, Command{"ALL", {}, true}, Command{"/a\\", {}, false},
        Command{"/a", {"\xff"}, false}, Command{"/a", {std::string("\0", 1)}, false}}) {
    INFO(shown(bad.path));
    fails(one(bad));
  }
  Effects mixed = one(good);
  mixed.sudo.push_back({"postgres", 112, {"relative", {}, false}, false, Recording::none});
  fails(mixed);  // no half of a role
  mixed.sudo.back() = {"nobody", 65534, good, false, Recording::none};
  fails(mixed);
}

TEST_CASE("no metacharacter is ever left bare", "[document][sudoers]") {
  CHECK(rc::check("structure of a line", [] {
    const Command command = *hostile_command();
    const auto text = to_sudoers(one(command), 1001, SudoDialect::classic, kEnd, kId);
    RC_ASSERT(text.has_value());
    const std::string prefix = "#1001 ALL=(#112) NOTAFTER=20261122080000Z PASSWD: NOSETENV: ";
    std::size_t lines = 0;
    for (const std::string_view line : split(std::string_view(*text).substr(0, text->size() - 1), '\n')) {
      if (lines++ == 0) continue;
      RC_ASSERT(line.substr(0, prefix.size()) == prefix);
      const std::string_view rest = line.substr(prefix.size());
      const bool any = rest.size() > 2 && rest.substr(rest.size() - 2) == " *";
      const bool none = rest.size() > 3 && rest.substr(rest.size() - 3) == " \"\"";
      const std::string_view fixed = rest.substr(0, rest.size() - (any ? 2 : none ? 3 : 0));
      for (std::size_t i = 0; i < fixed.size(); ++i) {
        if (fixed[i] == '\\') {
          ++i;
          continue;
        }
        RC_ASSERT(std::string_view(",:=#*?[]^").find(fixed[i]) == std::string_view::npos);
      }
    }
    RC_ASSERT(lines == 1 + meant(command).size());
  }));
}

TEST_CASE("the real visudo and cvtsudoers read back what was meant", "[document][sudoers]") {
  const TempDir dir;
  const auto tools = [&](const Effects& effects) {
    const auto text = to_sudoers(effects, 1001, SudoDialect::classic, kEnd, kId);
    RC_ASSERT(text.has_value());
    const std::string file = dir.file("sudoers", *text);
    const Ran checked = run({"visudo", "-cf", file});
    if (checked.status != 0) RC_FAIL(checked.out + checked.err + *text);
    const Ran json = run({"cvtsudoers", "-f", "json", file});
    RC_ASSERT(json.status == 0);
    std::vector<std::string> expected;
    for (const SudoEffect& sudo : effects.sudo) {
      for (const std::string& line : meant(sudo.command)) expected.push_back(line);
    }
    std::vector<std::string> read = json_strings(json.out, "command");
    RC_ASSERT(read.size() == expected.size());
    for (std::size_t i = 0; i < read.size(); ++i) {
      const bool none =
          expected[i].size() > 3 && expected[i].substr(expected[i].size() - 3) == " \"\"" && read[i] == expected[i];
      if (!none && meaning(read[i]) != expected[i])
        RC_FAIL("read " + meaning(read[i]) + "\nmeant " + expected[i] + "\n" + *text);
    }
    return json.out;
  };
  CHECK(rc::check("hostile commands", [&] {
    Effects effects;
    for (int i = 0; i < 8; ++i) effects.sudo.push_back({"postgres", 112, *hostile_command(), false, Recording::none});
    tools(effects);
  }));

  const std::string json = tools(one({"/usr/bin/x", {"a"}, false}, true, Recording::required));
  CHECK(json.find("\"userid\": 1001") != std::string::npos);
  CHECK(json.find("\"userid\": 112") != std::string::npos);
  CHECK(json.find("\"notafter\": \"20261122080000Z\"") != std::string::npos);
  CHECK(json.find("\"authenticate\": false") != std::string::npos);
  CHECK(json.find("\"log_input\": true") != std::string::npos);
  CHECK(json.find("\"log_output\": true") != std::string::npos);
  CHECK(json.find("\"setenv\": false") != std::string::npos);
  // One argument that is two quotes is not "no arguments".
  CHECK(json_strings(tools(one({"/usr/bin/x", {"\"\""}, false})), "command").at(0) == "/usr/bin/x \\\"\\\"");
}
