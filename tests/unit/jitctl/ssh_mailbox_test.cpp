// jitctl source ssh: the mailbox over ssh is switched on only where it is closed to everything else, and off whatever
// happens.
#include "jitctl/ssh_mailbox.hpp"

#include <sys/stat.h>

#include "jitctl/gate.hpp"
#include "policy/text.hpp"
#include "tests/unit/jitctl/fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

// An sshd that reads the drop-in where it is, and what the test says of the rest; and a systemctl.
class FakeSshd final : public Spawn {
 public:
  explicit FakeSshd(std::string drop_in) : drop_in_(std::move(drop_in)) {}
  Result<SpawnOutcome> run(const SpawnRequest& request) override {
    SpawnOutcome outcome;
    outcome.exit_status = 0;
    const auto& argv = request.argv;
    calls.push_back(argv.back());
    if (argv[0].ends_with("/systemctl")) {
      calls.back() = argv[2] + " " + argv[3];
      if (argv[2] == "is-active") outcome.exit_status = argv[3] == "ssh.service" ? 0 : 3;
      if (argv[2] == "reload") outcome.exit_status = reload;
      return outcome;
    }
    REQUIRE(argv[0].ends_with("/sbin/sshd"));
    if (argv[1] == "-t") {
      outcome.exit_status = takes && (takes_drop_in || !there()) ? 0 : 255;
      outcome.err = outcome.exit_status == 0 ? "" : "bad configuration option";
      return outcome;
    }
    const bool jit = argv[3].starts_with("user=jit,");
    std::map<std::string, std::string> settings = {
        {"permittty", "yes"}, {"usepam", "yes"}, {"gssapiauthentication", "no"}, {"unusedconnectiontimeout", "none"}};
    if (there() && jit)
      for (const auto& [keyword, value] : drop_in_settings(Fixture::get(drop_in_))) settings[keyword] = value;
    if (there() && !jit && leaks) settings["permittty"] = "no";
    for (const auto& [keyword, value] : instead) settings[keyword] = value;
    for (const auto& gone : unknown) settings.erase(gone);
    for (const auto& [keyword, value] : settings) outcome.out += keyword + " " + value + "\n";
    outcome.out += lists;
    return outcome;
  }
  [[nodiscard]] bool there() const { return std::filesystem::exists(drop_in_); }

  std::vector<std::string> calls;
  std::map<std::string, std::string> instead;
  std::vector<std::string> unknown;
  std::string lists;
  bool takes = true, takes_drop_in = true, leaks = false;
  int reload = 0;

 private:
  std::string drop_in_;
};

constexpr const char* kGated =
    "account    required     pam_jit.so services=sshd mode=enforce exempt=root,@rescue timeout=500 # jit-gate\n"
    "@include common-account\n"
    "session    required     pam_unix.so\n"
    "session    required     pam_jit.so services=sshd mode=enforce exempt=root,@rescue timeout=500 # jit-gate\n";

class Host : public Fixture {
 public:
  Host() : sshd(root + "/etc/ssh/sshd_config.d/50-jit.conf"), host{daemon, sshd, in, out, err} {
    host.env = context.env;
    host.now = context.now;
    host.places = context.places;
    host.places.systemd = root + "/systemd";
    for (const char* folder : {"/etc/ssh/sshd_config.d", "/usr/libexec/jit", "/usr/share/jit/ssh", "/systemd"})
      std::filesystem::create_directories(root + folder);
    put("usr/share/jit/ssh/50-jit.conf", Fixture::get(std::string(JIT_SOURCE_DIR) + "/packaging/ssh/50-jit.conf"));
    for (const char* name : {"mailbox", "authorized-keys"})
      REQUIRE(::chmod(put(std::string("usr/libexec/jit/") + name, "program").c_str(), 0755) == 0);
    accounts("jit:x:990:990::/:" + root + "/usr/libexec/jit/mailbox\n", "jit:x:990:\n_jit-sync:x:991:jit\n");
    put("etc/pam.d/common-account", "account required pam_unix.so\n");
    put("etc/pam.d/sshd", kGated);
  }
  void accounts(const std::string& user, const std::string& groups) {
    put("etc/passwd", "root:x:0:0::/root:/bin/bash\n" + user);
    put("etc/group", "root:x:0:\nops:x:1200:alice\n" + groups);
  }
  Exit jitctl(const std::vector<std::string>& arguments) {
    out.str("");
    err.str("");
    return run(host, arguments);
  }
  [[nodiscard]] std::string pam() const { return Fixture::get(root + "/etc/pam.d/sshd"); }
  [[nodiscard]] bool said(const std::string& text) const {
    return out.str().find(text) != std::string::npos || err.str().find(text) != std::string::npos;
  }

