#include "jitd/sys/accounts.hpp"

#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

TEST_CASE("passwd and group as nss_files reads them", "[sys][accounts]") {
  const auto accounts = LocalAccounts::parse(
      "root:x:0:0:root:/root:/bin/bash\n"
      "# comment:x:1:1::/:/bin/sh\n"
      "+::::::\n"
      "broken:x:1\n"
      "hex:x:0x10:1::/:/bin/sh\n"
      "minus:x:4294967295:1::/:/bin/sh\n"
      "plus:x:+5:1::/:/bin/sh\n"
      "alice:x:1001:100:Alice,,,:/home/alice:/bin/zsh\n"
      "alice:x:0:0:again:/:/bin/sh\n"
      "toor:x:0:0::/root:/bin/sh\n"
      "corp@x:x:1002:100::/:/bin/sh",
      "root:x:0:\n"
      "users:x:100:bob,,alice\n"
      "users:x:101:mallory\n"
      "bad:x:12a:alice\n"
      "five:x:5:alice:more\n");
  CHECK(accounts.users().size() == 5);
  CHECK(accounts.user("alice")->uid == 1001);
  CHECK(accounts.user("alice")->shell == "/bin/zsh");
  CHECK(accounts.user(0U)->name == "root");
  CHECK(accounts.user("corp@x")->gid == 100);
  for (const char* name : {"broken", "hex", "minus", "plus", "+", "# comment", ""}) {
    INFO(name);
    CHECK(accounts.user(name) == nullptr);
  }
  CHECK(accounts.group("users")->gid == 100);
  CHECK(accounts.group("bad") == nullptr);
  CHECK(accounts.group("five") == nullptr);
  CHECK(accounts.members("users") == std::vector<std::string>{"alice", "bob", "corp@x"});
  CHECK(accounts.members("none").empty());
  CHECK(accounts.members("root") == std::vector<std::string>{"alice", "root", "toor"});
}

TEST_CASE("this machine's own accounts", "[sys][accounts]") {
  const auto accounts = LocalAccounts::read();
  REQUIRE(accounts);
  REQUIRE(accounts->user("root") != nullptr);
  CHECK(accounts->user("root")->uid == 0);
  CHECK_FALSE(LocalAccounts::read("/none"));
}

TEST_CASE("both clocks run and the boot has a name", "[sys][clock]") {
  const SystemClock clock;
  const Instant before = clock.now();
  ::usleep(20'000);
  const Instant after = clock.now();
  CHECK(after.boot_ms >= before.boot_ms + 20);
  CHECK(after.wall_ms > 1'600'000'000'000);
  CHECK(clock.boot_id().size() == 36);
}
