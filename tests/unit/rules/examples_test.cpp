// The examples that we ship are policies as they stand.
#include <fstream>
#include <sstream>

#include "tests/unit/rules/policies.hpp"

using namespace jit;

TEST_CASE("every example policy loads without a warning", "[rules]") {
  for (const std::string name : {"single-host", "fleet-dba", "two-approver"}) {
    INFO(name);
    std::ifstream file(std::string(JIT_SOURCE_DIR) + "/policy/examples/" + name + ".toml");
    REQUIRE(file.good());
    std::stringstream text;
    text << file.rdbuf();
    const Policy policy = test::loaded(text.str());
    CHECK(policy.warnings == std::vector<std::string>{});
    CHECK_FALSE(policy.roles.empty());
    CHECK_FALSE(policy.gates.empty());
  }
}
