// [owners] of jitd.toml: strict, since it says who may say everything else.
#include "policy/owners.hpp"

#include <algorithm>

#include "policy/document/signature.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

struct Read {
  Owners owners;
  std::vector<std::string> problems;
};

Read read(const std::string& text) {
  const auto root = parse_toml(text, "jitd.toml");
  REQUIRE(root.has_value());
  Problems problems;
  TableReader table(*root, "jitd.toml", "", problems);
  Read read{read_owners(table, "jitd.toml"), {}};
  table.finish();
  read.problems = problems.texts();
  return read;
}

std::string first_problem(const std::string& text) {
  const auto problems = read(text).problems;
  return problems.empty() ? "" : problems.front();
}

std::string key() {
  const auto made = SigningKey::generate();
  REQUIRE(made.has_value());
  return public_key_line(made->public_key());
}

}  // namespace

TEST_CASE("owners are named with their keys, and how many sign", "[rules][owners]") {
  CHECK_FALSE(read("").owners.any());
  CHECK(read("").owners.keys.path.empty());
  const std::string a = "olga " + key(), b = "otto " + key();
  const auto both = read("[owners]\nkeys = [\"" + a + "\", \"" + b + "\"]\ncount = 2\n");
  CHECK(both.problems.empty());
  REQUIRE(both.owners.keys.lines.size() == 2);
  CHECK(both.owners.keys.lines[1].principal == "otto");
  CHECK(both.owners.count == 2);
  CHECK(both.owners.keys.path == "[owners] of jitd.toml");
  CHECK(read("[owners]\nkeys = [\"" + a + "\"]\n").owners.count == 1);
}

TEST_CASE("what cannot be meant of owners names the line and key", "[rules][owners]") {
  const std::string a = key();
  CHECK(first_problem("[owners]\ncount = 1\n") ==
        "jitd.toml:1: owners.keys: is missing: lines as \"carol ssh-ed25519 AAAA...\"");
  CHECK(first_problem("[owners]\nkeys = []\n") ==
        "jitd.toml:2: owners.keys: must not be empty; name something or remove the key");
  CHECK(first_problem("[owners]\nkeys = [\"olga " + a + "\"]\ncount = 2\n") ==
        "jitd.toml:3: owners.count: asks for 2 owners, and 1 is named");
  // Two keys of one principal are one owner.
  CHECK(first_problem("[owners]\nkeys = [\"olga " + a + "\", \"olga " + key() + "\"]\ncount = 2\n") ==
        "jitd.toml:3: owners.count: asks for 2 owners, and 1 is named");
  CHECK(first_problem("[owners]\nkeys = [\"olga " + a + "\", \"otto " + a + "\"]\n") ==
        "jitd.toml:2: owners.keys: the key of otto stands in it twice");
  CHECK(first_problem("[owners]\nkeys = [\"o*a " + a + "\"]\n").find("is a pattern") != std::string::npos);
  CHECK(first_problem("[owners]\nkeys = [\"olga ssh-ed25519 AAAA\"]\n").find("jitd.toml:2: owners.keys: ") == 0);
  CHECK(first_problem("[owners]\nkeys = [\"olga " + a + "\\nmallory " + key() + "\"]\n")
            .find("it is more than one line") != std::string::npos);
  CHECK(first_problem("[owners]\nkeys = [\"olga " + a + "\"]\ncount = 0\n").find("owners.count: must be from 1") !=
        std::string::npos);
  CHECK(first_problem("[owners]\nkeys = [\"olga " + a + "\"]\nnames = 1\n").find("owners.names: unknown key") !=
        std::string::npos);
}