  FakeSshd sshd;
  Context host;
};

}  // namespace

TEST_CASE("source ssh on writes the drop-in, exempts the account and reloads sshd", "[jitctl][ssh]") {
  Host h;
  CHECK(h.jitctl({"source", "ssh", "status"}) == Exit::done);
  CHECK(h.said("not open"));
  REQUIRE(h.jitctl({"source", "ssh", "on"}) == Exit::done);
  CHECK(h.sshd.there());
  CHECK(h.sshd.calls.back() == "reload ssh.service");
  CHECK(h.pam().find("mode=enforce exempt=root,@rescue,jit timeout=500 # jit-gate\n") != std::string::npos);
  CHECK(h.pam().find("exempt=root,@rescue timeout") == std::string::npos);  // in neither line
  CHECK(h.jitctl({"source", "ssh", "status"}) == Exit::done);
  CHECK(h.said("is open to ssh"));
  CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::done);
  CHECK(h.jitctl({"source", "ssh", "off"}) == Exit::done);
  CHECK_FALSE(h.sshd.there());
  CHECK(h.pam() == kGated);
  CHECK(h.sshd.calls.back() == "reload ssh.service");
  CHECK(h.jitctl({"source", "ssh", "off"}) == Exit::done);
  h.host.uid = 1000;
  CHECK(h.jitctl({"source", "ssh", "on"}) != Exit::done);
  CHECK(h.jitctl({"source", "ssh", "off"}) != Exit::done);
  CHECK_FALSE(h.sshd.there());
}

TEST_CASE("every setting of the packaged drop-in is for jit alone", "[jitctl][ssh]") {
  const auto text = Fixture::get(std::string(JIT_SOURCE_DIR) + "/packaging/ssh/50-jit.conf");
  bool inside = false;
  for (const auto line : split(text, '\n')) {
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("Match")) {
      inside = line == "Match User jit";
      CHECK((inside || line == "Match all"));
      continue;
    }
    INFO(line);
    CHECK(inside);
  }
  CHECK(text.ends_with("\nMatch all\n"));
  const auto settings = drop_in_settings(text);
  const auto value = [&](const std::string& keyword) {
    for (const auto& [one, what] : settings)
      if (one == keyword) return what;
    return std::string("absent");
  };
  CHECK(value("authenticationmethods") == "publickey");
  CHECK(value("authorizedkeysfile") == "none");
  CHECK(value("trustedusercakeys") == "none");
  CHECK(value("forcecommand") == "/usr/libexec/jit/mailbox");
  CHECK(value("exposeauthinfo") == "yes");
  CHECK(value("disableforwarding") == "yes");
  for (const char* off : {"permittty", "permituserrc", "allowagentforwarding", "allowstreamlocalforwarding",
                          "allowtcpforwarding", "x11forwarding", "permittunnel", "passwordauthentication",
                          "kbdinteractiveauthentication", "hostbasedauthentication", "gatewayports"})
    CHECK(value(off) == "no");
}

