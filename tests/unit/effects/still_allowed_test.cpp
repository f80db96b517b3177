// What a rule may say besides who and what, before a command that runs by ours counts as its own.
#include "jitd/effects/still_allowed.hpp"

#include <map>

#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

const std::string kHead = R"(Matching Defaults entries for alice on host:
    env_reset, mail_badpass, secure_path=/usr/sbin\:/usr/bin, use_pty

User alice may run the following commands on host:
)";
const std::string kPlain = R"(
Sudoers entry:
    RunAsUsers: ALL
    RunAsGroups: ALL
    Options: !setenv, !authenticate
    Commands:
\t/usr/bin/sleep
\tOptions: is no option here
)";

std::string head(const std::string& defaults) {
  return "Matching Defaults entries for alice on host:\n    env_reset" + defaults +
         "\n\nUser alice may run the following commands on host:\n";
}

std::string entry(const std::string& lines) {
  return "\nSudoers entry: /etc/sudoers.d/alice\n    RunAsUsers: root\n" + lines + "    Commands:\n\t/usr/bin/less\n";
}

std::string tabbed(std::string text) {
  for (std::size_t at = text.find("\\t"); at != std::string::npos; at = text.find("\\t", at))
    text.replace(at, 2, "\t");
  return text;
}

// sudo, by what it answers to -l and to -ll.
class Sudo final : public Spawn {
 public:
  int status = 0, listed = 0;
  std::string listing = tabbed(kHead + kPlain);
  std::vector<std::vector<std::string>> asked;
  Result<SpawnOutcome> run(const SpawnRequest& request) override {
    asked.push_back(request.argv);
    if (request.argv[1] == "-ll") return SpawnOutcome{listed, listing, ""};
    return SpawnOutcome{status, "", ""};
  }
};

const SudoTool kTool{"/usr/bin/sudo", "", false, "1.9.13p3"};

}  // namespace

TEST_CASE("rules that say more than who, what and the password are not plain", "[effects][sudo]") {
  CHECK(plain_rules(tabbed(kHead + kPlain)));
  CHECK(plain_rules(tabbed(kHead + kPlain) + entry("")));
  CHECK(plain_rules(kHead + entry("    NotAfter: 20261122080000Z\n")));
  for (const char* more : {"    Options: noexec\n", "    Options: !authenticate, noexec\n",
                           "    Options: log_output\n", "    Options: !setenv, noexec\n", "    Cwd: /tmp\n",
                           "    Chroot: /srv\n", "    Timeout: 60\n", "    Role: sysadm_r\n", "    Anything: new\n"})
    CHECK_FALSE(plain_rules(tabbed(kHead + kPlain) + entry(more)));
}

TEST_CASE("rules from a directory are read like others, and no rules are none", "[effects][sudo]") {
  const std::string role = "\nLDAP Role: less\n    RunAsUsers: root\n";
  CHECK(plain_rules(tabbed(kHead + kPlain) + role + "    Commands:\n\t/usr/bin/less\n"));
  CHECK_FALSE(plain_rules(tabbed(kHead + kPlain) + role + "    Options: noexec\n    Commands:\n\t/usr/bin/less\n"));
  CHECK_FALSE(plain_rules(kHead));
  CHECK_FALSE(plain_rules(tabbed(kHead + kPlain) + "\nSome Role: less\n"));
}

TEST_CASE("sudo is asked for exactly what runs", "[effects][sudo]") {
  Sudo sudo;
  CHECK(still_allowed(sudo, kTool, "alice", "root", {"/usr/bin/sleep", "60"}).value());
  REQUIRE(sudo.asked.size() == 2);
  CHECK(sudo.asked[0] ==
        std::vector<std::string>{"/usr/bin/sudo", "-l", "-U", "alice", "-u", "root", "--", "/usr/bin/sleep", "60"});
  SECTION("what it refuses is not allowed") {
    sudo.status = 1;
    CHECK_FALSE(still_allowed(sudo, kTool, "alice", "root", {"/usr/bin/sleep", "60"}).value());
  }
  SECTION("a rule with more to it gives nothing") {
    sudo.listing += entry("    Options: noexec\n");
    CHECK_FALSE(still_allowed(sudo, kTool, "alice", "root", {"/usr/bin/sleep", "60"}).value());
  }
  SECTION("a name without a path is what secure_path makes of it, never the user's PATH") {
    CHECK(still_allowed(sudo, kTool, "alice", "root", {"sleep", "60"}).value());
    for (const std::string defaults : {"", ", !secure_path", ", secure_path=/usr/bin, !secure_path",
                                       ", secure_path=/usr/bin, exempt_group=staff"}) {
      sudo.listing = head(defaults) + tabbed(kPlain);
      CHECK(still_allowed(sudo, kTool, "alice", "root", {"/usr/bin/sleep", "60"}).value());
      CHECK_FALSE(still_allowed(sudo, kTool, "alice", "root", {"sleep", "60"}).value());
    }
    // An argument of some rule is no setting.
    sudo.listing = head("") + tabbed(kPlain) + "\t/usr/bin/echo secure_path=/usr/bin\n";
    CHECK(still_allowed(sudo, kTool, "alice", "root", {"/usr/bin/sleep", "60"}).value());
    CHECK_FALSE(still_allowed(sudo, kTool, "alice", "root", {"sleep", "60"}).value());
  }
  SECTION("a list that sudo does not give is none") {
    sudo.listed = 1;
    CHECK_FALSE(still_allowed(sudo, kTool, "alice", "root", {"/usr/bin/sleep", "60"}).value());
  }
  SECTION("nor is a path that depends on a folder") {
    CHECK_FALSE(still_allowed(sudo, kTool, "alice", "root", {"./sleep"}).value());
    CHECK_FALSE(still_allowed(sudo, kTool, "alice", "root", {"bin/sleep"}).value());
  }
  SECTION("odd names are not asked about") {
    sudo.asked.clear();
    CHECK_FALSE(still_allowed(sudo, kTool, "-U", "root", {"/usr/bin/sleep"}).value());
    CHECK_FALSE(still_allowed(sudo, kTool, "alice", "#0", {"/usr/bin/sleep"}).value());
    CHECK(sudo.asked.empty());
  }
}
