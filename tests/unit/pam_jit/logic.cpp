#include "pam_jit/logic.hpp"

#include <security/_pam_types.h>

#include <vector>

#include "jitd/wire/board_writer.hpp"
#include "tests/unit/pam_jit/fake_host.hpp"

using namespace jit::pam;
using namespace jit::pam::test;
using jit::wire::Answer;
using jit::wire::Phase;
using jit::wire::Verdict;

namespace {

constexpr const char* kServices = "services=sshd,login,sudo,sudo-i,su,su-l";
const std::vector<const char*> kEnforce = {kServices, "mode=enforce"};
const std::vector<const char*> kObserve = {kServices, "mode=observe"};

FakeHost login(const char* user = "alice") {
  FakeHost host;
  host.items = {{Item::service, "sshd"}, {Item::user, user}, {Item::tty, "ssh"}, {Item::rhost, "10.0.0.1"}};
  return host;
}

FakeHost sudo(const char* service = "sudo") {
  FakeHost host;
  host.items = {{Item::service, service}, {Item::user, "root"}, {Item::ruser, "alice"}, {Item::tty, "/dev/pts/1"}};
  host.expects_accounts = true;
  return host;
}

// Gate "login" on sshd for everybody, "dba" on sudo for bob; alice may hold a grant for the first and a sudo
// entitlement.
std::string board(bool with_login, bool with_sudo, const char* boot = kBoot, const char* dba = "bob",
                  const char* id = "aaaaaaaaaaaaaaaa") {
  jit::wire::BoardContent content;
  content.boot_id = boot;
  content.gates = {{"login", {"sshd"}, true, true, {}, {"root"}, "the gate's help"},
                   {"dba", {"sudo"}, true, false, {dba}, {}, ""}};
  if (with_login || with_sudo) {
    jit::wire::GrantOnBoard grant;
    grant.id = id;
    grant.user = "alice";
    grant.uid = 1000;
    grant.not_after_ms = kNow.wall_ms + 60'000;
    grant.boot_deadline_ms = kNow.boot_ms + 60'000;
    if (with_login) grant.opens = {"login"};
    if (with_login && std::string_view(dba) == "alice") grant.opens.emplace_back("dba");
    grant.has_sudo = with_sudo;
    content.grants = {grant};
  }
  return *jit::wire::make_board(content);
}

int run(FakeHost& host, const std::vector<const char*>& arguments,
        int (*phase)(Host&, const Options&, bool) noexcept = account, bool silent = false) {
  const int code = phase(host, parse_options(arguments), silent);
  host.done();
  return code;
}

}  // namespace

TEST_CASE("a service that the line does not name is ignored before anything is opened", "[pam_jit]") {
  for (auto* phase : {account, open_session}) {
    FakeHost host = login();
    host.items[Item::service] = "cron";
    CHECK(run(host, kEnforce, phase) == PAM_IGNORE);
    host.items[Item::service] = "sshd";
    CHECK(run(host, {"services=sudo", "mode=enforce"}, phase) == PAM_IGNORE);
    CHECK(host.logged.empty());
  }
}

TEST_CASE("jitd's verdicts in the account phase", "[pam_jit]") {
  struct Row {
    Answer answer;
    int enforce, observe;
    std::size_t told_enforce;
  };
  const Row rows[] = {
      {verdict(Verdict::allow, "login"), PAM_SUCCESS, PAM_SUCCESS, 0},
      {verdict(Verdict::not_gated), PAM_IGNORE, PAM_IGNORE, 0},
      {verdict(Verdict::observe, "login"), PAM_IGNORE, PAM_IGNORE, 0},
      {verdict(Verdict::deny, "login", "ask for it"), PAM_PERM_DENIED, PAM_IGNORE, 1},
      {verdict(Verdict::deny, "", "run it again"), PAM_PERM_DENIED, PAM_PERM_DENIED, 1},
  };
  for (const Row& row : rows) {
    FakeHost host = login();
    host.jitd = {answers(row.answer)};
    CHECK(run(host, kEnforce) == row.enforce);
    CHECK(host.told.size() == row.told_enforce);
    FakeHost observed = login();
    observed.jitd = {answers(row.answer)};
    CHECK(run(observed, kObserve) == row.observe);
  }
}

