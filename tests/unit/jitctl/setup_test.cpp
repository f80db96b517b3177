// jitctl setup and doctor: nothing is written before all of it is known to be good, and what is left is said.
#include <cstring>

#include "jitctl/checkup.hpp"
#include "jitctl/policy_files.hpp"
#include "jitctl/trust_edit.hpp"
#include "tests/unit/jitctl/fixture.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;
using wire::Verb;

namespace {

struct Host : Fixture {
  std::string key = put("carol.pub", public_key_line(spawn.key->public_key()) + "\n");

  Host() {
    context.uid = 0;
    put("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    put("etc/group", "root:x:0:\nweb:x:9:\n");
    daemon.answer(Verb::inspect, done(Row()
                                          .text(Tag::host, "db1")
                                          .text(Tag::host_key, "SHA256:x")
                                          .text(Tag::value, public_key_line(spawn.key->public_key()))));
  }
  [[nodiscard]] std::string approvers() const { return get(root + "/etc/jit/trust/approvers"); }
  [[nodiscard]] std::string policy() const { return get(root + "/etc/jit/policy.d/10-first.toml"); }
};

}  // namespace

TEST_CASE("setup without flags says what is still to do, and by what line approvers know this host", "[jitctl]") {
  Host f;
  CHECK(f.jitctl({"setup"}) == Exit::done);
  CHECK(f.out.str().find("Still to do: an approver") != std::string::npos);
  CHECK(f.out.str().find("Still to do: a first role") != std::string::npos);
  const auto at = f.out.str().find("~/.config/jit/hosts: db1 ");
  REQUIRE(at != std::string::npos);
  const auto line = f.out.str().substr(at + 21, f.out.str().find('\n', at) - at - 21);
  const auto trust = parse_trust("hosts", line);
  REQUIRE(trust.lines.size() == 1);
  CHECK(trust.lines[0].principal == "db1");
  CHECK(trust.lines[0].allows_namespace("jit-request"));
}

TEST_CASE("setup goes on when jitd has read what it wrote: the next command counts on it", "[jitctl]") {
  Host f;
  int asked = 0;
  f.daemon.on(Verb::health, [&](const Row&) {
    const auto policy = read_policy(f.context.places);
    Row result;
    if (++asked == 1) result.text(Tag::warning, "nobody is trusted to approve: no usable line");
    Row digest;
    digest.text(Tag::name, "policy_digest");
    digest.text(Tag::value, asked == 2 ? "sha256:of before" : digest_text(policy.value().digest));
    return done(result, {digest});
  });
  CHECK(f.jitctl({"setup", "--unproven", "--approver", "carol=" + f.key, "--role", "web", "--groups", "web",
                  "--eligible", "root"}) == Exit::done);
  CHECK(asked == 3);
}

TEST_CASE("setup writes nothing when some of it is wrong", "[jitctl]") {
  Host f;
  const std::vector<std::string> start = {"setup", "--unproven", "--approver", "carol=" + f.key};
  for (const auto& more :
       std::vector<std::vector<std::string>>{{"--role", "web"},
                                             {"--role", "we b", "--eligible", "root"},
                                             {"--role", "web", "--eligible", "root", "--groups", "docker"},
                                             {"--gate", "../shadow"},
                                             {"--host", "a b"}}) {
    auto all = start;
    all.insert(all.end(), more.begin(), more.end());
    CHECK(f.jitctl(all) == Exit::failed);
    CHECK(f.approvers().empty());
    CHECK(f.policy().empty());
    CHECK(f.get(f.root + "/etc/jit/jitd.toml").empty());
  }
}

TEST_CASE("setup asks again where an answer cannot be, and warns of what this host lacks", "[jitctl]") {
  Host f;
  f.put("etc/pam.d/sudo", "account required pam_unix.so\nsession required pam_unix.so\n");
  f.put("etc/pam.d/other", "account required pam_unix.so\nsession required pam_unix.so\n");
  f.answers("db1\ncarol\n/no/such.pub\n" + f.key + "\n\nwe b\nweb\nnogroup-here\n\nroot\n\nroot,@rescue\n");
  CHECK(f.jitctl({"setup", "--unproven"}) == Exit::done);
  INFO(f.err.str());
  CHECK(f.approvers().find("carol ") != std::string::npos);
  CHECK(f.policy().find("[roles.web]") != std::string::npos);
  CHECK(f.policy().find("except = [\"root\", \"@rescue\"]") != std::string::npos);
  CHECK(f.err.str().find("group nogroup-here is not in") != std::string::npos);
  CHECK(f.get(f.root + "/etc/pam.d/sudo").find("exempt=root,@rescue") != std::string::npos);
  CHECK(f.get(f.root + "/etc/pam.d/sudo").find("mode=observe") != std::string::npos);
}

TEST_CASE("doctor passes on what jitd --check says, once", "[jitctl]") {
  Host f;
  f.spawn.check = "warning: x\njitd: /etc/jit/jitd.toml:1: bogus: unknown key\njitd: said before\n";
  Findings findings;
  findings.problem("the policy does not load: said before", "");
  check_config(f.context, findings);
  REQUIRE(findings.all().size() == 2);
  CHECK(findings.all()[1].level == Finding::Level::problem);
  CHECK(findings.all()[1].what.find("bogus: unknown key") != std::string::npos);
}

TEST_CASE("doctor: without the dead-man's unit nothing is given", "[jitctl]") {
  Host f;
  f.spawn.systemd = true;
  f.context.places.systemd = f.root;
  const auto about_dead_man = [&] {
    Findings findings;
    check_units(f.context, findings);
    return findings.all().back();
  };
  f.spawn.load_state = "loaded\n";
  CHECK(about_dead_man().level == Finding::Level::fine);
  f.spawn.load_state = "masked\n";
  CHECK(about_dead_man().level == Finding::Level::problem);
  CHECK(about_dead_man().todo == "systemctl unmask jit-expire@.service");
  f.spawn.load_state = "not-found\n";
  CHECK(about_dead_man().level == Finding::Level::problem);
}

TEST_CASE("doctor: where users may make user namespaces, a group can be kept in one", "[jitctl]") {
  Host f;
  const auto told = [&] {
    Findings findings;
    check_namespaces(f.context, findings);
    return findings.mentions("can keep in one, past the end, a group");
  };
  CHECK_FALSE(told());  // no role gives a group
  REQUIRE(f.jitctl({"setup", "--unproven", "--approver", "carol=" + f.key, "--role", "web", "--groups", "web",
                    "--eligible", "root"}) == Exit::done);
  CHECK(told());
  for (const char* setting : {"kernel/unprivileged_userns_clone", "user/max_user_namespaces"}) {
    std::filesystem::create_directories(f.root + "/proc/sys/" + std::string(setting, strcspn(setting, "/")));
    f.put(std::string("proc/sys/") + setting, "1\n");
    CHECK(told());
    f.put(std::string("proc/sys/") + setting, "0\n");
    CHECK_FALSE(told());
    f.put(std::string("proc/sys/") + setting, "1\n");
  }
}

TEST_CASE("doctor: where sudo can have no audit session of its own, a login that it opens can stay", "[jitctl]") {
  Host f;
  f.daemon.answer(Verb::health, done({}, {Row().text(Tag::name, "processes").text(Tag::value, "scopes")}));
  const auto weaker = [&] {
    Findings findings;
    check_daemon(f.context, findings);
    return findings.mentions("does not end with the grant");
  };
  CHECK(weaker());  // no kernel answers here
  std::filesystem::create_directories(f.root + "/proc/self");
  f.put("proc/self/loginuid", "4294967295");
  CHECK_FALSE(weaker());
  CHECK(Fixture::get(f.root + "/proc/self/loginuid").starts_with("0"));
}

TEST_CASE("audit log -n prints the newest, in order", "[jitctl]") {
  Host f;
  std::vector<Row> entries;
  for (std::uint64_t number = 1; number <= 9; ++number) {
    entries.push_back(Row()
                          .number(Tag::sequence, number)
                          .number(Tag::time, 1)
                          .text(Tag::event, "event" + std::to_string(number))
                          .text(Tag::previous, std::string(64, '0'))
                          .text(Tag::hash, std::string(64, '0')));
  }
  f.daemon.on(Verb::audit, [&](const Row& asked) -> Result<Reply> {
    const auto from = asked.number(Tag::sequence).value_or(0);
    REQUIRE(from >= 1);
    return from > entries.size() ? done() : done({}, {entries.begin() + static_cast<long>(from) - 1, entries.end()});
  });
  CHECK(f.jitctl({"audit", "log", "-n", "2"}) == Exit::done);
  CHECK(f.out.str().find("event7") == std::string::npos);
  CHECK(f.out.str().find("event8") < f.out.str().find("event9"));
  CHECK(f.jitctl({"audit", "log", "-n", "2", "--from", "3"}) == Exit::done);
  CHECK(f.out.str().find("event3") < f.out.str().find("event4"));
  CHECK(f.out.str().find("event5") == std::string::npos);
  CHECK(f.jitctl({"audit", "log", "--from", "100"}) == Exit::done);
  CHECK(f.err.str().find("No entry") != std::string::npos);
}
