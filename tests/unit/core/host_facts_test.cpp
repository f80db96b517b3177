// SystemHostFacts on a scratch host: local files alone decide.
#include <set>

#include "jitd/core/system_host_facts.hpp"
#include "jitd/store/records.hpp"
#include "tests/unit/core/host_dir.hpp"

using namespace jit;
using test::HostDir;

namespace {

// Nothing is installed: every program is missing.
class NoSpawn final : public Spawn {
 public:
  Result<SpawnOutcome> run(const SpawnRequest& request) override {
    return fail(Errc::not_found, request.argv.at(0) + ": no such program");
  }
};

const std::string kOurs =
    "account required pam_jit.so mode=enforce services=sudo exempt=root,@rescue,@ops # jit-gate\n"
    "account required pam_unix.so\n"
    "session required pam_unix.so\n"
    "session required pam_jit.so mode=enforce services=sudo exempt=root,@rescue,@ops # jit-gate\n";

struct Scratch {
  HostDir dir;
  NoSpawn spawn;
  SystemHostFacts facts{dir.paths, spawn, dir.root};
  Scratch() {
    dir.write("/etc/passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n");
    dir.write("/etc/group",
              "root:x:0:\nalice:x:1000:\nweb:x:33:alice\nadmins:x:2000:bob\nsame:x:2000:\ndocker:x:998:\n"
              "builders:x:998:\nsuper:x:0:\n");
    dir.write("/etc/sudoers", "%admins ALL=(ALL) ALL\n%#3000 ALL=ALL\n", 0440);
    dir.write("/etc/pam.d/sudo", kOurs);
  }
};

}  // namespace

TEST_CASE("ids and memberships are those of the local files", "[core][host]") {
  const Scratch host;
  CHECK(host.facts.gid_of("web") == 33U);
  CHECK(host.facts.gid_of("none").error().code == Errc::not_found);
  CHECK(host.facts.uid_of("alice") == 1000U);
  CHECK(host.facts.uid_of("none").error().code == Errc::not_found);
  CHECK(host.facts.local_member("alice", "web"));
  CHECK_FALSE(host.facts.local_member("bob", "web"));
  // Read anew at each use: a renumbered group is seen.
  host.dir.write("/etc/group", "web:x:34:\n");
  CHECK(host.facts.gid_of("web") == 34U);
  CHECK_FALSE(host.facts.local_member("alice", "web"));
}

TEST_CASE("root-equivalent by name, by gid and by sudoers (CVE-2020-8903)", "[core][host]") {
  const Scratch host;
  CHECK(host.facts.root_equivalent("docker", 998) == true);
  CHECK(host.facts.root_equivalent("builders", 998) == true);  // a new name with docker's gid
  CHECK(host.facts.root_equivalent("super", 0) == true);
  CHECK(host.facts.root_equivalent("admins", 2000) == true);
  CHECK(host.facts.root_equivalent("same", 2000) == true);
  CHECK(host.facts.root_equivalent("any", 3000) == true);
  CHECK(host.facts.root_equivalent("web", 33) == false);
  SECTION("an unreadable sudoers is not one without rules") {
    std::filesystem::remove(host.dir.root + "/etc/sudoers");
    std::filesystem::create_directory(host.dir.root + "/etc/sudoers");
    CHECK_FALSE(host.facts.root_equivalent("web", 33).has_value());
  }
}

TEST_CASE("commands are looked at where they are", "[core][host]") {
  if (::geteuid() != 0) return;
  const Scratch host;
  REQUIRE(::chmod(host.dir.root.c_str(), 0755) == 0);
  host.dir.write("/usr/bin/tool", "", 0755);
  CHECK(host.facts.check_command({"/usr/bin/tool", {}, false}).has_value());
  CHECK(host.facts.check_command({"ALL", {}, false}).has_value());
  CHECK_FALSE(host.facts.check_command({"/usr/bin/none", {}, false}).has_value());
  std::filesystem::create_symlink("tool", host.dir.root + "/usr/bin/other");
  CHECK(host.facts.resolved({"/usr/bin/other", {}, false}) == "/usr/bin/tool");
}

