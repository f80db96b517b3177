#include "pam_jit/accounts.hpp"

#include <vector>

#include "tests/unit/pam_jit/fake_host.hpp"

using namespace jit::pam;
using namespace jit::pam::test;

namespace {

bool exempted(FakeHost& host, std::string_view name, const char* list) {
  const std::vector<const char*> arguments = {"services=sshd", list};
  return exempt(host, parse_options(arguments), name, local_account(host, name, UINT32_MAX));
}

}  // namespace

TEST_CASE("a local account is its first line in /etc/passwd", "[pam_jit]") {
  FakeHost host;
  host.passwd += "alice:x:7:7::/:/bin/sh\n";
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{4096}}) {
    host.step = step;
    const LocalAccount alice = local_account(host, "alice", UINT32_MAX);
    CHECK((alice.readable && alice.found));
    CHECK(alice.uid == 1000);
    CHECK(alice.gid == 1000);
    for (const char* name : {"alic", "alicee", "x", "", "1000"})
      CHECK_FALSE(local_account(host, name, UINT32_MAX).found);
  }
}

TEST_CASE("damaged lines are nobody", "[pam_jit]") {
  FakeHost host;
  for (const char* line :
       {"alice", "alice:x", "alice:x:1000", "alice:x:-1:1000:", "alice:x:4294967295:1000:", "alice:x:+0:0:",
        "alice:x: 0:0:", "alice:x:0x0:0:", "alice:x::0:", "alice:x:99999999999:0:", "alice:x:1000\n1000:"}) {
    host.passwd = std::string(line) + "\n";
    const LocalAccount account = local_account(host, "alice", UINT32_MAX);
    CHECK(account.readable);
    CHECK_FALSE(account.found);
  }
  host.passwd.assign(100'000, 'z');
  host.passwd += ":x:1:1:\nalice:x:1000:1000:";  // no LF at the end
  CHECK(local_account(host, "alice", UINT32_MAX).found);
}

TEST_CASE("whether the uid who calls is of another local name", "[pam_jit]") {
  FakeHost host;
  CHECK(local_account(host, "corp-user", 1000).uid_is_anothers);
  CHECK_FALSE(local_account(host, "corp-user", 70000).uid_is_anothers);
  host.accounts_readable = false;
  CHECK_FALSE(local_account(host, "alice", 1000).readable);
}

TEST_CASE("exempt are local accounts that are listed, or in a local group that is", "[pam_jit]") {
  FakeHost host;
  host.passwd += "carol:x:1002:1002::/:/bin/sh\nerin:x:1004:990::/:/bin/sh\nfay:x:1005:1005::/:/bin/sh\n";
  for (const std::size_t step : {std::size_t{1}, std::size_t{4096}}) {
    host.step = step;
    CHECK(exempted(host, "root", "exempt=root"));
    CHECK(exempted(host, "carol", "exempt=root,@breakglass"));
    CHECK(exempted(host, "erin", "exempt=@breakglass"));  // by primary group
    CHECK_FALSE(exempted(host, "fay", "exempt=root,@breakglass"));
    CHECK_FALSE(exempted(host, "dave", "exempt=dave,@breakglass"));  // a member, but no local account
    CHECK_FALSE(exempted(host, "carol", "exempt=@nogroup,@break"));
    CHECK_FALSE(exempted(host, "fay", "exempt="));
  }
  host.group = "breakglass:x:990:";  // no LF at the end
  CHECK(exempted(host, "erin", "exempt=@breakglass"));
}

TEST_CASE("damaged group lines exempt nobody, nor does a list that cannot be read", "[pam_jit]") {
  FakeHost host;
  host.passwd += "carol:x:1002:1002::/:/bin/sh\n";
  for (const char* line : {"breakglass:x:990", "breakglass:x:x:carol", "breakglass:carol", "breakglass,x:x:990:carol",
                           "breakglass:x:990:carolx", "breakglass:x:990:x:carol", "xbreakglass:x:990:carol",
                           ":x:990:carol", "breakglass:x:1002"}) {
    host.group = std::string(line) + "\n";
    INFO(line);
    CHECK_FALSE(exempted(host, "carol", "exempt=@breakglass,@"));
  }
  host.group = "breakglass:x:990:" + std::string(9000, 'q') + ",carol\n";
  CHECK(exempted(host, "carol", "exempt=@breakglass"));  // a long line is fine
  host.accounts_readable = false;
  CHECK_FALSE(exempted(host, "root", "exempt=root"));
}