TEST_CASE("what is asked: the subject by service, the line's mode, the start of a sudo", "[pam_jit]") {
  FakeHost host = login();
  host.jitd = {answers(verdict(Verdict::allow))};
  CHECK(run(host, {kServices, "mode=enforce", "timeout=70"}) == PAM_SUCCESS);
  CHECK(host.timeout == 70);
  CHECK(host.asked().phase == Phase::account);
  CHECK(host.asked().service == "sshd");
  CHECK(host.asked().subject == "alice");
  CHECK_FALSE(host.asked().has_uid);
  CHECK(host.asked().started_ms == 0);
  CHECK(host.asked().rhost == "10.0.0.1");
  CHECK(host.asked().line_enforces);

  for (const char* service : {"sudo", "sudo-i", "su", "su-l"}) {
    FakeHost caller = sudo(service);
    caller.jitd = {answers(verdict(Verdict::allow))};
    CHECK(run(caller, kObserve) == PAM_SUCCESS);
    CHECK(caller.asked().subject == "alice");
    CHECK(caller.asked().target == "root");
    CHECK((caller.asked().has_uid && caller.asked().uid == 1000));
    CHECK(caller.asked().started_ms == (service[1] == 'u' && service[2] == 'd' ? 4'000'000U : 0U));
    CHECK_FALSE(caller.asked().line_enforces);
  }
}

TEST_CASE("su from uid 0 is not asked; sudo from uid 0 is", "[pam_jit]") {
  FakeHost su = sudo("su");
  su.uid = 0;
  su.expects_accounts = false;
  CHECK(run(su, kEnforce) == PAM_IGNORE);
  FakeHost root = sudo("sudo");
  root.uid = 0;
  root.items[Item::ruser] = "root";
  root.jitd = {answers(verdict(Verdict::not_gated))};
  CHECK(run(root, kEnforce) == PAM_IGNORE);
}

TEST_CASE("P5: exempt subjects never depend on jitd, and only local ones are", "[pam_jit]") {
  const std::vector<const char*> line = {kServices, "mode=enforce", "exempt=root,@breakglass"};
  for (auto* phase : {account, open_session}) {
    FakeHost root = login("root");
    root.expects_accounts = true;
    CHECK(run(root, line, phase) == PAM_IGNORE);
    FakeHost carol = login("carol");  // in the group, but no local account
    carol.expects_accounts = true;
    carol.jitd = {answers(verdict(Verdict::deny, "login"))};
    carol.expects_board = phase == open_session;
    CHECK(run(carol, line, phase) != PAM_IGNORE);
  }
  // sudo: the target root is not the subject.
  FakeHost host = sudo();
  host.jitd = {answers(verdict(Verdict::deny, "dba"))};
  CHECK(run(host, line) == PAM_PERM_DENIED);
}

TEST_CASE("PAM_RUSER is held against the uid who calls", "[pam_jit]") {
  const auto code = [](const char* ruser, std::uint32_t uid, const std::vector<const char*>& line) {
    FakeHost host = sudo();
    host.items[Item::ruser] = ruser;
    host.uid = uid;
    return run(host, line);
  };
  CHECK(code("alice", 1001, kEnforce) == PAM_AUTHINFO_UNAVAIL);
  CHECK(code("corp", 1000, kEnforce) == PAM_AUTHINFO_UNAVAIL);  // uid 1000 is alice's
  CHECK(code("alice", 1001, kObserve) == PAM_IGNORE);
  CHECK(code("root", 1000, {kServices, "mode=enforce", "exempt=root"}) == PAM_AUTHINFO_UNAVAIL);
  FakeHost network = sudo();  // an account of a name service
  network.items[Item::ruser] = "corp";
  network.uid = 70000;
  network.jitd = {answers(verdict(Verdict::allow))};
  CHECK(run(network, kEnforce) == PAM_SUCCESS);
  FakeHost unreadable = sudo();
  unreadable.accounts_readable = false;
  CHECK(run(unreadable, kEnforce) == PAM_AUTHINFO_UNAVAIL);
}

TEST_CASE("without a service or a user nobody can say", "[pam_jit]") {
  for (auto* phase : {account, open_session}) {
    const int refusal = phase == account ? PAM_AUTHINFO_UNAVAIL : PAM_SYSTEM_ERR;
    for (const Item missing : {Item::service, Item::user}) {
      for (const char* value : {"", static_cast<const char*>(nullptr)}) {
        FakeHost host = login();
        host.items.erase(missing);
        if (value != nullptr) host.items[missing] = value;
        CHECK(run(host, kEnforce, phase) == refusal);
        CHECK(host.told.size() == 1);
        CHECK(run(host, kObserve, phase) == PAM_IGNORE);
      }
    }
    for (const std::string& name : {std::string("a\nb"), std::string("a\x7f"), std::string(257, 'a')}) {
      FakeHost host = login(name.c_str());
      CHECK(run(host, kEnforce, phase) == refusal);
    }
    FakeHost unknown = login();
    unknown.items[Item::service] = "polkit-1";
    CHECK(run(unknown, {"services=polkit-1", "mode=enforce"}, phase) == refusal);
    CHECK(run(unknown, {"services=polkit-1"}, phase) == PAM_IGNORE);
  }
}