TEST_CASE("what sshd has otherwise for the mailbox is named, setting by setting", "[jitctl][ssh]") {
  Host h;
  for (const auto& [keyword, value] :
       std::map<std::string, std::string>{{"permittty", "yes"},
                                          {"forcecommand", "none"},
                                          {"allowagentforwarding", "yes"},
                                          {"x11forwarding", "yes"},
                                          {"authorizedkeysfile", ".ssh/authorized_keys"},
                                          {"acceptenv", "*"},
                                          {"exposeauthinfo", "no"}}) {
    INFO(keyword);
    h.sshd.instead = {{keyword, value}};
    CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::refused);
    CHECK(h.said("sshd has " + keyword + " \"" + value + "\""));
    CHECK_FALSE(h.sshd.there());
    CHECK(h.pam() == kGated);
  }
  h.sshd.instead = {};
  h.sshd.lists = "forcecommand /bin/bash\n";  // twice is not once
  CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::refused);
  h.sshd.lists = "";
  // A newer sshd's settings are left out for an older one; others it must know.
  h.sshd.unknown = {"unusedconnectiontimeout"};
  CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::done);
  CHECK(Fixture::get(h.root + "/etc/ssh/sshd_config.d/50-jit.conf").find("UnusedConnectionTimeout") ==
        std::string::npos);
  h.sshd.unknown = {"exposeauthinfo"};
  CHECK(h.jitctl({"source", "ssh", "status"}) == Exit::failed);
}

TEST_CASE("lists of who may log in are told of before anything is changed", "[jitctl][ssh]") {
  Host h;
  const std::map<std::string, bool> lists = {{"allowusers alice\nallowusers bob\n", false},
                                             {"allowusers alice\nallowusers jit\n", true},
                                             {"allowusers *\n", true},
                                             {"allowusers j?t\n", true},
                                             {"allowusers jit@10.0.0.*\n", true},
                                             {"allowusers *\nallowusers !jit\n", false},
                                             {"denyusers mallory\n", true},
                                             {"denyusers *\n", false},
                                             {"allowgroups ops\n", false},
                                             {"allowgroups ops\nallowgroups _jit-sync\n", true},
                                             {"denygroups ops\n", true},
                                             {"denygroups jit\n", false}};
  for (const auto& [lines, lets_in] : lists) {
    INFO(lines);
    h.sshd.lists = lines;
    CHECK(h.jitctl({"source", "ssh", "on"}) == (lets_in ? Exit::done : Exit::refused));
    CHECK(h.sshd.there() == lets_in);
    if (!lets_in) CHECK(h.pam() == kGated);
    CHECK(h.jitctl({"source", "ssh", "off"}) == Exit::done);
  }
  h.sshd.lists = "";
  h.sshd.instead = {{"usepam", "no"}};
  CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::refused);
  CHECK(h.said("UsePAM"));
}

TEST_CASE("an account that could do more than the mailbox is named", "[jitctl][ssh]") {
  Host h;
  const std::string shell = h.root + "/usr/libexec/jit/mailbox", groups = "jit:x:990:\n_jit-sync:x:991:jit\n";
  const auto refused = [&](const std::string& why) {
    INFO(why);
    CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::refused);
    CHECK(h.said(why));
    CHECK_FALSE(h.sshd.there());
  };
  h.accounts("", groups);
  refused("there is no account jit");
  h.accounts("jit:x:1000:1000:John I. Tester:/home/jit:/bin/bash\n", groups);
  refused("the login shell of jit is /bin/bash");
  h.accounts("jit:x:0:0::/:" + shell + "\n", groups);
  refused("root by its uid");
  h.accounts("jit:x:990:990::/:" + shell + "\n", "jit:x:990:\n_jit-sync:x:991:\n");
  refused("no member of _jit-sync");
  h.accounts("jit:x:990:990::/:" + shell + "\n", groups + "sudo:x:27:jit\n");
  refused("is a member of sudo");
  h.accounts("jit:x:990:990::/:" + shell + "\n", groups);
  REQUIRE(::chmod((h.root + "/usr/libexec/jit/authorized-keys").c_str(), 0775) == 0);
  refused("could be written by others than root");
  std::filesystem::remove(h.root + "/usr/libexec/jit/mailbox");
  refused("is not there: install the package jitd-sync");
}

