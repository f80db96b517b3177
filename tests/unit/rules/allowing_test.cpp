// Which roles let somebody run exactly one command, the least of them first.
#include "policy/rules/allowing.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/rules/policies.hpp"

using namespace jit;
using namespace jit::test;

namespace {

std::string role(const std::string& name, const std::string& commands, const std::string& as = "root",
                 bool dangerous = false) {
  return "[roles." + name + "]\neligible = [\"alice\"]\nopens = [\"sudo\"]\nmax_duration = \"1h\"\ndangerous = " +
         (dangerous ? "true" : "false") + "\n[[roles." + name + ".sudo]]\nas = \"" + as + "\"\ncommands = [" +
         commands + "]\n[[roles." + name + ".rules]]\nthen = \"approve\"\n";
}

std::vector<std::string> names(const Policy& policy, const std::vector<std::string>& argv) {
  std::vector<std::string> found;
  for (const Allowing& one : roles_allowing(policy, argv)) found.push_back(one.role);
  return found;
}

constexpr const char* kGate = "[[gates]]\nname = \"sudo\"\nservices = [\"sudo\"]\nusers = [\"*\"]\n";

}  // namespace

TEST_CASE("a command is allowed with exactly its arguments, or any where the role says so", "[rules][allowing]") {
  const Command bare{"/usr/bin/id", {}, false}, fixed{"/usr/bin/cat", {"/etc/shadow"}, false},
      open{"/usr/bin/systemctl", {"restart"}, true}, any{"/usr/bin/psql", {}, true}, all{"ALL", {}, false};
  CHECK(allows(bare, {"/usr/bin/id"}));
  CHECK_FALSE(allows(bare, {"/usr/bin/id", "-u"}));
  CHECK_FALSE(allows(bare, {"/bin/id"}));
  CHECK_FALSE(allows(bare, {"id"}));
  CHECK_FALSE(allows(bare, {}));
  CHECK(allows(fixed, {"/usr/bin/cat", "/etc/shadow"}));
  CHECK_FALSE(allows(fixed, {"/usr/bin/cat"}));
  CHECK_FALSE(allows(fixed, {"/usr/bin/cat", "/etc/shadow", "/etc/passwd"}));
  CHECK_FALSE(allows(fixed, {"/usr/bin/cat", "/etc/shadow "}));
  CHECK_FALSE(allows(fixed, {"/usr/bin/cat", ""}));
  CHECK(allows(open, {"/usr/bin/systemctl", "restart"}));
  CHECK(allows(open, {"/usr/bin/systemctl", "restart", "x"}));
  CHECK_FALSE(allows(open, {"/usr/bin/systemctl", "stop", "x"}));
  CHECK_FALSE(allows(open, {"/usr/bin/systemctl"}));
  CHECK(allows(any, {"/usr/bin/psql"}));
  CHECK(allows(any, {"/usr/bin/psql", "-c", "..."}));
  CHECK(allows(all, {"/anything", "at all"}));
}

TEST_CASE("the role with the fewest rights comes first", "[rules][allowing]") {
  const std::string restart = "\"/usr/sbin/rndc reload postgresql\"";
  const Policy policy =
      loaded(kGate + role("a-open", "\"/usr/sbin/rndc reload ...\"") + role("b-two", restart + ", \"/usr/bin/id\"") +
             role("c-danger", restart, "root", true) + role("d-one", restart) + role("e-one", restart) +
             role("f-all", "\"ALL\"", "root", true) + role("g-other", "\"/usr/bin/id\""));
  CHECK(names(policy, {"/usr/sbin/rndc", "reload", "postgresql"}) ==
        std::vector<std::string>{"d-one", "e-one", "b-two", "c-danger", "a-open", "f-all"});
  CHECK(names(policy, {"/usr/sbin/rndc", "reload", "sshd"}) == std::vector<std::string>{"a-open", "f-all"});
  CHECK(names(policy, {"/usr/bin/rm"}) == std::vector<std::string>{"f-all"});
  CHECK(names(policy, {}).empty());
}

TEST_CASE("in one role the least of its users runs the command", "[rules][allowing]") {
  const Policy policy =
      loaded(kGate + role("r", "\"/usr/bin/pg_top ...\"") +
             "[[roles.r.sudo]]\nas = \"postgres\"\ncommands = [\"/usr/bin/pg_top ...\", \"/usr/bin/id\"]\n");
  const std::vector<Allowing> found = roles_allowing(policy, {"/usr/bin/pg_top", "-l"});
  REQUIRE(found.size() == 1);
  CHECK(found.front().as == "postgres");
  CHECK(found.front().commands == 3);
  CHECK_FALSE(found.front().exact);
}