TEST_CASE("the proof of sudo's stacks, and who is exempt on our lines", "[core][host]") {
  const Scratch host;
  const auto stack = host.facts.sudo_stack();
  CHECK(stack.problem == "");
  CHECK(stack.account);
  CHECK(stack.session);
  CHECK(stack.enforce);
  const auto groups = host.facts.exempt_groups();
  CHECK(std::set<std::string>(groups.begin(), groups.end()) == std::set<std::string>{"rescue", "ops"});

  SECTION("observing is not enforcing") {
    std::string observe = kOurs;
    for (std::size_t at = observe.find("enforce"); at != std::string::npos; at = observe.find("enforce"))
      observe.replace(at, 7, "observe");
    host.dir.write("/etc/pam.d/sudo", observe);
    CHECK(host.facts.sudo_stack().account);
    CHECK_FALSE(host.facts.sudo_stack().enforce);
    CHECK_FALSE(host.facts.sudo_stack().problem.empty());
  }
  SECTION("no line of ours") {
    host.dir.write("/etc/pam.d/sudo", "account required pam_unix.so\nsession required pam_unix.so\n");
    const auto bare = host.facts.sudo_stack();
    CHECK_FALSE(bare.account);
    CHECK_FALSE(bare.session);
    CHECK_FALSE(bare.enforce);
    CHECK_FALSE(bare.problem.empty());
  }
  SECTION("sudo gated, sudo-i not: a way around") {
    host.dir.write("/etc/pam.d/sudo-i", "account required pam_unix.so\nsession required pam_unix.so\n");
    CHECK_FALSE(host.facts.sudo_stack().account);
  }
  SECTION("no sudo at all") {
    std::filesystem::remove(host.dir.root + "/etc/pam.d/sudo");
    CHECK_FALSE(host.facts.sudo_stack().account);
    CHECK_FALSE(host.facts.sudo_stack().problem.empty());
  }
}

TEST_CASE("P7: memberships that we gave are known from held, by whatever name", "[core][host]") {
  using Names = std::set<std::string>;
  const Scratch host;
  CHECK(host.facts.gifts().of("alice", 1000).empty());  // no file: nothing was ever given
  auto file = HeldFile::open(system_files(), host.dir.paths.var, "held");
  REQUIRE(file.has_value());
  REQUIRE(file->add({"g1", "web", 33, "alice", 1000, true}).has_value());
  REQUIRE(file->add({"g2", "admins", 2000, "alice", 1000, false}).has_value());  // taken away again
  REQUIRE(file->add({"g3", "docker", 998, "bob", 1001, true}).has_value());
  CHECK(host.facts.gifts().of("alice", 1000) == Names{"web"});
  SECTION("a user who was renamed has what the uid was given") {
    CHECK(host.facts.gifts().of("alicia", 1000) == Names{"web"});
  }
  SECTION("an alias of the gid, which name services may list instead, is given too") {
    host.dir.write("/etc/group", "httpd:x:33:\nweb:x:33:alice\n");
    CHECK(host.facts.gifts().of("alice", 1000) == Names{"httpd", "web"});
  }
  SECTION("but for an alias that lists the user by itself") {
    host.dir.write("/etc/group", "httpd:x:33:alice\nweb:x:33:alice\n");
    CHECK(host.facts.gifts().of("alice", 1000) == Names{"web"});
  }
  SECTION("a group that was renamed has our member on its line") {
    host.dir.write("/etc/group", "httpd:x:33:alice\n");
    CHECK(host.facts.gifts().of("alice", 1000) == Names{"httpd", "web"});
  }
  SECTION("when it cannot be read, every membership may be ours") {
    std::filesystem::remove(host.dir.root + "/var/held");
    REQUIRE(::mkfifo((host.dir.root + "/var/held").c_str(), 0600) == 0);
    CHECK(host.facts.gifts().of("bob", 1001) == Names{"admins"});
  }
}
