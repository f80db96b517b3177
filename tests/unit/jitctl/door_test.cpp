// doctor on lines that ask at the door: a conversation, proof of who comes before it, and time.
#include <sys/stat.h>

#include "jitctl/checkup.hpp"
#include "jitd/gates/lines.hpp"
#include "tests/unit/jitctl/fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

struct Door : Fixture {
  Door() {
    context.uid = 0;
    std::filesystem::create_directories(root + "/usr/sbin");
    put("usr/sbin/sshd", "");
    REQUIRE(::chmod((root + "/usr/sbin/sshd").c_str(), 0755) == 0);
    service("sshd", "auth required pam_unix.so\n");
    put("etc/pam.d/other", "account required pam_unix.so\nsession required pam_unix.so\n");
  }
  void service(const std::string& name, const std::string& auth) {
    put("etc/pam.d/" + name, auth + "account required pam_unix.so\nsession required pam_unix.so\n");
    REQUIRE(set_gate(root + "/etc/pam.d", name, GateMode::enforce, {"request"}).has_value());
  }
  // Every finding's level and text, with what sshd -T says.
  std::string found(const std::string& sshd) {
    spawn.sshd = sshd;
    Findings findings;
    check_door(context, findings);
    std::string all;
    for (const Finding& one : findings.all())
      all += (one.level == Finding::Level::problem ? "problem " : "note ") + one.what + "\n";
    return all;
  }
  static bool says(const std::string& all, const char* what) { return all.find(what) != std::string::npos; }
};

const std::string kGood =
    "kbdinteractiveauthentication yes\nauthenticationmethods any\nlogingracetime 180\nmaxstartups 10:30:100\n";

}  // namespace

TEST_CASE("doctor: a line keeps the word request when it is written anew", "[jitctl][door]") {
  Door f;
  REQUIRE(set_gate(f.root + "/etc/pam.d", "sshd", GateMode::enforce, {"exempt=root"}).has_value());
  CHECK(Fixture::get(f.root + "/etc/pam.d/sshd").find(" request") != std::string::npos);
  CHECK(f.found(kGood).empty());
}

TEST_CASE("doctor: a line that asks nobody is no door", "[jitctl][door]") {
  Door f;
  f.put("etc/pam.d/sshd",
        "auth required pam_permit.so\naccount required pam_unix.so\nsession required pam_unix.so\n");
  REQUIRE(set_gate(f.root + "/etc/pam.d", "sshd", GateMode::enforce, {"exempt=root"}).has_value());
  CHECK(f.found("kbdinteractiveauthentication no\nlogingracetime 20\n").empty());
}

TEST_CASE("doctor: sshd needs a conversation, proof before it, and time", "[jitctl][door]") {
  Door f;
  const auto with = [](std::string key, const std::string& value) {
    std::string text = kGood;
    const auto at = text.find(key + " ") + key.size() + 1;
    return text.replace(at, text.find('\n', at) - at, value);
  };
  CHECK(Door::says(f.found(with("kbdinteractiveauthentication", "no")), "problem sshd: the line asks"));
  CHECK(Door::says(f.found(with("logingracetime", "120")), "note sshd: LoginGraceTime 120"));
  CHECK(f.found(with("logingracetime", "0")).empty());  // never
  CHECK(Door::says(f.found(with("maxstartups", "3:30:10")), "note sshd: with MaxStartups 3:30:10"));
  CHECK(Door::says(f.found(kGood + "persourcepenalties crash:90 authfail:5\n"), "note sshd: PerSourcePenalties"));
  CHECK(f.found(kGood + "persourcepenalties no\n").empty());
  CHECK(f.found(kGood + "persourcepenalties crash:90 authfail:0\n").empty());

  // Nothing in the stack proves anything: then every list of methods has to.
  for (const char* auth :
       {"auth required pam_permit.so\n", "auth sufficient pam_permit.so\nauth required pam_unix.so\n",
        "auth required pam_env.so\n"}) {
    INFO(auth);
    f.service("sshd", auth);
    CHECK(Door::says(f.found(kGood), "problem sshd: its auth stack asks for no proof"));
    CHECK(f.found(with("authenticationmethods", "publickey,keyboard-interactive:pam")).empty());
    CHECK(
        Door::says(f.found(with("authenticationmethods", "publickey,keyboard-interactive keyboard-interactive:pam")),
                   "no proof"));
  }
  f.service("sshd",
            "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n");
  CHECK(f.found(kGood).empty());
}

TEST_CASE("doctor: login needs proof and time, and sudo is no door", "[jitctl][door]") {
  Door f;
  f.service("login", "auth required pam_unix.so\n");
  CHECK(Door::says(f.found(kGood), "note login: LOGIN_TIMEOUT 60"));
  f.put("etc/login.defs", "# LOGIN_TIMEOUT 10\nLOGIN_TIMEOUT\t\t300\n");
  CHECK(f.found(kGood).empty());
  f.service("login", "auth required pam_permit.so\n");
  CHECK(Door::says(f.found(kGood), "problem login: its auth stack asks for no proof"));
  f.service("sudo", "auth required pam_unix.so\n");
  CHECK(Door::says(f.found(kGood), "note sudo: asks nobody"));
}
