// make_effects: what a host would give, and everything that it refuses because of what it is.
#include <map>

#include "jitd/core/host_facts.hpp"
#include "policy/rules/load.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

class FakeFacts final : public HostFacts {
 public:
  std::map<std::string, std::uint32_t> gids = {{"postgres", 114}, {"web", 33}, {"rescue", 900}};
  std::map<std::string, std::uint32_t> uids = {{"root", 0}, {"toor", 0}, {"postgres", 108}};
  std::string bad_path, real_path;
  std::vector<std::string> root_groups, exempt;
  SudoStack stack{true, true, true, ""};
  SudoDialect sudo = SudoDialect::classic;

  Result<std::uint32_t> gid_of(const std::string& group) const override { return find(gids, group, "group"); }
  Result<std::uint32_t> uid_of(const std::string& user) const override { return find(uids, user, "user"); }
  bool local_member(const std::string&, const std::string&) const override { return false; }
  Result<bool> root_equivalent(const std::string& group, std::uint32_t gid) const override {
    if (group == "unknowable") return fail(Errc::system, "sudoers cannot be read");
    return gid == 0 || std::find(root_groups.begin(), root_groups.end(), group) != root_groups.end();
  }
  Result<void> check_command(const Command& command) const override {
    if (command.path == bad_path) return fail(Errc::refused, bad_path + " may be written by others than root");
    return {};
  }
  Result<std::string> resolved(const Command& command) const override {
    return real_path.empty() ? command.path : real_path;
  }
  std::vector<std::string> exempt_groups() const override { return exempt; }
  SudoStack sudo_stack() const override { return stack; }
  SudoDialect dialect() const override { return sudo; }
  Gifts gifts() const override { return {}; }

 private:
  static Result<std::uint32_t> find(const std::map<std::string, std::uint32_t>& ids, const std::string& name,
                                    const std::string& what) {
    const auto it = ids.find(name);
    if (it == ids.end()) return fail(Errc::not_found, "there is no " + what + " \"" + name + "\"");
    return it->second;
  }
};

