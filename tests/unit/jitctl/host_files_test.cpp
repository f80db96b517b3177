// What jitctl reads and writes of a host's files: trust, first policy, jitd.toml, exempt accounts, gate state.
#include <set>

#include "jitctl/exempt.hpp"
#include "jitctl/first_policy.hpp"
#include "jitctl/gate.hpp"
#include "jitctl/gate_state.hpp"
#include "jitctl/policy_files.hpp"
#include "jitctl/trust_edit.hpp"
#include "jitd/gates/lines.hpp"
#include "policy/rules/load.hpp"
#include "tests/unit/jitctl/fixture.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;
using wire::Verb;

TEST_CASE("the timers that take a gate back are of one service alone", "[jitctl]") {
  CHECK(fallback_timer("su-l", "12") == "jit-gate-confirm-su-l:12.timer");
  const std::set<std::string> names{fallback_timer("a_b", "*"), fallback_timer("a+b", "*"),
                                    fallback_timer("a@b", "*"), fallback_timer("a_2bb", "*")};
  CHECK(names.size() == 4);
}

TEST_CASE("trust files are edited by the line, comments stay", "[jitctl]") {
  const auto a = *SigningKey::generate();
  const auto b = *SigningKey::generate();
  const std::string before =
      "# people of ours\n\ncarol " + public_key_line(a.public_key()) + "\nthis line is bad\n# last";
  TrustLine line;
  line.principal = "dave";
  line.key = b.public_key();
  line.namespaces = namespaces_of("approvers");
  const auto after = with_trust_line("t", before, line);
  REQUIRE(after.has_value());
  CHECK(after->starts_with(before + "\n"));
  CHECK(parse_trust("t", *after).lines.size() == 2);
  CHECK(parse_trust("t", *after).lines[1].allows_namespace("jit-review"));
  CHECK_FALSE(parse_trust("t", *after).lines[1].allows_namespace("jit-request"));

  SECTION("a key that stands there already, under any name, is refused: it would be void") {
    line.key = a.public_key();
    CHECK_FALSE(with_trust_line("t", before, line).has_value());
  }
  SECTION("a principal that is a pattern or a list is refused") {
    for (const auto* name : {"*", "da?e", "dave,erin", "!dave", "da ve", "", "#dave", "dave\nroot"}) {
      line.principal = name;
      INFO(name);
      CHECK_FALSE(with_trust_line("t", before, line).has_value());
    }
  }
  SECTION("removal by principal and by fingerprint") {
    const auto gone = without_trust_lines("t", *after, "dave");
    REQUIRE(gone.has_value());
    CHECK(gone->text == before + "\n");
    const auto other = without_trust_lines("t", *after, fingerprint(a.public_key()));
    REQUIRE(other.has_value());
    CHECK(other->text.find("carol") == std::string::npos);
    CHECK(other->text.find("this line is bad") != std::string::npos);
    CHECK_FALSE(without_trust_lines("t", *after, "erin").has_value());
  }
}