TEST_CASE("P5: jitd silent or wrong: the board answers", "[pam_jit]") {
  const std::string shut = board(false, false);
  const std::string open = board(true, false);
  const Jitd wrong[] = {
      silent(),
      [](const jit::wire::Frame&, std::span<std::byte>) {
        return Reply{0, nullptr};
      },
      [](const jit::wire::Frame&, std::span<std::byte> reply) {
        return Reply{reply.size() + 1, nullptr};
      },
      [](const jit::wire::Frame&, std::span<std::byte>) {
        return Reply{10, nullptr};
      },
      [](const jit::wire::Frame& f, std::span<std::byte> reply) {
        return Reply{jit::wire::make_answer(reply, f.id() + 1, verdict(Verdict::allow)).size(), nullptr};
      },
      answers(verdict(static_cast<Verdict>(0))),
      answers(verdict(static_cast<Verdict>(0x5c96e1d2))),  // allow, but for a bit
      answers(verdict(Verdict::unknown)),
  };
  for (const Jitd& jitd : wrong) {
    const auto code = [&](const std::string* bytes, const std::vector<const char*>& line) {
      FakeHost host = login();
      host.jitd = {jitd};
      host.expects_board = true;
      host.board_bytes = bytes;
      const int got = run(host, line);
      CHECK_FALSE(host.logged.empty());  // P9: an answer from the board reaches the log
      return got;
    };
    CHECK(code(&open, kEnforce) == PAM_SUCCESS);
    CHECK(code(&shut, kEnforce) == PAM_PERM_DENIED);
    CHECK(code(&shut, kObserve) == PAM_IGNORE);
    CHECK(code(nullptr, kEnforce) == PAM_AUTHINFO_UNAVAIL);
    CHECK(code(nullptr, kObserve) == PAM_IGNORE);
  }
}

TEST_CASE("a board of another boot, or of an unknown one, answers nothing", "[pam_jit]") {
  const std::string other = board(true, false, "99999999-89ab-cdef-0123-456789abcdef");
  const std::string ours = board(true, false);
  for (auto* phase : {account, open_session}) {
    FakeHost host = login();
    host.jitd = {silent()};
    host.expects_board = true;
    host.board_bytes = &other;
    CHECK(run(host, kEnforce, phase) == (phase == account ? PAM_AUTHINFO_UNAVAIL : PAM_SYSTEM_ERR));
    FakeHost nowhere = login();
    nowhere.jitd = {silent()};
    nowhere.expects_board = true;
    nowhere.board_bytes = &ours;
    nowhere.boot = "";
    CHECK(run(nowhere, kEnforce, phase) == (phase == account ? PAM_AUTHINFO_UNAVAIL : PAM_SYSTEM_ERR));
  }
}

TEST_CASE("session: who is under no enforced gate passes without a question to jitd", "[pam_jit]") {
  const std::string bytes = board(true, false);
  FakeHost root = login("root");
  root.expects_board = true;
  root.board_bytes = &bytes;
  CHECK(run(root, kEnforce, open_session) == PAM_IGNORE);
  FakeHost standing = sudo();
  standing.expects_board = true;
  standing.board_bytes = &bytes;
  CHECK(run(standing, kEnforce, open_session) == PAM_IGNORE);
  FakeHost watched = login();  // an observing line
  const std::string shut = board(false, false);
  watched.expects_board = true;
  watched.board_bytes = &shut;
  CHECK(run(watched, kObserve, open_session) == PAM_IGNORE);
}

TEST_CASE("session: jitd is asked of a gate or a live sudo entitlement, and its word counts", "[pam_jit]") {
  const std::string open = board(true, true);
  struct Row {
    Answer answer;
    int code;
  };
  for (const Row& row : {Row{verdict(Verdict::allow, "login"), PAM_SUCCESS},
                         Row{verdict(Verdict::deny, "login", "it ended"), PAM_SYSTEM_ERR},
                         Row{verdict(Verdict::not_gated), PAM_IGNORE}}) {
    for (FakeHost host : {login(), sudo()}) {
      host.expects_board = true;
      host.board_bytes = &open;
      host.jitd = {answers(row.answer)};
      CHECK(run(host, kEnforce, open_session) == row.code);
      CHECK(host.asked().phase == Phase::session);
      CHECK(host.audit_sessions == (host.items[Item::service] == "sudo" ? 1 : 0));  // of its own, where jitd needs it
    }
  }
}