// A role "r" with what `text` says; gates login (enforced), sudo (enforced) and watch (on sudo, observing).
Policy policy_of(const std::string& text) {
  auto policy = load_policy({{"p.toml", "[roles.r]\neligible = [\"alice\"]\nmax_duration = \"1h\"\n" + text + R"(
[[gates]]
name = "login"
services = ["sshd"]
users = ["*"]
except = ["root", "@rescue"]
mode = "enforce"
[[gates]]
name = "sudo"
services = ["sudo", "sudo-i"]
users = ["*"]
except = ["root"]
mode = "enforce"
[[gates]]
name = "watch"
services = ["sudo"]
users = ["*"]
)"}});
  if (!policy) INFO(policy.error().message);
  REQUIRE(policy.has_value());
  return *policy;
}

Result<Effects> effects_of(const std::string& text, const FakeFacts& facts) {
  const Policy policy = policy_of(text);
  return make_effects(policy, *policy.role("r"), facts);
}

std::string refused(const std::string& text, const FakeFacts& facts) {
  const auto effects = effects_of(text, facts);
  INFO(text);
  REQUIRE_FALSE(effects.has_value());
  CHECK(effects.error().code == Errc::refused);
  const std::string start = "role \"r\" cannot be given on this host: ";
  REQUIRE(effects.error().message.starts_with(start));
  return effects.error().message.substr(start.size());
}

std::string sudo(const std::string& as, const std::string& command, const std::string& more = "") {
  return "[[roles.r.sudo]]\nas = \"" + as + "\"\ncommands = [\"" + command + "\"]\n" + more;
}

}  // namespace

TEST_CASE("effects are the role's, with this host's ids, in canonical order", "[core][host]") {
  const auto effects =
      effects_of("groups = [\"web\", \"postgres\"]\nopens = [\"sudo\", \"login\"]\n" +
                     sudo("root", "/usr/bin/systemctl restart nginx", "record = true\npassword = false\n") +
                     sudo("postgres", "/usr/bin/psql ..."),
                 FakeFacts());
  if (!effects) INFO(effects.error().message);
  REQUIRE(effects.has_value());
  CHECK(to_text(*effects) ==
        "group postgres gid 114\n"
        "group web gid 33\n"
        "opens login\n"
        "opens sudo\n"
        "sudo as postgres uid 108: /usr/bin/psql ...\n"
        "sudo as root uid 0: /usr/bin/systemctl restart nginx [nopasswd record]\n");
  CHECK(*parse_effects(to_text(*effects)) == *effects);
}

TEST_CASE("groups that a host cannot or must not give", "[core][host]") {
  FakeFacts facts;
  CHECK(refused("groups = [\"none\"]\n", facts) == "there is no group \"none\"");
  facts.gids["odd"] = 65534;
  CHECK(refused("groups = [\"odd\"]\n", facts) == "group \"odd\" has gid 65534, which is nobody's to give");
  facts.gids["odd"] = 61200;  // of systemd's dynamic range
  CHECK(refused("groups = [\"odd\"]\n", facts) == "group \"odd\" has gid 61200, which is nobody's to give");
  facts.gids["unknowable"] = 5;
  CHECK(refused("groups = [\"unknowable\"]\n", facts) == "sudoers cannot be read");

  SECTION("a new name with the gid of root, or a group that sudoers names, needs dangerous") {
    facts.gids["ops"] = 0;
    facts.root_groups = {"web"};
    const std::string why =
        "\" is as good as root here (by its gid, or a sudoers rule names it); say dangerous = true in the role if "
        "that is "
        "meant";
    CHECK(refused("groups = [\"ops\"]\n", facts) == "group \"ops" + why);
    CHECK(refused("groups = [\"web\"]\n", facts) == "group \"web" + why);
    CHECK(effects_of("dangerous = true\ngroups = [\"web\"]\n", facts).has_value());
  }
  SECTION("a group that opens a gate by the back door, under another name or on the PAM line") {
    facts.gids["alias"] = 900;
    CHECK(refused("groups = [\"alias\"]\n", facts) == "group \"alias\" is in `except` of gate \"login\"");
    facts.exempt = {"web"};
    CHECK(refused("dangerous = true\ngroups = [\"web\"]\n", facts) == "group \"web\" is in exempt= of a PAM line");
  }
}

TEST_CASE("sudo lines that a host cannot or must not give", "[core][host]") {
  FakeFacts facts;
  const std::string opens = "opens = [\"sudo\"]\n";
  CHECK(refused(opens + sudo("nobody-here", "/bin/true"), facts) == "there is no user \"nobody-here\"");
  facts.bad_path = "/opt/tool";
  CHECK(refused(opens + sudo("postgres", "/opt/tool"), facts) == "/opt/tool may be written by others than root");

  SECTION("uid 0 by another name is root") {
    CHECK(refused(opens + sudo("toor", "/bin/bash"), facts) ==
          "\"/bin/bash\" as toor (uid 0, /bin/bash) is as good as any command as root; say dangerous = true in the "
          "role "
          "if that is meant");
    CHECK(effects_of(opens + sudo("postgres", "/bin/bash"), facts).has_value());
    CHECK(effects_of("dangerous = true\n" + opens + sudo("toor", "/bin/bash"), facts).has_value());
  }
  SECTION("an editor behind another name is an editor") {
    facts.real_path = "/usr/bin/vim.basic";
    CHECK(refused(opens + sudo("root", "/usr/bin/tool x"), facts) ==
          "\"/usr/bin/tool x\" as root (uid 0, /usr/bin/vim.basic) is as good as any command as root; say dangerous "
          "= true "
          "in the role if that is meant");
  }
  SECTION("without an enforced gate on sudo that the role opens") {
    const std::string why =
        "it has sudo lines, but opens no gate on sudo that enforces, so they would be useless; add such a gate to "
        "[[gates]] "
        "and to the role's opens";
    CHECK(refused(sudo("postgres", "/bin/true"), facts) == why);
    CHECK(refused("opens = [\"login\", \"watch\"]\n" + sudo("postgres", "/bin/true"), facts) == why);
  }
  SECTION("where our lines are not proven in sudo's stacks") {
    for (int missing = 0; missing < 3; ++missing) {
      facts.stack = {missing != 0, missing != 1, missing != 2, "/etc/pam.d/sudo:3: bypassed"};
      CHECK(refused(opens + sudo("postgres", "/bin/true"), facts) ==
            "sudo is not gated here (/etc/pam.d/sudo:3: bypassed); run: jitctl gate enforce sudo");
    }
    CHECK(effects_of("groups = [\"web\"]\n", facts).has_value());  // no sudo lines, no matter
  }
  SECTION("recorded, where only sudo-rs is") {
    facts.sudo = SudoDialect::sudo_rs;
    CHECK(refused(opens + sudo("postgres", "/bin/true", "record = true\n"), facts) ==
          "it has recorded sudo lines, and the only sudo here is sudo-rs, which cannot record; install sudo, or say "
          "record = \"best-effort\" in the role if that is meant");
    const auto anyway = effects_of(opens + sudo("postgres", "/bin/true", "record = \"best-effort\"\n"), facts);
    REQUIRE(anyway.has_value());
    CHECK(to_text(*anyway).find("/bin/true [record-best-effort]\n") != std::string::npos);
    CHECK(effects_of(opens + sudo("postgres", "/bin/true"), facts).has_value());
    facts.sudo = SudoDialect::both;
    CHECK(effects_of(opens + sudo("postgres", "/bin/true", "record = true\n"), facts).has_value());
  }
}