TEST_CASE("jitctl trust on files", "[jitctl]") {
  Fixture f;
  const auto key = f.put("k.pub", public_key_line(f.spawn.key->public_key()) + " carol@laptop\n");
  CHECK(f.jitctl({"trust", "list"}) == Exit::done);
  CHECK(f.jitctl({"trust", "list", "--file", "bogus"}) == Exit::failed);
  CHECK(f.jitctl({"trust", "add", key, "--principal", "carol"}) == Exit::refused);
  CHECK(f.err.str().find("needs root") != std::string::npos);
  CHECK(f.jitctl({"trust", "remove", "carol"}) == Exit::refused);
  f.context.uid = 0;
  CHECK(f.jitctl({"trust", "add", key, "--principal", "carol", "--valid-before", "2027-01-01T00:00:00Z"}) ==
        Exit::done);
  CHECK(f.jitctl({"trust", "add", key, "--principal", "carol"}) == Exit::failed);
  CHECK(f.jitctl({"trust", "list", "--json"}) == Exit::done);
  CHECK(f.out.str().find("\"principal\":\"carol\"") != std::string::npos);
  CHECK(f.out.str().find("\"valid\":true") != std::string::npos);
  CHECK(f.jitctl({"trust", "remove", "carol"}) == Exit::done);
  CHECK(f.jitctl({"trust", "remove", "carol"}) == Exit::failed);
  SECTION("a private key is not read for a public one") {
    const auto secret = f.put("k", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    CHECK(f.jitctl({"trust", "add", secret, "--principal", "carol"}) == Exit::failed);
    CHECK(f.err.str().find("private key") != std::string::npos);
  }
  SECTION("hosts are the person's own") {
    f.context.uid = 1000;
    CHECK(f.jitctl({"trust", "add", key, "--principal", "db1", "--file", "hosts"}) == Exit::done);
    CHECK(Fixture::get(f.root + "/home/.config/jit/hosts").find("db1 namespaces=\"jit-request") != std::string::npos);
  }
}

TEST_CASE("the first policy loads, whatever was answered", "[jitctl]") {
  FirstRole first;
  first.role = "web-admin";
  first.eligible = {"alice", "@dev"};
  first.groups = {"www-data"};
  first.approver = "carol";
  first.gates = {"sshd", "sudo-i", "sudo"};
  const auto text = first_policy(first);
  if (!text) FAIL(text.error().message);
  const auto policy = load_policy({{"p", *text}});
  REQUIRE(policy.has_value());
  const auto* role = policy->role("web-admin");
  REQUIRE(role != nullptr);
  CHECK(role->groups == std::vector<std::string>{"www-data"});
  CHECK(role->rules.at(0).then == Rule::Then::review);
  REQUIRE(policy->gate("sudo") != nullptr);
  CHECK_FALSE(policy->gate("sudo")->enforce);
  CHECK(role->opens == std::vector<std::string>{"sshd"});
  SECTION("names cannot break out of their string") {
    first.eligible = {"DOM\\al\"ice"};
    const auto odd = first_policy(first);
    REQUIRE(odd.has_value());
    CHECK(load_policy({{"p", *odd}})->role("web-admin")->eligible.at(0).name == "DOM\\al\"ice");
    first.role = "x]\n[roles.evil";
    CHECK_FALSE(first_policy(first).has_value());
  }
  SECTION("a role that gives nothing is refused in words of the command line") {
    first.groups.clear();
    if (const auto opens = first_policy(first); !opens) FAIL(opens.error().message);  // sshd
    first.gates = {"sudo"};
    CHECK(first_policy(first).error().message.find("--groups") != std::string::npos);
  }
  SECTION("a group as good as root is a person's decision") {
    first.groups = {"docker"};
    CHECK_FALSE(first_policy(first).has_value());
  }
}

TEST_CASE("the host's name in jitd.toml", "[jitctl]") {
  CHECK(with_host("", "db1") == "host = \"db1\"\n");
  CHECK(with_host("# c\nhost = \"old\"\nsegments = []\n", "db1") == "# c\nhost = \"db1\"\nsegments = []\n");
  CHECK(with_host("segments = []\n[ceilings]\nhost = 1\n", "db1") ==
        "segments = []\nhost = \"db1\"\n\n[ceilings]\nhost = 1\n");
  CHECK(with_host("# host = \"db1\"\n\n# x\n[a]\n", "db2") == "# host = \"db1\"\nhost = \"db2\"\n\n# x\n[a]\n");
  CHECK(with_host("a = 1", "db1") == "a = 1\nhost = \"db1\"\n");
  CHECK_FALSE(with_host("", "db 1").has_value());
  CHECK_FALSE(with_host("", "db\"1").has_value());
}

TEST_CASE("who is exempt and could log in", "[jitctl]") {
  Fixture f;
  std::filesystem::create_directories(f.root + "/h/keyed/.ssh");
  f.put("h/keyed/.ssh/authorized_keys", "ssh-ed25519 AAAA\n");
  f.put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nkeyed:x:1:1::" + f.root +
                          "/h/keyed:/bin/sh\nlocked:x:2:2::/h/locked:/bin/sh\n"
                          "noshell:x:3:3::/h:/usr/sbin/nologin\nresc:x:4:9::/h:/bin/sh\n");
  f.put("etc/group", "rescue:x:9:locked\nempty:x:10:\n");
  f.put(
      "etc/shadow",
      "root:$y$abc:1::::::\nkeyed:!:1::::::\nlocked:!$y$abc:1::::::\nnoshell:$y$abc:1::::::\nresc:$y$abc:1::::::\n");
  const auto why = [&](const std::string& words, const std::string& user,
                       const std::string& root_by_ssh = "") -> std::string {
    const auto logins = exempt_logins(f.context, *parse_exempt(words), root_by_ssh);
    REQUIRE(logins.has_value());
    for (const auto& login : *logins) {
      if (login.user == user) return login.why_not;
    }
    return "not covered";
  };
  CHECK(why("root", "root").empty());
  CHECK(why("root", "root", "yes").empty());
  CHECK_FALSE(why("root", "root", "no").empty());
  CHECK_FALSE(why("root", "root", "without-password").empty());  // no authorized_keys
  CHECK(why("keyed", "keyed").empty());
  CHECK_FALSE(why("locked", "locked").empty());
  CHECK_FALSE(why("noshell", "noshell").empty());
  CHECK_FALSE(why("ghost", "ghost").empty());
  CHECK(why("@rescue", "resc").empty());  // by primary group
  CHECK_FALSE(why("@rescue", "locked").empty());
  CHECK_FALSE(why("@empty", "@empty").empty());
  CHECK(need_exempt_login(f.context, "sudo", "locked,@rescue").has_value());
  const auto none = need_exempt_login(f.context, "sudo", "locked,ghost");
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().code == Errc::refused);
  CHECK_FALSE(parse_exempt("root,,x").has_value());
  CHECK_FALSE(parse_exempt("root x").has_value());
  CHECK_FALSE(parse_exempt("").has_value());
}