TEST_CASE("session: a sudo by a grant is asked about even where the line only observes the gate", "[pam_jit]") {
  const std::string bytes = board(false, true, kBoot, "alice");  // the gate is shut, the sudo entitlement lives
  FakeHost host = sudo();
  host.expects_board = true;
  host.board_bytes = &bytes;
  host.jitd = {answers(verdict(Verdict::observe, "dba"))};
  CHECK(run(host, kObserve, open_session) == PAM_IGNORE);
}

TEST_CASE("session: jitd silent, the board decides; refusals are PAM_SYSTEM_ERR, which sudo heeds", "[pam_jit]") {
  const std::string open = board(true, true);
  const std::string shut = board(false, false);
  FakeHost host = login();
  host.expects_board = true;
  host.board_bytes = &open;
  host.jitd = {silent()};
  CHECK(run(host, kEnforce, open_session) == PAM_SUCCESS);
  FakeHost ended = login();
  ended.expects_board = true;
  ended.board_bytes = &shut;
  ended.jitd = {silent()};
  CHECK(run(ended, kEnforce, open_session) == PAM_SYSTEM_ERR);
  CHECK(ended.told == std::vector<std::string>{"the gate's help"});
  FakeHost nothing = login();
  nothing.expects_board = true;
  nothing.jitd = {silent()};
  CHECK(run(nothing, kEnforce, open_session) == PAM_SYSTEM_ERR);
  FakeHost watched = login();
  watched.expects_board = true;
  watched.jitd = {silent()};
  CHECK(run(watched, kObserve, open_session) == PAM_IGNORE);
}

TEST_CASE("P2: session: jitd silent, a sudo by a grant is refused, since nobody could end it", "[pam_jit]") {
  const std::string open = board(true, true);
  const std::string observed = board(false, true, kBoot, "alice");
  for (const std::string* bytes : {&open, &observed}) {
    for (const auto* line : {&kEnforce, &kObserve}) {
      FakeHost host = sudo();
      host.expects_board = true;
      host.board_bytes = bytes;
      host.jitd = {silent()};
      CHECK(run(host, *line, open_session) == PAM_SYSTEM_ERR);
      REQUIRE(host.told.size() == 1);
      CHECK(host.timeout >= 2000);  // systemd has to put it into its scope
    }
  }
}

TEST_CASE("P2: session: jitd silent, a login by a grant is noted for its end, or refused", "[pam_jit]") {
  const std::string open = board(true, false);
  const std::string shut = board(false, false);
  const auto host_with = [&] {
    FakeHost host = login();
    host.expects_board = true;
    host.board_bytes = &open;
    host.jitd = {silent()};
    return host;
  };
  FakeHost host = host_with();
  CHECK(run(host, kEnforce, open_session) == PAM_SUCCESS);
  CHECK(host.noted == std::vector<std::string>{"aaaaaaaaaaaaaaaa"});
  FakeHost full = host_with();
  full.notes_work = false;
  CHECK(run(full, kEnforce, open_session) == PAM_SYSTEM_ERR);
  REQUIRE(full.told.size() == 1);
  CHECK(full.told[0].find("could not be noted") != std::string::npos);
  FakeHost observed = host_with();  // who needs no grant to come in
  observed.notes_work = false;
  CHECK(run(observed, kObserve, open_session) == PAM_SUCCESS);
  // The grant ends between the board's word and the note: whoever ended it may have looked before.
  FakeHost ended = host_with();
  ended.on_note = [&](FakeHost& self) { self.board_bytes = &shut; };
  CHECK(run(ended, kEnforce, open_session) == PAM_SYSTEM_ERR);
  const std::string other = board(true, false, kBoot, "bob", "bbbbbbbbbbbbbbbb");
  FakeHost longer = host_with();
  longer.on_note = [&](FakeHost& self) { self.board_bytes = &other; };
  CHECK(run(longer, kEnforce, open_session) == PAM_SUCCESS);
  CHECK(longer.noted == std::vector<std::string>{"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"});
  FakeHost answered = host_with();  // jitd notes it
  answered.jitd = {answers(verdict(Verdict::allow, "login"))};
  CHECK(run(answered, kEnforce, open_session) == PAM_SUCCESS);
  CHECK(answered.noted.empty());
}

