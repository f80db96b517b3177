// `request` on the line: what is asked, of whom, and that nothing but the check lets anybody in.
#include "pam_jit/door.hpp"

#include <security/_pam_types.h>

#include "pam_jit/logic.hpp"
#include "tests/unit/pam_jit/fake_host.hpp"

using namespace jit::pam;
using namespace jit::pam::test;
using jit::wire::DoorSaid;
using jit::wire::Status;
using jit::wire::Verdict;

namespace {

const std::vector<const char*> kRequest = {"services=sshd,login,su,su-l,sudo", "mode=enforce", "request"};

DoorSaid said(bool last, Status status, const char* message, const char* role = "") {
  DoorSaid one;
  one.last = last;
  one.status = status;
  jit::wire::copy_text(one.message, message);
  jit::wire::copy_text(one.role, role);
  return one;
}
DoorSaid offer(const char* role = "db-login") {
  return said(true, Status::done, "You may ask for: db-login.", role);
}
DoorSaid waiting() {
  return said(false, Status::pending, "0123456789abcdef is filed, waiting for leads");
}

FakeHost door(const char* service = "login") {
  FakeHost host;
  host.items = {{Item::service, service}, {Item::user, "alice"}, {Item::ruser, "alice"}, {Item::tty, "/dev/tty1"}};
  host.expects_accounts = std::string(service).starts_with("su");
  host.jitd = {answers(verdict(Verdict::deny, "login", "Ask: jitctl\x1b[2J"))};
  return host;
}

int run(FakeHost& host, const std::vector<const char*>& arguments = kRequest, bool silent = false) {
  const int code = account(host, parse_options(arguments), silent);
  host.done();
  return code;
}

}  // namespace

TEST_CASE("whoever is refused may ask, is told whom it waits for, and is let in by the check that follows",
          "[pam_jit][door]") {
  FakeHost host = door();
  host.talks = {{offer()},
                {waiting(), said(false, Status::pending, "waiting for security"), said(true, Status::done, "")}};
  host.typed = {" vacuum stuck "};
  host.jitd.push_back(answers(verdict(Verdict::allow, "login")));
  CHECK(run(host) == PAM_SUCCESS);
  REQUIRE(host.door_asked.size() == 2);
  CHECK(host.door(0).role.empty());
  CHECK(host.door(0).gate == "login");
  CHECK(host.door(1).role == "db-login");
  CHECK(host.door(1).reason == "vacuum stuck");
  CHECK(host.door(1).subject == "alice");
  CHECK(host.prompted.at(0).find("You may ask for: db-login.") != std::string::npos);
  CHECK(host.prompted.at(0).find('\x1b') == std::string::npos);  // P10
  CHECK(host.informed == std::vector<std::string>{"pam_jit: 0123456789abcdef is filed, waiting for leads.",
                                                  "pam_jit: waiting for security."});
  CHECK(host.told.empty());
}

TEST_CASE("P5: an approval that the check does not see lets nobody in", "[pam_jit][door]") {
  FakeHost host = door();
  host.talks = {{offer()}, {waiting(), said(true, Status::done, "")}};
  host.typed = {"why"};
  host.jitd.push_back(answers(verdict(Verdict::deny, "login", "no")));
  CHECK(run(host) == PAM_PERM_DENIED);
  CHECK(host.told == std::vector<std::string>{"no"});
}

TEST_CASE("one of several roles is named first; where messages are held back, waiting is a prompt",
          "[pam_jit][door]") {
  FakeHost host = door("sshd");
  host.talks = {{offer("")}, {waiting(), said(true, Status::done, "")}};
  host.typed = {"operator", "vacuum stuck", ""};
  host.jitd.push_back(answers(verdict(Verdict::allow, "login")));
  CHECK(run(host) == PAM_SUCCESS);
  CHECK(host.door(1).role == "operator");
  CHECK(host.prompted.back().find("waiting for leads. Enter waits here") != std::string::npos);
  CHECK(host.informed.empty());
}