TEST_CASE("what does not work out is taken back", "[jitctl][ssh]") {
  Host h;
  h.sshd.takes = false;
  CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::refused);
  CHECK(h.said("mend that first"));
  CHECK(h.sshd.calls.size() == 1);
  h.sshd.takes = true;
  h.sshd.takes_drop_in = false;
  CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::refused);
  CHECK_FALSE(h.sshd.there());
  CHECK(h.sshd.calls.back() == "reload ssh.service");
  h.sshd.takes_drop_in = true;
  h.sshd.leaks = true;
  CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::refused);
  CHECK(h.said("others than jit"));
  CHECK_FALSE(h.sshd.there());
  h.sshd.leaks = false;
  h.sshd.reload = 1;
  CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::failed);
  CHECK_FALSE(h.sshd.there());
  CHECK(h.pam() == kGated);
  h.sshd.reload = 0;
  // One that is on stays on.
  REQUIRE(h.jitctl({"source", "ssh", "on"}) == Exit::done);
  const auto on = h.pam();
  h.sshd.takes_drop_in = false;
  CHECK(h.jitctl({"source", "ssh", "on"}) == Exit::refused);
  CHECK(h.sshd.there());
  CHECK(h.pam() == on);
  std::filesystem::remove_all(h.root + "/etc/ssh/sshd_config.d");
  h.sshd.takes_drop_in = true;
  CHECK(h.jitctl({"source", "ssh", "on"}) != Exit::done);
  CHECK(h.said("Include"));
}

TEST_CASE("a gate on sshd lets the mailbox's account pass while the mailbox is on", "[jitctl][ssh]") {
  Host h;
  CHECK(exempt_with_mailbox(h.host, "sshd", "root") == "root");
  REQUIRE(h.jitctl({"source", "ssh", "on"}) == Exit::done);
  CHECK(exempt_with_mailbox(h.host, "sshd", "root") == "root,jit");
  CHECK(exempt_with_mailbox(h.host, "sshd", "root,jit,@rescue") == "root,@rescue,jit");
  CHECK(exempt_with_mailbox(h.host, "sudo", "root") == "root");
  h.put("etc/pam.d/sshd", kGated);
  CHECK(*mailbox_is_gated(h.host));
  CHECK(h.jitctl({"source", "ssh", "status"}) == Exit::failed);
  CHECK(h.said("asks jit for a grant"));
  CHECK(h.jitctl({"gate", "observe", "sshd"}) == Exit::done);
  CHECK(h.pam().find("exempt=root,@rescue,jit") != std::string::npos);
  CHECK_FALSE(*mailbox_is_gated(h.host));
  CHECK(h.jitctl({"gate", "observe", "sshd", "--exempt", "root"}) == Exit::done);
  CHECK(h.pam().find("exempt=root,jit ") != std::string::npos);
  // A fresh gate.
  h.put("etc/pam.d/sshd", "@include common-account\nsession required pam_unix.so\n");
  CHECK_FALSE(*mailbox_is_gated(h.host));
  CHECK(h.jitctl({"gate", "observe", "sshd"}) == Exit::done);
  CHECK(h.pam().find("exempt=root,jit ") != std::string::npos);
}

TEST_CASE("a role that gives a group of the mailbox's account is named", "[jitctl][ssh]") {
  Host h;
  REQUIRE(h.jitctl({"source", "ssh", "on"}) == Exit::done);
  h.put("etc/jit/policy.d/10.toml",
        "[defaults]\nmax_duration = \"1h\"\n[roles.leak]\neligible = [\"alice\"]\ngroups = [\"_jit-sync\"]\n"
        "[[roles.leak.rules]]\nthen = \"approve\"\n");
  CHECK(h.jitctl({"source", "ssh", "status"}) == Exit::failed);
  CHECK(h.said("role leak gives the group _jit-sync"));
}
