// The table of return codes in pam_jit(8), row by row, through a real libpam: each row of the page has a row here and
// the other way round, and each failure of jitd and of the board is played.
#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "tests/pam/fixture.hpp"
#include "tests/unit/catch.hpp"

using namespace jit::pam::test;
using jit::wire::Verdict;

namespace {

constexpr const char* kLine = "services=sshd,login,sudo,su,ftpd timeout=60";

// account enforce, account observe, session enforce, session observe.
struct Codes {
  int account_enforce, account_observe, session_enforce, session_observe;
  bool operator==(const Codes&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Codes& c) {
  return out << c.account_enforce << " " << c.account_observe << " " << c.session_enforce << " " << c.session_observe;
}

constexpr Codes kIgnored{PAM_IGNORE, PAM_IGNORE, PAM_IGNORE, PAM_IGNORE};
constexpr Codes kOpen{PAM_SUCCESS, PAM_SUCCESS, PAM_SUCCESS, PAM_SUCCESS};
constexpr Codes kShut{PAM_PERM_DENIED, PAM_IGNORE, PAM_SYSTEM_ERR, PAM_IGNORE};
constexpr Codes kEnded{PAM_PERM_DENIED, PAM_PERM_DENIED, PAM_SYSTEM_ERR, PAM_SYSTEM_ERR};
constexpr Codes kNobodyEnds{PAM_SUCCESS, PAM_SUCCESS, PAM_SYSTEM_ERR, PAM_SYSTEM_ERR};
constexpr Codes kNoNote{PAM_SUCCESS, PAM_SUCCESS, PAM_SYSTEM_ERR, PAM_SUCCESS};
constexpr Codes kNobodyKnows{PAM_AUTHINFO_UNAVAIL, PAM_IGNORE, PAM_SYSTEM_ERR, PAM_IGNORE};

// All four codes of `service` in `place` as it is.
Codes codes(const Place& place, const std::string& service, const Run& run = {}, const std::string& more = "",
            const std::string& module = PAM_JIT_TEST) {
  const auto both = [&](const char* mode) {
    place.service(service, module, std::string(kLine) + " mode=" + mode + " " + more);
    Transaction pam(place, service, run);
    const int account = pam.account();
    return std::pair(account, pam.open());
  };
  const auto enforce = both("enforce");
  const auto observe = both("observe");
  return {enforce.first, observe.first, enforce.second, observe.second};
}

// An allowing answer to the request, spoiled.
Daemon::Script spoiled(std::function<void(std::string&)> spoil) {
  return [spoil = std::move(spoil)](const std::string& request) -> std::optional<std::string> {
    auto answer = says(Verdict::allow)(request);
    if (answer && !answer->empty()) spoil(*answer);
    return answer;
  };
}

// Every way in which jitd can fail, alive for as long as the returned thing.
std::map<std::string, std::function<std::shared_ptr<void>()>> failures_of_jitd() {
  const auto daemon = [](Daemon::Script script) {
    return [script]() -> std::shared_ptr<void> { return std::make_shared<Daemon>(script); };
  };
  const auto held = [](int fd) {
    return std::shared_ptr<void>(nullptr, [fd](void*) { ::close(fd), ::unlink("check.sock"); });
  };
  return {
      {"no socket", [] { return std::shared_ptr<void>(); }},
      {"refused", [held] { return held(bound_socket(false)); }},
      {"a file in its place",
       [] {
         std::ofstream("check.sock") << "x";
         return std::shared_ptr<void>(nullptr, [](void*) { ::unlink("check.sock"); });
       }},
      {"never taken", [held] { return held(bound_socket(true)); }},
      {"silent", daemon([](const std::string&) { return std::nullopt; })},
      {"closes", daemon([](const std::string&) { return ""; })},
      {"garbage", daemon([](const std::string&) { return std::string(100, '\xaa'); })},
      {"short", daemon(spoiled([](std::string& f) { f.resize(20); }))},
      {"one byte", daemon(spoiled([](std::string& f) { f.resize(1); }))},
      {"a byte more", daemon(spoiled([](std::string& f) { f += '\0'; }))},
      {"too long", daemon(spoiled([](std::string& f) { f.resize(6000); }))},
      {"version", daemon(spoiled([](std::string& f) { f[4] = 2; }))},
      {"verb", daemon(spoiled([](std::string& f) { f[6] = 2; }))},
      {"id", daemon(spoiled([](std::string& f) { f[12] = static_cast<char>(f[12] ^ 1); }))},
      {"status", daemon(spoiled([](std::string& f) { f[20] = 1; }))},
      {"verdict by one bit", daemon(spoiled([](std::string& f) { f[32] = static_cast<char>(f[32] ^ 1); }))},
      {"verdict 0", daemon(says(static_cast<Verdict>(0)))},
      {"verdict 1", daemon(says(static_cast<Verdict>(1)))},
      {"cannot say", daemon(says(Verdict::unknown))},
  };
}

// Every way in which there is no board.
std::map<std::string, std::function<void(const Place&)>> failures_of_board() {
  const std::string good = board({.grant = true});
  const auto text = [](std::string bytes, mode_t mode = 0600) {
    return [=](const Place& place) { place.write("board", bytes, mode); };
  };
  const auto flipped = [good](std::size_t at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    return bad;
  };
  return {
      {"missing", [](const Place& place) { place.remove("board"); }},
      {"empty", text("")},
      {"cut in the header", text(good.substr(0, 100))},
      {"cut by a byte", text(good.substr(0, good.size() - 1))},
      {"magic", text(flipped(0))},
      {"version", text(flipped(8))},
      {"checksum of the header", text(flipped(100))},
      {"record torn", text(flipped(256 + 80 + 3)) /* the middle one of the services */},
      {"another boot", text(board({.grant = true, .boot = "99999999-89ab-cdef-0123-456789abcdef"}))},
      {"writable by others", text(good, 0606)},
      {"a link",
       [good](const Place& place) {
         place.write("elsewhere", good);
         place.remove("board");
         REQUIRE(::symlink("elsewhere", "board") == 0);
       }},
      {"a directory",
       [](const Place& place) {
         place.remove("board");
         REQUIRE(::mkdir("board", 0700) == 0);
       }},
  };
}

// The rows: their words as in the page, and how to play them.
struct Row {
  std::string words;
  Codes codes;
  std::function<void(const Row&)> play;
};

void check(const Row& row, const Codes& got) {
  INFO(row.words);
  CHECK(got == row.codes);
}

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
      {"service not in services=", kIgnored,
       [](const Row& row) {
         const Place place;
         check(row, codes(place, "cron"));
       }},
      {"su by uid 0", kIgnored,
       [](const Row& row) {
         if (::getuid() != 0) return;  // as anybody else it is asked
         const Place place;
         check(row, codes(place, "su"));
       }},
      {"exempt subject", kIgnored,
       [](const Row& row) {
         const Place place;
         for (const char* list : {"exempt=alice", "exempt=root,@breakglass"})
           for (const char* service : {"sshd", "sudo"}) check(row, codes(place, service, {}, list));
       }},
      {"gate open", kOpen,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.grant = true}));
         const Daemon jitd(says(Verdict::allow));
         for (const char* service : {"sshd", "sudo"}) check(row, codes(place, service));
         CHECK(jitd.asked() == 8);
       }},
      {"no gate matches", kIgnored,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.gated = false}));
         const Daemon jitd(says(Verdict::not_gated, ""));
         for (const char* service : {"sshd", "sudo"}) check(row, codes(place, service));
         CHECK(jitd.asked() == 4);  // sessions were not asked about
       }},
      {"observed gate shut", kIgnored,
       [](const Row& row) {
         const Place place;
         place.write("board", board({}));
         const Daemon jitd(says(Verdict::observe, "watch"));
         check(row, codes(place, "login"));
       }},
      {"enforced gate shut", kShut,
       [](const Row& row) {
         const Place place;
         place.write("board", board({}));
         const Daemon jitd(says(Verdict::deny));
         for (const char* service : {"sshd", "sudo"}) check(row, codes(place, service));
         place.write("board", board({.grant = true, .ended = true}));
         check(row, codes(place, "sshd"));
       }},
      {"sudo waited while a grant ended", kEnded,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.grant = true, .waited = true}));
         {
           const Daemon jitd(says(Verdict::deny, "", "Run it again."));
           check(row, codes(place, "sudo"));
         }
         check(row, codes(place, "sudo"));  // the board knows too
       }},
      {"jitd fails, board: gate open", kOpen,
       [](const Row& row) {
         for (const auto& [name, fail] : failures_of_jitd()) {
           INFO(name);
           const Place place;
           place.write("board", board({.grant = true}));
           const auto alive = fail();
           check(row, codes(place, "sshd"));
           // Whoever ends the grant finds the login.
           CHECK(std::filesystem::exists("logins/aaaaaaaaaaaaaaaa." + std::to_string(::getpid())));
         }
       }},
      {"jitd fails, board: gate open, no note", kNoNote,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.grant = true}));
         place.remove("logins");
         check(row, codes(place, "sshd"));
         place.write("logins", "a file");
         check(row, codes(place, "sshd"));
       }},
      {"jitd fails, board: gate open, of sudo or su", kNoNote,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.grant = true}));
         check(row, codes(place, "sudo"));
       }},
      {"jitd fails, board: sudo by a grant", kNobodyEnds,
       [](const Row& row) {
         for (const auto& [name, fail] : failures_of_jitd()) {
           INFO(name);
           const Place place;
           place.write("board", board({.grant = true, .sudo = true}));
           const auto alive = fail();
           check(row, codes(place, "sudo"));
         }
       }},
      {"jitd fails, board: no gate matches", kIgnored,
       [](const Row& row) {
         for (const auto& [name, fail] : failures_of_jitd()) {
           INFO(name);
           const Place place;
           place.write("board", board({.gated = false}));
           const auto alive = fail();
           check(row, codes(place, "sshd"));
         }
       }},
      {"jitd fails, board: enforced gate shut", kShut,
       [](const Row& row) {
         for (const auto& [name, fail] : failures_of_jitd()) {
           INFO(name);
           const Place place;
           place.write("board", board({.grant = true, .ended = true}));
           const auto alive = fail();
           check(row, codes(place, "sshd"));
         }
       }},
      {"jitd fails, no readable board", kNobodyKnows,
       [](const Row& row) {
         for (const auto& [name, fail] : failures_of_jitd()) {
           INFO(name);
           const Place place;
           const auto alive = fail();
           check(row, codes(place, "sshd"));
         }
         for (const auto& [name, fail] : failures_of_board()) {
           INFO(name);
           const Place place;
           fail(place);
           for (const char* service : {"sshd", "sudo"}) check(row, codes(place, service));
         }
         const Place place;  // the boot is not known
         place.write("board", board({.grant = true}));
         place.remove("boot_id");
         check(row, codes(place, "sshd"));
       }},
      {"jitd or board not of root", kNobodyKnows,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.grant = true}));
         const Daemon jitd(says(Verdict::allow));
         check(row, codes(place, "sshd", {}, "", PAM_JIT_STRANGER));
         CHECK(jitd.asked() == 0);
         if (::geteuid() != 0) return;
         // The socket file as it should be, but the wrong process behind it.
         REQUIRE(::chown("check.sock", ::geteuid() + 1, 0) == 0);
         check(row, codes(place, "sshd", {}, "", PAM_JIT_STRANGER));
       }},
      {"no user named", kNobodyKnows,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.gated = false}));
         check(row, codes(place, "sshd", {.user = std::nullopt}));
         check(row, codes(place, "sudo", {.ruser = ""}));
       }},
      {"service without a subject", kNobodyKnows,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.gated = false}));
         check(row, codes(place, "ftpd"));
       }},
      {"PAM_RUSER is not who calls", kNobodyKnows,
       [](const Row& row) {
         const Place place;
         Row wanted = row;
         // As root the session is that of sudo -e.
         if (::getuid() == 0) wanted.codes.session_enforce = wanted.codes.session_observe = PAM_IGNORE;
         place.write("board", board({.gated = false}));
         check(wanted, codes(place, "sudo", {.ruser = "root"}, "exempt=root"));
         place.write("passwd", "alice:x:77777:1::/:/bin/sh\n", 0644);
         check(wanted, codes(place, "sudo"));
       }},
      {"/etc/passwd unreadable, of sudo or su", kNobodyKnows,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.gated = false}));
         place.remove("passwd");
         check(row, codes(place, "sudo", {}, "exempt=alice"));
       }},
      {"no descriptors left", kNobodyKnows,
       [](const Row& row) {
         const Place place;
         place.write("board", board({.grant = true}));
         const Daemon jitd(says(Verdict::allow));
         Codes got{};
         // libpam itself fails without descriptors, so the module is called by hand.
         const auto starved = [&](const char* mode, int& account, int& session) {
           const std::string arguments = "mode=" + std::string(mode);
           const char* argv[] = {"services=sshd", arguments.c_str()};
           void* module = ::dlopen(PAM_JIT_TEST, RTLD_NOW | RTLD_LOCAL);
           REQUIRE(module != nullptr);
           using Entry = int(pam_handle_t*, int, int, const char**);
           auto* account_entry = reinterpret_cast<Entry*>(::dlsym(module, "pam_sm_acct_mgmt"));
           auto* session_entry = reinterpret_cast<Entry*>(::dlsym(module, "pam_sm_open_session"));
           {
             const Transaction pam(place, "sshd");
             CHECK(account_entry(pam.handle(), 0, 2, argv) == PAM_SUCCESS);  // as long as there are some
             rlimit before{};
             REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
             const rlimit none{0, before.rlim_max};
             REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
             account = account_entry(pam.handle(), 0, 2, argv);
             session = session_entry(pam.handle(), 0, 2, argv);
             REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
           }
           ::dlclose(module);
         };
         starved("enforce", got.account_enforce, got.session_enforce);
         starved("observe", got.account_observe, got.session_observe);
         check(row, got);
       }},
  };
  return table;
}