TEST_CASE("whatever goes wrong at the door is a refusal that says why, and ends the talk", "[pam_jit][door]") {
  struct Row {
    std::deque<std::deque<DoorSaid>> talks;
    std::deque<std::optional<std::string>> typed;
    const char* told;
  };
  const std::string control = "a\x1b[2J", tab = "a\tb", long_reason(300, 'x');
  const std::vector<Row> rows = {
      {{}, {}, "jitd does not answer"},
      {{{}}, {}, "jitd does not answer"},
      {{{said(true, Status::refused, "no role that you may ask for opens this")}}, {}, "no role that you may ask"},
      {{{waiting()}}, {}, "jitd does not answer"},             // no offer
      {{{offer()}}, {std::nullopt}, "nothing was asked for"},  // nobody there, Ctrl-C
      {{{offer()}}, {""}, "nothing was asked for"},
      {{{offer()}}, {"   "}, "nothing was asked for"},
      {{{offer()}}, {control}, "nothing was asked for"},
      {{{offer()}}, {tab}, "nothing was asked for"},
      {{{offer()}}, {long_reason}, "nothing was asked for"},
      {{{offer("")}}, {"operator", ""}, "a request needs a reason"},
      {{{offer("")}}, {std::string(65, 'r')}, "nothing was asked for"},
      {{{offer()}, {}}, {"why"}, "jitd does not answer"},
      {{{offer()}, {waiting()}}, {"why"}, "jitd does not answer any more"},
      {{{offer()}, {waiting(), said(true, Status::pending, "filed: come back")}}, {"why"}, "filed: come back"},
      {{{offer()}, {said(true, Status::refused, "locked by carol\x1b")}}, {"why"}, "locked by carol?"},
      {{{offer()}, {said(true, Status::failed, "broken")}}, {"why"}, "broken"},
  };
  for (const Row& row : rows) {
    FakeHost host = door();
    host.talks = row.talks;
    host.typed = row.typed;
    CHECK(run(host) == PAM_PERM_DENIED);
    REQUIRE(host.told.size() == 1);
    INFO(host.told[0]);
    CHECK(host.told[0].find(row.told) != std::string::npos);
  }
  FakeHost host = door("sshd");
  host.talks = {{offer()}, {waiting()}};
  host.typed = {"why", std::nullopt};  // Ctrl-C instead of waiting
  CHECK(run(host) == PAM_PERM_DENIED);
  CHECK(host.told.at(0).find("come back when it is approved") != std::string::npos);
}

TEST_CASE("nobody is asked where that would be wrong", "[pam_jit][door]") {
  const auto plainly = [](FakeHost host, const std::vector<const char*>& arguments = kRequest, bool silent = false) {
    CHECK(run(host, arguments, silent) == PAM_PERM_DENIED);
    CHECK(host.prompted.empty());
    CHECK(host.door_asked.empty());
  };
  plainly(door(), {"services=login", "mode=enforce"});  // not wanted
  plainly(door(), kRequest, true);                      // PAM_SILENT
  plainly(door("sudo"));                                // sudo has read its rules by now
  FakeHost script = door("su");
  script.has_terminal = false;  // would swallow what a script feeds the shell
  plainly(script);
  FakeHost waited = door("su");
  waited.jitd = {answers(verdict(Verdict::deny, ""))};  // not for want of a grant
  plainly(waited);
  FakeHost observed = door();
  CHECK(run(observed, {"services=login", "mode=observe", "request"}) == PAM_IGNORE);
  CHECK(observed.prompted.empty());
  FakeHost dead = door();
  dead.jitd = {silent()};
  dead.expects_board = true;
  CHECK(run(dead) == PAM_AUTHINFO_UNAVAIL);
  CHECK(dead.prompted.empty());
  FakeHost session = door();
  session.expects_board = true;
  CHECK(open_session(session, parse_options(kRequest), false) == PAM_SYSTEM_ERR);
  session.done();
  CHECK(session.prompted.empty());
}

TEST_CASE("su says by uid who asks, and goes by the caller", "[pam_jit][door]") {
  FakeHost host = door("su");
  host.items[Item::user] = "root";
  host.talks = {{offer()}, {said(true, Status::done, "")}};
  host.typed = {"why"};
  host.jitd.push_back(answers(verdict(Verdict::allow, "login")));
  CHECK(run(host) == PAM_SUCCESS);
  CHECK(host.door(1).subject == "alice");
  CHECK(host.door(1).has_uid);
  CHECK(host.door(1).uid == 1000);
  FakeHost other = door("su");
  other.items[Item::ruser] = "root";  // not who calls: not even the check is made
  other.jitd.clear();
  CHECK(run(other) == PAM_AUTHINFO_UNAVAIL);
  CHECK(other.prompted.empty());
}
