#include "pam_jit/options.hpp"

#include <vector>

#include "tests/unit/catch.hpp"

using namespace jit::pam;

namespace {
Options parse(const std::vector<const char*>& arguments) {
  static thread_local std::vector<const char*> kept;
  kept = arguments;
  return parse_options(kept);
}
}  // namespace

TEST_CASE("the arguments of a line", "[pam_jit]") {
  const Options options =
      parse({"services=sshd,login", "mode=enforce", "exempt=root,@breakglass", "timeout=250", "services=su"});
  CHECK(options.enforce);
  CHECK(options.timeout_ms == 250);
  CHECK_FALSE(options.request);
  CHECK(options.mistake == nullptr);
  for (const char* service : {"sshd", "login", "su"}) CHECK(options.lists_service(service));
  for (const char* service : {"ssh", "sshd,login", "", "sudo"}) CHECK_FALSE(options.lists_service(service));
  CHECK(options.exempts_user("root"));
  CHECK_FALSE(options.exempts_user("@breakglass"));
  CHECK_FALSE(options.exempts_user("breakglass"));
  CHECK(options.exempts_group("breakglass"));
  CHECK_FALSE(options.exempts_group("root"));
  CHECK_FALSE(options.exempts_group(""));
}

TEST_CASE("request is a word of its own", "[pam_jit]") {
  const Options plain = parse({"services=sshd", "request"});
  CHECK(plain.request);
  CHECK(plain.mistake == nullptr);
  const Options odd = parse({"services=sshd", "request=yes"});
  CHECK_FALSE(odd.request);
  CHECK(odd.mistake != nullptr);
}

TEST_CASE("a line without arguments observes, with 500 ms, and exempts nobody", "[pam_jit]") {
  const Options options = parse({"services=sshd"});
  CHECK_FALSE(options.enforce);
  CHECK(options.timeout_ms == 500);
  CHECK_FALSE(options.exempts_user("root"));
  CHECK_FALSE(options.exempts_groups());
}

TEST_CASE("what is not understood falls to the safe side, and is named", "[pam_jit]") {
  CHECK(parse({"services=sshd", "mode=enforec"}).enforce);
  CHECK(parse({"services=sshd", "mode="}).enforce);
  CHECK(parse({"services=sshd", "mode=enforce", "mode=observe"}).enforce);
  CHECK_FALSE(parse({"services=sshd", "mode=observe"}).enforce);
  CHECK(std::string(parse({"services=sshd", "mode=Observe"}).mistake) == "mode=Observe");
  CHECK(std::string(parse({"services=sshd", "exmpt=root"}).mistake) == "exmpt=root");
  CHECK(std::string(parse({"services=sshd", "debug", "x=y"}).mistake) == "debug");
  CHECK(parse({}).mistake != nullptr);
  CHECK(parse({"services="}).mistake != nullptr);
  CHECK_FALSE(parse({"services="}).has_services);
}

TEST_CASE("a timeout is 50 to 5000 ms", "[pam_jit]") {
  const auto timeout = [](const char* argument) { return parse({"services=sshd", argument}).timeout_ms; };
  CHECK(timeout("timeout=50") == 50);
  CHECK(timeout("timeout=5000") == 5000);
  CHECK(timeout("timeout=49") == 50);
  CHECK(timeout("timeout=0") == 50);
  CHECK(timeout("timeout=5001") == 5000);
  for (const char* bad : {"timeout=", "timeout=-1", "timeout=1s", "timeout=9999999999", "timeout= 60"})
    CHECK(timeout(bad) == 500);
  CHECK(parse({"services=sshd", "timeout=49"}).mistake != nullptr);
}