std::string name_of(int code) {
  switch (code) {
    case PAM_SUCCESS:
      return "SUCCESS";
    case PAM_IGNORE:
      return "IGNORE";
    case PAM_PERM_DENIED:
      return "PERM_DENIED";
    case PAM_SYSTEM_ERR:
      return "SYSTEM_ERR";
    case PAM_AUTHINFO_UNAVAIL:
      return "AUTHINFO_UNAVAIL";
  }
  return "?";
}

}  // namespace

TEST_CASE("P5: every row of the return codes", "[pam]") {
  ::openlog("pam_tests", LOG_NDELAY, LOG_AUTHPRIV);  // the one descriptor that libc keeps, for libpam's own lines
  for (const Row& row : rows()) {
    INFO(row.words);
    const int before = open_descriptors();
    row.play(row);
    CHECK(open_descriptors() == before);
  }
}

TEST_CASE("pam_jit(8) has these rows, with these codes, and no others", "[pam]") {
  std::vector<std::string> page;
  std::ifstream file(MAN_PAGE);
  REQUIRE(file);
  std::string item;  // the line before
  for (std::string line; std::getline(file, line); item = line)
    if (item.starts_with(".It ") && line.starts_with("account ")) page.push_back(item + "\n" + line);
  std::vector<std::string> ours;
  for (const Row& row : rows())
    ours.push_back(".It " + row.words + "\naccount " + name_of(row.codes.account_enforce) + " (" +
                   name_of(row.codes.account_observe) + "), session " + name_of(row.codes.session_enforce) + " (" +
                   name_of(row.codes.session_observe) + ")");
  CHECK(page == ours);
}