TEST_CASE("policy check and explain say what would happen", "[jitctl]") {
  Fixture f;
  f.put("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
  f.put("etc/group", "root:x:0:\n");
  f.put("etc/jit/policy.d/10.toml",
        "[defaults]\nmax_duration = \"4h\"\n[approvers]\nleads = [\"carol\"]\n[roles.dba]\neligible = "
        "[\"root\"]\ngroups = "
        "[\"postgres\"]\n[[roles.dba.rules]]\nthen = \"review\"\napprovals = [{ by = \"leads\", count = 1 }]\n");
  CHECK(f.jitctl({"policy", "check"}) == Exit::done);
  CHECK(f.out.str().find("group postgres is not in") != std::string::npos);
  CHECK(f.jitctl({"policy", "explain", "dba", "--user", "root"}) == Exit::done);
  CHECK(f.out.str().find("review") != std::string::npos);
  CHECK(f.out.str().find("carol") != std::string::npos);
  CHECK(f.jitctl({"policy", "explain", "none", "--user", "root"}) == Exit::refused);
  CHECK(f.jitctl({"policy", "show"}) == Exit::done);
  CHECK(f.out.str().find("rule 1     always: needs 1 of leads") != std::string::npos);

  SECTION("grants that would end") {
    Row grant;
    grant.text(Tag::id, "abcdabcdabcdabcd")
        .text(Tag::state, "active")
        .text(Tag::user, "root")
        .text(Tag::role, "web")
        .number(Tag::duration, 60);
    auto stays = Row()
                     .text(Tag::id, "staystaystaystay")
                     .text(Tag::state, "active")
                     .text(Tag::user, "root")
                     .text(Tag::role, "dba")
                     .number(Tag::duration, 60);
    f.daemon.answer(Verb::list, done({}, {grant, stays}));
    CHECK(f.jitctl({"policy", "check"}) == Exit::done);
    CHECK(f.out.str().find("would end: abcdabcdabcdabcd (web of root): its role is gone") != std::string::npos);
    CHECK(f.out.str().find("staystaystaystay") == std::string::npos);
  }
  SECTION("what a request would be refused is not explained as given") {
    CHECK(f.jitctl({"policy", "explain", "dba", "--user", "root", "--duration", "4h"}) == Exit::done);
    CHECK(f.jitctl({"policy", "explain", "dba", "--user", "root", "--duration", "5h"}) == Exit::refused);
    CHECK(f.out.str().find("this role is given for at most 4h") != std::string::npos);
    f.daemon.answer(Verb::roles, done({}, {Row().text(Tag::role, "dba").number(Tag::limit, 3600)}));
    CHECK(f.jitctl({"policy", "explain", "dba", "--user", "root", "--duration", "2h"}) == Exit::refused);
  }
  SECTION("a ticket that would make a rule match is named, unless one is given") {
    f.put("etc/jit/policy.d/20.toml",
          "[roles.web]\nmax_duration = \"1h\"\neligible = [\"root\"]\ngroups = [\"www-data\"]\n"
          "[[roles.web.rules]]\nwhen = { ticket = \"NO-.*\" }\nthen = \"deny\"\n"
          "[[roles.web.rules]]\nwhen = { ticket = \"CHG-[0-9]+\" }\nthen = \"approve\"\n");
    CHECK(f.jitctl({"policy", "explain", "web", "--user", "root"}) == Exit::refused);
    CHECK(f.out.str().find("with a ticket like CHG-[0-9]+ (--ticket, in a request -t) rule 2 could match") !=
          std::string::npos);
    CHECK(f.out.str().find("NO-") == std::string::npos);
    CHECK(f.jitctl({"policy", "explain", "web", "--user", "root", "--ticket", "CHG-1"}) == Exit::done);
    CHECK(f.out.str().find("could match") == std::string::npos);
  }
  SECTION("files that jitd does not take are not good") {
    const auto file = f.root + "/etc/jit/policy.d/10.toml";
    std::filesystem::permissions(file, std::filesystem::perms(0666));
    CHECK(f.jitctl({"policy", "check"}) == Exit::failed);
    CHECK(f.err.str().find("may be written by others") != std::string::npos);
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    CHECK(f.jitctl({"policy", "check"}) == Exit::done);
    std::filesystem::permissions(f.root + "/etc/jit/policy.d", std::filesystem::perms(0777));
    CHECK(f.jitctl({"policy", "check"}) == Exit::failed);
    CHECK(f.jitctl({"policy", "check", f.root + "/etc/jit/../jit/policy.d"}) == Exit::failed);
    // A draft elsewhere is nobody's yet.
    std::filesystem::rename(f.root + "/etc/jit/policy.d", f.root + "/draft");
    CHECK(f.jitctl({"policy", "check", f.root + "/draft"}) == Exit::done);
  }
  SECTION("an error names file, line and key") {
    f.put("etc/jit/policy.d/20.toml", "[roles.web]\nfrobnicate = 1\neligible = [\"root\"]\n");
    CHECK(f.jitctl({"policy", "check"}) == Exit::failed);
    CHECK(f.err.str().find("20.toml:2") != std::string::npos);
    CHECK(f.err.str().find("frobnicate") != std::string::npos);
  }
}

TEST_CASE("gate: lines are written and taken out, enforce only after its proofs", "[jitctl]") {
  Fixture f;
  f.context.uid = 0;
  f.put("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
  f.put("etc/group", "root:x:0:\n");
  f.put("etc/shadow", "root:$y$abc:1::::::\n");
  const std::string stack = "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_unix.so\n";
  f.put("etc/pam.d/login", stack);
  f.put("etc/pam.d/other", stack);
  const auto text = [&] { return Fixture::get(f.root + "/etc/pam.d/login"); };

  REQUIRE(f.jitctl({"gate", "observe", "login", "--exempt", "root"}) == Exit::done);
  CHECK(text().find("mode=observe") != std::string::npos);
  CHECK(text().find("exempt=root") != std::string::npos);
  CHECK(f.jitctl({"gate", "list"}) == Exit::done);
  CHECK(f.out.str().find("observe") != std::string::npos);

  // Enforce: each missing proof alone refuses, and nothing is written.
  const std::vector<std::string> enforce = {"gate", "enforce", "login", "--yes"};
  CHECK(f.jitctl(enforce) == Exit::unreachable);
  f.daemon.answer(Verb::inspect, done(Row().text(Tag::host, "db1")));
  CHECK(f.jitctl(enforce) != Exit::done);  // no approver
  CHECK(f.err.str().find("no approver") != std::string::npos);
  f.put("etc/jit/trust/approvers", "carol " + public_key_line(f.spawn.key->public_key()) + "\n");
  const auto shadow = f.root + "/etc/shadow";
  f.put("etc/shadow", "root:!:1::::::\n");
  CHECK(f.jitctl(enforce) == Exit::refused);  // no exempt login
  CHECK(f.err.str().find("no exempt account could log in") != std::string::npos);
  f.put("etc/shadow", "root:$y$abc:1::::::\n");
  CHECK(f.jitctl(enforce) == Exit::unreachable);  // jitd does not tell whom it would have refused
  CHECK(text().find("mode=enforce") == std::string::npos);
  f.daemon.answer(
      Verb::observed,
      done({},
           {Row().text(Tag::subject, "bob").text(Tag::gate, "login").number(Tag::count, 3).number(Tag::time, 1)}));
  // The fall-back timer cannot be armed (there is no systemd-run here): nothing is enforced without a way back.
  CHECK(f.jitctl(enforce) == Exit::failed);
  CHECK(f.err.str().find("bob") != std::string::npos);
  CHECK(text().find("mode=enforce") == std::string::npos);

  CHECK(f.jitctl({"gate", "off", "login"}) == Exit::done);
  CHECK(text() == stack);
  SECTION("not as anybody") {
    f.context.uid = 1000;
    for (const auto* what : {"observe", "enforce", "confirm", "off"})
      CHECK(f.jitctl({"gate", what, "login"}) == Exit::refused);
  }
  SECTION("a service that is a path is none") {
    CHECK(f.jitctl({"gate", "observe", "../jit/jitd.toml"}) != Exit::done);
    CHECK(f.jitctl({"gate", "off", "../shadow"}) != Exit::done);
    CHECK(f.jitctl({"gate", "confirm", "../shadow"}) != Exit::done);
  }
}

TEST_CASE("a gate that waits to be confirmed keeps its way back whatever becomes of another enforce", "[jitctl]") {
  Fixture f;
  f.context.uid = 0;
  f.context.places.systemd = f.root;
  f.spawn.systemd = true;
  f.put("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
  f.put("etc/group", "root:x:0:\n");
  f.put("etc/shadow", "root:$y$abc:1::::::\n");
  const std::string stack = "account required pam_unix.so\nsession required pam_unix.so\n";
  f.put("etc/pam.d/login", stack);
  f.put("etc/pam.d/other", stack);
  f.put("etc/jit/trust/approvers", "carol " + public_key_line(f.spawn.key->public_key()) + "\n");
  f.daemon.answer(Verb::inspect, done(Row().text(Tag::host, "db1")));
  f.daemon.answer(Verb::observed, done());
  // What systemd was told: timers that were armed, and of those what was not stopped.
  const auto standing = [&] {
    std::vector<std::string> timers;
    for (const auto& request : f.spawn.requests) {
      if (request.argv[0].ends_with("/systemd-run")) timers.push_back(request.argv[5].substr(7) + ".timer");
      if (request.argv[0].ends_with("/systemctl")) std::erase(timers, request.argv.back());
    }
    return timers;
  };
  const std::vector<std::string> enforce = {"gate", "enforce", "login", "--yes"};
  REQUIRE(f.jitctl(enforce) == Exit::done);
  const auto first = standing();
  REQUIRE(first.size() == 1);
  const auto waiting = remembered(f.context, "login");
  REQUIRE((waiting && *waiting));
  CHECK((*waiting)->timer == first[0]);

  SECTION("the proof fails") {
    f.put("etc/pam.d/login", Fixture::get(f.root + "/etc/pam.d/login") + "account [default=reset] pam_unix.so\n");
    CHECK(f.jitctl(enforce) == Exit::refused);
    CHECK(standing() == first);
  }
  SECTION("the files cannot be written") {
    // In the way of the temporary file: a directory is not unlinked.
    std::filesystem::create_directories(f.root + "/etc/pam.d/.login.tmp/x");
    CHECK(f.jitctl(enforce) == Exit::failed);
    CHECK(standing() == first);
    CHECK((*remembered(f.context, "login"))->timer == first[0]);
  }
  SECTION("it is done again") {
    CHECK(f.jitctl(enforce) == Exit::done);
    CHECK(standing().size() == 1);
    CHECK(standing() != first);
    // The new one stands before the old one goes.
    CHECK(f.spawn.requests.back().argv.back() == first[0]);
  }
  SECTION("it is done again where systemd is not the init") {
    f.context.places.systemd = f.root + "/none";
    CHECK(f.jitctl(enforce) == Exit::failed);  // no gate-lines here
    CHECK((*remembered(f.context, "login"))->timer == first[0]);
    f.spawn.gate_lines = true;
    CHECK(f.jitctl(enforce) == Exit::done);
    const auto change = remembered(f.context, "login");
    REQUIRE((change && *change));
    CHECK((*change)->timer != first[0]);
    CHECK(f.spawn.requests.back().argv == std::vector<std::string>{f.context.places.usr + "/libexec/jit/gate-lines",
                                                                   "fall-back", "login", (*change)->timer, "600"});
  }
}

TEST_CASE("gate off for sudo while a grant with sudo is active", "[jitctl]") {
  Fixture f;
  f.context.uid = 0;
  const std::string stack = "account required pam_unix.so\nsession required pam_unix.so\n";
  f.put("etc/pam.d/sudo", stack);
  f.put("etc/pam.d/other", stack);
  REQUIRE(f.jitctl({"gate", "observe", "sudo"}) == Exit::done);
  std::string effects = "group postgres gid 5\n";
  f.daemon.answer(Verb::list, done({}, {Row().text(Tag::id, "abcdabcdabcdabcd").text(Tag::state, "active")}));
  f.daemon.on(Verb::show, [&](const Row&) -> Result<Reply> { return done(Row().text(Tag::effects, effects)); });
  f.daemon.answer(Verb::release, done());
  SECTION("only groups: no matter") {
    CHECK(f.jitctl({"gate", "off", "sudo"}) == Exit::done);
  }
  SECTION("with sudo: refused, unless they are ended first") {
    effects += "sudo as root uid 0: /usr/bin/id\n";
    CHECK(f.jitctl({"gate", "off", "sudo"}) == Exit::refused);
    CHECK(Fixture::get(f.root + "/etc/pam.d/sudo") != stack);
    CHECK(f.jitctl({"gate", "off", "sudo", "--end-grants"}) == Exit::done);
    CHECK(f.daemon.calls.back().first == Verb::release);
    CHECK(Fixture::get(f.root + "/etc/pam.d/sudo") == stack);
  }
  SECTION("without jitd the drop-ins tell") {
    f.daemon.handlers.clear();
    std::filesystem::create_directories(f.root + "/run/sudoers.d");
    f.put("run/sudoers.d/jit-abcdabcdabcdabcd", "#1001 ...\n");
    CHECK(f.jitctl({"gate", "off", "sudo"}) == Exit::refused);
  }
}

TEST_CASE("confirming a gate", "[jitctl]") {
  Fixture f;
  f.context.uid = 0;
  f.context.places.systemd = f.root;
  const std::string stack = "account required pam_unix.so\nsession required pam_unix.so\n";
  f.put("etc/pam.d/login", stack);
  f.put("etc/pam.d/other", stack);
  REQUIRE(set_gate(f.root + "/etc/pam.d", "login", GateMode::enforce, {}).has_value());
  CHECK(f.jitctl({"gate", "confirm", "login"}) == Exit::failed);  // nothing waits
  // The audit session that we are in has two processes, the older of them from 50 s after boot; a third is of
  // another.
  struct Links {
    std::string parent = "1", session = "1";
  };
  const auto process = [&](const std::string& pid, const std::string& audit, const std::string& ticks,
                           const Links& links = {}) {
    const std::string dir = "proc/" + pid;
    std::filesystem::create_directories(f.root + "/" + dir);
    f.put(dir + "/sessionid", audit);
    f.put(dir + "/stat", pid + " (a) b) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 " + ticks + " 0 0\n");
    f.put(dir + "/status", "Name:\ta) b\nPPid:\t" + links.parent +
                               "\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nNSsid:\t" + links.session + "\n");
  };
  const std::string self = std::to_string(::getpid());
  process(self, "7", "9900");
  process("300", "7", "9000");
  process("200", "7", "5000");
  process("100", "6", "1000");
  // A change at the moment at which the session began, or after it: not through the gate as it is now.
  const std::string boot(36, 'b');
  std::string boot_id = Fixture::get("/proc/sys/kernel/random/boot_id").substr(0, 36);
  REQUIRE(remember(f.context, "login", {boot_id, 50000, "t.timer"}).has_value());
  CHECK(f.jitctl({"gate", "confirm", "login"}) == Exit::refused);
  CHECK(f.err.str().find("before the change") != std::string::npos);
  CHECK(remembered(f.context, "login")->has_value());
  // Opened after the change it is a new session; the timer cannot be stopped here, so it is not confirmed.
  REQUIRE(remember(f.context, "login", {boot_id, 49999, "t.timer"}).has_value());
  CHECK(f.jitctl({"gate", "confirm", "login"}) == Exit::failed);
  // In an audit session that sudo began, in a login that was there before the change: it is that login's.
  process(self, "9", "9500", {"301", "250"});
  process("301", "9", "9400", {"200", "250"});
  REQUIRE(remember(f.context, "login", {boot_id, 60000, "t.timer"}).has_value());
  CHECK(f.jitctl({"gate", "confirm", "login"}) == Exit::refused);
  // Where nobody has one, the shell that it was typed in counts: from 40 s after boot.
  const std::string unset = "4294967295";
  process(self, "10", "9500", {"302", "250"});
  process("302", "10", "9400", {"250", "250"});
  process("250", unset, "4000", {"20", "250"});
  process("20", unset, "100", {"1", "20"});
  REQUIRE(remember(f.context, "login", {boot_id, 40000, "t.timer"}).has_value());
  CHECK(f.jitctl({"gate", "confirm", "login"}) == Exit::refused);
  REQUIRE(remember(f.context, "login", {boot_id, 39999, "t.timer"}).has_value());
  CHECK(f.jitctl({"gate", "confirm", "login"}) == Exit::failed);  // by its timer alone
  process(self, "7", "9900");
  // Another boot: its timers are gone with it.
  REQUIRE(remember(f.context, "login", {boot, UINT64_MAX / 2, "t.timer"}).has_value());
  CHECK(f.jitctl({"gate", "confirm", "login"}) == Exit::done);
  CHECK_FALSE(remembered(f.context, "login")->has_value());
  // What fell back already is not confirmed.
  REQUIRE(set_gate(f.root + "/etc/pam.d", "login", GateMode::observe, {}).has_value());
  REQUIRE(remember(f.context, "login", {boot, 1, "t.timer"}).has_value());
  CHECK(f.jitctl({"gate", "confirm", "login"}) == Exit::refused);
}