TEST_CASE("P2: session: jitd silent, a command behind a gate that a grant opens is refused", "[pam_jit]") {
  const std::string open = board(true, false, kBoot, "alice");  // the gate on sudo is open too
  for (const auto* line : {&kEnforce, &kObserve}) {
    FakeHost host = sudo();
    host.expects_board = true;
    host.board_bytes = &open;
    host.jitd = {silent()};
    CHECK(run(host, *line, open_session) == (line == &kEnforce ? PAM_SYSTEM_ERR : PAM_SUCCESS));
    CHECK(host.noted.empty());
  }
}

TEST_CASE("session: sudo -e is root by then, and asks for who called it", "[pam_jit]") {
  const std::string open = board(true, true);
  FakeHost edit = sudo();
  edit.uid = 0;
  edit.expects_board = true;
  edit.board_bytes = &open;
  edit.jitd = {answers(verdict(Verdict::allow, "dba"))};
  CHECK(run(edit, kEnforce, open_session) == PAM_SUCCESS);
  CHECK(edit.asked().uid == 1000);
  CHECK(edit.asked().subject == "alice");
  FakeHost early = sudo();  // the account phase compares
  early.uid = 0;
  CHECK(run(early, kEnforce, account) == PAM_AUTHINFO_UNAVAIL);
  FakeHost su = sudo("su");
  su.uid = 1001;
  CHECK(run(su, kEnforce, open_session) == PAM_SYSTEM_ERR);
}

TEST_CASE("close tells jitd, waits for nothing and decides nothing", "[pam_jit]") {
  FakeHost host = login();
  host.expects_post = true;
  CHECK(close_session(host, parse_options(kEnforce)) == PAM_SUCCESS);
  host.done();
  CHECK(host.asked().phase == Phase::close);
  FakeHost root = login("root");
  root.expects_accounts = true;
  CHECK(close_session(root, parse_options(std::vector<const char*>{kServices, "mode=enforce", "exempt=root"})) ==
        PAM_IGNORE);
  root.done();
}

TEST_CASE("P10: what the user is told is clean; PAM_SILENT tells nothing", "[pam_jit]") {
  const auto told = [](const Answer& answer, bool silent) {
    FakeHost host = login();
    host.jitd = {answers(answer)};
    CHECK(run(host, kEnforce, account, silent) == PAM_PERM_DENIED);
    return host.told;
  };
  CHECK(told(verdict(Verdict::deny, "login", "line\x1b[2J %s\nnext"), false) ==
        std::vector<std::string>{"line?[2J %s\nnext"});
  CHECK(told(verdict(Verdict::deny, "login", "x"), true).empty());
  CHECK(told(verdict(Verdict::deny, "login"), false)[0].find("jitctl request") != std::string::npos);
  FakeHost host = login();
  host.jitd = {silent()};
  host.expects_board = true;
  CHECK(run(host, kEnforce, account, true) == PAM_AUTHINFO_UNAVAIL);
  CHECK(host.told.empty());
  for (const std::string& line : host.logged) CHECK(line.find('\n') == std::string::npos);
}

TEST_CASE("sudo's users are told although it says PAM_SILENT: what refuses them, and that they are recorded",
          "[pam_jit]") {
  FakeHost refused = sudo();
  refused.jitd = {answers(verdict(Verdict::deny, "dba", "the gate's help"))};
  CHECK(run(refused, kEnforce, account, true) == PAM_PERM_DENIED);
  CHECK(refused.told == std::vector<std::string>{"the gate's help"});
  const std::string bytes = board(false, true);
  FakeHost recorded = sudo();
  recorded.jitd = {answers(verdict(Verdict::allow, "", "recorded, under\x1b[2J grant aaaaaaaaaaaaaaaa"))};
  recorded.expects_board = true;
  recorded.board_bytes = &bytes;
  CHECK(run(recorded, kEnforce, open_session, true) == PAM_SUCCESS);
  CHECK(recorded.told == std::vector<std::string>{"recorded, under?[2J grant aaaaaaaaaaaaaaaa"});
}

TEST_CASE("a mistake on the line is logged, once for each call, and an enforcing line stays one", "[pam_jit]") {
  FakeHost host = login();
  host.jitd = {answers(verdict(Verdict::deny, "login"))};
  CHECK(run(host, {kServices, "mode=enfocre"}) == PAM_PERM_DENIED);
  REQUIRE_FALSE(host.logged.empty());
  CHECK(host.logged[0].find("mode=enfocre") != std::string::npos);
  FakeHost bare = login();  // no services=: all that the module knows
  bare.jitd = {answers(verdict(Verdict::deny, "login"))};
  CHECK(run(bare, {"mode=enforce"}) == PAM_PERM_DENIED);
  bare.items[Item::service] = "cron";
  CHECK(run(bare, {"mode=enforce"}) == PAM_IGNORE);
}