TEST_CASE("authenticate, setcred and chauthtok are not there, and fail", "[pam]") {
  for (const char* mode : {"enforce", "observe"}) {
    const Place place;
    place.service("sshd", PAM_JIT_TEST, std::string(kLine) + " exempt=alice mode=" + mode);
    Transaction pam(place, "sshd");
    CHECK(pam_authenticate(pam.handle(), 0) == PAM_MODULE_UNKNOWN);
    CHECK(pam_setcred(pam.handle(), PAM_ESTABLISH_CRED) == PAM_MODULE_UNKNOWN);
    CHECK(pam_chauthtok(pam.handle(), 0) == PAM_MODULE_UNKNOWN);
  }
}

TEST_CASE("close tells jitd and never fails", "[pam]") {
  const Place place;
  place.service("sshd", PAM_JIT_TEST, std::string(kLine) + " mode=enforce");
  {
    Transaction pam(place, "sshd");
    CHECK(pam.close() == PAM_SUCCESS);  // nobody there
  }
  const Daemon jitd([](const std::string&) { return std::nullopt; });
  Transaction pam(place, "sshd");
  CHECK(pam.close() == PAM_SUCCESS);  // a silent one does not hold it up
  for (int i = 0; i < 100 && jitd.asked() == 0; ++i) ::usleep(10'000);
  CHECK(jitd.asked() == 1);
}

TEST_CASE("as required and first in a stack, it refuses and lets in as it should", "[pam]") {
  const Place place;
  const auto with = [&](Verdict verdict, const char* gate) {
    place.write("pam.d/sshd",
                "account required " + std::string(PAM_JIT_TEST) + " " + kLine +
                    " mode=enforce\naccount required pam_permit.so\n",
                0644);
    const Daemon jitd(says(verdict, gate));
    return Transaction(place, "sshd").account();
  };
  CHECK(with(Verdict::allow, "login") == PAM_SUCCESS);
  CHECK(with(Verdict::not_gated, "") == PAM_SUCCESS);
  CHECK(with(Verdict::observe, "login") == PAM_SUCCESS);
  CHECK(with(Verdict::deny, "login") == PAM_PERM_DENIED);
  CHECK(with(static_cast<Verdict>(7), "login") == PAM_AUTHINFO_UNAVAIL);
}

TEST_CASE("P10: the gate's message reaches the user, clean, and not with PAM_SILENT", "[pam]") {
  const Place place;
  place.service("sshd", PAM_JIT_TEST, std::string(kLine) + " mode=enforce");
  const Daemon jitd(says(Verdict::deny, "login", "Ask: jitctl\x1b[2J %n%s\nor call"));
  Transaction loud(place, "sshd");
  CHECK(loud.account() == PAM_PERM_DENIED);
  CHECK(loud.told() == std::vector<std::string>{"Ask: jitctl?[2J %n%s\nor call"});
  Transaction quiet(place, "sshd", {.flags = static_cast<int>(PAM_SILENT)});
  CHECK(quiet.account() == PAM_PERM_DENIED);
  CHECK(quiet.told().empty());
}

TEST_CASE("P7: the user whom the application names now is the one who is asked about", "[pam]") {
  const Place place;
  place.service("sshd", PAM_JIT_TEST, std::string(kLine) + " mode=enforce");
  std::string subject;
  const Daemon jitd([&](const std::string& request) {
    subject = *jit::wire::Frame::parse(std::as_bytes(std::span(request)))->text(jit::wire::Tag::subject);
    return says(subject == "alice" ? Verdict::allow : Verdict::deny)(request);
  });
  Transaction pam(place, "sshd");
  CHECK(pam.account() == PAM_SUCCESS);
  REQUIRE(pam_set_item(pam.handle(), PAM_USER, "mallory") == PAM_SUCCESS);  // between the phases
  CHECK(pam.account() == PAM_PERM_DENIED);
  CHECK(subject == "mallory");
}
