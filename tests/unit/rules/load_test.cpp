// What a policy's text may say, and the very words in which it is refused.
#include <algorithm>

#include "tests/unit/rules/policies.hpp"

using namespace jit;
using test::kFull;
using test::loaded;
using test::problems;

namespace {

// A role "r" with what `extra` says beside the least that it needs; `rules` and later tables behind it.
std::string role(const std::string& extra, const std::string& behind = "") {
  return "[roles.r]\neligible = [\"alice\"]\nmax_duration = \"1h\"\n" + extra + behind;
}
const std::string kSets = "\n[approvers]\nleads = [\"carol\", \"dave\"]\n";

struct Bad {
  std::string text;
  std::string error;
};

void check_all(const std::vector<Bad>& cases) {
  for (const Bad& bad : cases) {
    INFO(bad.text);
    const std::vector<std::string> got = problems(bad.text);
    REQUIRE(!got.empty());
    CHECK(got.front() == bad.error);
  }
}

}  // namespace

TEST_CASE("a policy with every key loads as it says", "[rules]") {
  const Policy policy = loaded(kFull);
  CHECK(policy.warnings == std::vector<std::string>{});
  CHECK(policy.people.at("carol").users == std::vector<std::string>{"carol", "carol-adm"});
  CHECK(policy.people.at("carol").principals == std::vector<std::string>{"carol@example.org"});
  CHECK(policy.approvers.at("dba-leads") == std::vector<std::string>{"carol", "dave"});

  const Role* role = policy.role("postgres-admin");
  REQUIRE(role != nullptr);
  CHECK(role->description == "Operate PostgreSQL");
  REQUIRE(role->eligible.size() == 2);
  CHECK(to_text(role->eligible[0]) == "@dba");
  CHECK(role->eligible[0].kind == Subject::Kind::group);
  CHECK(to_text(role->eligible[1]) == "alice");
  CHECK(role->segments == std::vector<std::string>{"pci-db"});
  CHECK(role->groups == std::vector<std::string>{"postgres"});
  CHECK(role->opens == std::vector<std::string>{"login", "sudo"});
  CHECK_FALSE(role->terminate_on_end);
  CHECK_FALSE(role->dangerous);
  CHECK(role->max_duration == std::chrono::hours(3));
  CHECK(role->place.line == 16);

  REQUIRE(role->sudo.size() == 1);
  CHECK(role->sudo[0].as == "postgres");
  REQUIRE(role->sudo[0].commands.size() == 2);
  CHECK(role->sudo[0].commands[0] == Command{"/usr/bin/psql", {}, false});
  CHECK(role->sudo[0].commands[1] == Command{"/usr/bin/systemctl", {"restart", "postgresql"}, false});
  CHECK_FALSE(role->sudo[0].password);
  CHECK(role->sudo[0].record == Recording::required);

  REQUIRE(role->rules.size() == 3);
  CHECK(role->rules[0].then == Rule::Then::approve);
  CHECK(role->rules[0].name == "on call");
  CHECK(role->rules[0].when.users == std::vector<std::string>{"alice", "bob"});
  CHECK(role->rules[0].when.groups == std::vector<std::string>{"oncall"});
  CHECK(role->rules[0].when.duration == Seconds(7200));
  CHECK(role->rules[0].when.ticket == "INC-[0-9]+");
  CHECK(role->rules[1].then == Rule::Then::deny);
  CHECK(role->rules[1].message == "Call the duty manager.");
  CHECK(role->rules[2].then == Rule::Then::review);
  CHECK(role->rules[2].when.always());
  CHECK(role->rules[2].approvals == std::vector<Approval>{{"dba-leads", 1}, {"security", 1}});
  CHECK(role->rules[2].limit_duration == Seconds(3600));

  const Gate* gate = policy.gate("login");
  REQUIRE(gate != nullptr);
  CHECK(gate->services == std::vector<std::string>{"sshd", "login"});
  CHECK(gate->users.at(0).kind == Subject::Kind::everybody);
  CHECK(to_text(gate->except.at(1)) == "@breakglass");
  CHECK(gate->enforce);
  CHECK_FALSE(gate->guards_sudo());
  CHECK(policy.gate("sudo")->guards_sudo());
  CHECK(gate->help == "Ask with: jitctl request db-login -m why");
  CHECK(policy.role("nobody") == nullptr);
  CHECK(policy.gate("nobody") == nullptr);
}

TEST_CASE("what a policy leaves out has its documented default", "[rules]") {
  const Policy policy = loaded(role("") + "[[roles.r.sudo]]\nas = \"daemon\"\ncommands = [\"/bin/true\"]\n" +
                               "[[gates]]\nname = \"g\"\nservices = [\"sshd\"]\nusers = [\"*\"]\n");
  const Role* r = policy.role("r");
  REQUIRE(r != nullptr);
  CHECK(r->terminate_on_end);
  CHECK_FALSE(r->dangerous);
  CHECK(r->sudo.at(0).password);
  CHECK(r->sudo.at(0).record == Recording::none);
  const Policy best =
      loaded(role("") + "[[roles.r.sudo]]\nas = \"daemon\"\ncommands = [\"/bin/true\"]\nrecord = \"best-effort\"\n");
  CHECK(best.role("r")->sudo.at(0).record == Recording::best_effort);
  CHECK_FALSE(policy.gate("g")->enforce);
  CHECK(load_policy({})->roles.empty());
}

TEST_CASE("keys of later releases and unknown keys are errors that name file, line and key", "[rules]") {
  const std::string later = ": this release cannot enforce it yet; remove the key";
  const std::string review = "\n[[roles.r.rules]]\nthen = \"review\"\napprovals = [{ by = \"leads\" }]\n";
  check_all({
      {role("", "\n[[roles.r.rules]]\nthen = \"approve\"\nlimits = { duration = \"2h\", total = \"1h\" }\n" + kSets),
       "p.toml:7: roles.r.rules[1].limits.total: is shorter than duration, so that the rule would never give that "
       "much"},
      {role("", review + "limits = { total = \"1h\" }\n" + kSets),
       "p.toml:8: roles.r.rules[1].limits.total: has a meaning only with then = \"approve\": it bounds what is given "
       "without a person"},
      {role("", review + "escalate = [{ after = \"30m\", by = \"leads\" }]\n" + kSets),
       "p.toml:8: roles.r.rules[1].escalate" + later},
      {role("from = [\"10.0.0.0/8\"]\n"), "p.toml:4: roles.r.from" + later},
      {role("once = true\n"), "p.toml:4: roles.r.once" + later},
      {role("commands = [\"/bin/true\"]\n"), "p.toml:4: roles.r.commands" + later},
      {role("start = \"2026-01-01\"\n"), "p.toml:4: roles.r.start" + later},
      {role("extends = \"other\"\n"), "p.toml:4: roles.r.extends" + later},
      {role("", "\n[[roles.r.rules]]\nthen = \"deny\"\nwhen = { networks = [\"10.0.0.0/8\"] }\n"),
       "p.toml:7: roles.r.rules[1].when.networks" + later},
      {role("", "\n[[roles.r.rules]]\nthen = \"deny\"\nwhen = { hours = \"Mon-Fri 07:00-20:00 UTC\" }\n"),
       "p.toml:7: roles.r.rules[1].when.hours" + later},
      {role("", "\n[[roles.r.rules]]\nthen = \"deny\"\nwhen = { risk_at_least = 70 }\n"),
       "p.toml:7: roles.r.rules[1].when.risk_at_least" + later},
      {role("", "\n[[roles.r.rules]]\nthen = \"deny\"\nwhen = { risk_below = 70 }\n"),
       "p.toml:7: roles.r.rules[1].when.risk_below" + later},
      {role("", "\n[[roles.r.rules]]\nthen = \"deny\"\nwhen = { facts = { patched = true } }\n"),
       "p.toml:7: roles.r.rules[1].when.facts" + later},
      {role("", "\n[[roles.r.rules]]\nthen = \"approve\"\nlimits = { from = [\"10.0.0.0/8\"] }\n"),
       "p.toml:7: roles.r.rules[1].limits.from" + later},
      {role("elegible = [\"bob\"]\n"),
       "p.toml:4: roles.r.elegible: unknown key; known here: dangerous, description, eligible, "
       "end_past_view_age, groups, max_duration, max_view_age, on_end, opens, past_view_age, past_view_duration, "
       "rules, "
       "segments and sudo"},
      {"[default]\nmax_duration = \"1h\"\n",
       "p.toml:1: default: unknown key; known here: approvers, defaults, gates, people and roles"},
      {"[defaults]\n\"max\\u001bduration\" = \"1h\"\n",
       "p.toml:2: defaults.\"max\\x1bduration\": unknown key; known here: end_past_view_age, max_duration, "
       "max_view_age, past_view_age and past_view_duration"},
      {"[people.x]\nuser = [\"x\"]\n", "p.toml:2: people.x.user: unknown key; known here: principals and users"},
  });
}

TEST_CASE("values of the wrong type or out of their range are errors", "[rules]") {
  check_all({
      {"roles = 3\n", "p.toml:1: roles: must be a table, not a whole number"},
      {"[roles]\nr = \"x\"\n", "p.toml:2: roles.r: must be a table, not a string"},
      {role("dangerous = \"yes\"\n"), "p.toml:4: roles.r.dangerous: must be true or false, not a string"},
      {role("groups = \"postgres\"\n"), "p.toml:4: roles.r.groups: must be an array of strings, not a string"},
      {role("groups = [1]\n"), "p.toml:4: roles.r.groups: must be an array of strings, but has a whole number"},
      {role("groups = [\"a\",\n \"a\"]\n"), "p.toml:5: roles.r.groups: \"a\" stands in it twice"},
      {role("groups = []\n"), "p.toml:4: roles.r.groups: must not be empty; name something or remove the key"},
      {role("description = \"a\\u001b[2Jb\"\n"),
       "p.toml:4: roles.r.description: has a control character 0x1b at byte 1"},
      {role("description = \"a\\nb\"\n"), "p.toml:4: roles.r.description: must be one line"},
      {role("on_end = \"kill\"\n"), "p.toml:4: roles.r.on_end: must be \"terminate\" or \"leave\""},
      {role("rules = [3]\n"), "p.toml:4: roles.r.rules[1]: must be a table, not a whole number"},
      {"[roles.r]\nmax_duration = \"1h\"\n",
       "p.toml:1: roles.r.eligible: is missing: who may ask for the role? [] is nobody"},
      {"[roles.r]\neligible = [\"a\"]\n", "p.toml:1: roles.r: has no max_duration, and [defaults] has none"},
  });
  CHECK(problems("\nx = \n").front().starts_with("p.toml:2: not valid TOML: "));
  CHECK(problems(std::string("x = \"") + '\xff' + "\"\n").front() == "p.toml:1: the line is not UTF-8");
  CHECK(problems("x = 1\n#" + std::string(9000, 'x')).front() == "p.toml:2: the line is longer than 8192 bytes");
  CHECK(problems(std::string(kMaxPolicyFile + 1, '\n')).front() == "p.toml:1: the file is larger than 1048576 bytes");
  const std::string beyond = "there is a character beyond ASCII outside quotes";
  CHECK(problems("\nx = {\xc4\xa4\n").front() == "p.toml:2: " + beyond);
  CHECK(problems("x = \"\"\"\n\xc4\xa4\"\"\"\"\"\xc4\xa4").front() == "p.toml:2: " + beyond);
  CHECK(problems("x = '\\'\xc4\xa4").front() == "p.toml:1: " + beyond);
  CHECK(problems("[people.a] # \xc4\xa4 \"\nusers = [\"\\\"\xc4\xa4\", '\xc4\xa4\"']\n").empty());
  std::string parts = "a";
  for (int i = 0; i < 40; ++i) parts += " .a";
  CHECK(problems("\n" + parts + " = 1\n").front() == "p.toml:2: a key has more than 32 parts");
  std::string deep = "x = ";
  for (int i = 0; i < 20; ++i) deep += "[";
  for (int i = 0; i < 20; ++i) deep += "]";
  CHECK(problems(deep).front() == "p.toml: tables are nested deeper than 16");
}

TEST_CASE("rules say what they mean or are refused", "[rules]") {
  const auto rule = [](const std::string& text) { return role("", "[[roles.r.rules]]\n" + text) + kSets; };
  const std::string where = "p.toml:5: roles.r.rules[1].";
  check_all({
      {rule("name = \"x\"\n"), "p.toml:4: roles.r.rules[1].then: is missing: \"approve\", \"deny\" or \"review\""},
      {rule("then = \"allow\"\n"), where + "then: must be \"approve\", \"deny\" or \"review\""},
      {rule("then = \"review\"\n"),
       "p.toml:4: roles.r.rules[1].approvals: is missing: by whom, for example [ { by = \"leads\", count = 1 } ]"},
      {rule("approvals = [{ by = \"leads\" }]\nthen = \"approve\"\n"),
       where + "approvals: has no meaning but with then = \"review\""},
      {rule("limits = { duration = \"1h\" }\nthen = \"deny\"\n"),
       where + "limits: has no meaning with then = \"deny\""},
      {rule("approvals = [{ count = 1 }]\nthen = \"review\"\n"),
       where + "approvals[1].by: is missing: the name of a set in [approvers]"},
      {rule("approvals = [{ by = \"leads\", count = 0 }]\nthen = \"review\"\n"),
       where + "approvals[1].count: must be from 1 to 16"},
      {rule("approvals = [{ by = \"leads\", count = -1 }]\nthen = \"review\"\n"),
       where + "approvals[1].count: must be from 1 to 16"},
      {rule("approvals = [{ by = \"nobody\" }]\nthen = \"review\"\n"),
       where + "approvals[1].by: there is no set \"nobody\" in [approvers]"},
      {rule("approvals = [{ by = \"leads\", count = 3 }]\nthen = \"review\"\n"),
       where + "approvals: can never be reached by different people: 3 of \"leads\" (which has 2 people)"},
      {rule("approvals = [{ by = \"leads\", count = 2 }, { by = \"leads\" }]\nthen = \"review\"\n"),
       where + "approvals: can never be reached by different people: 2 of \"leads\" (which has 2 people) and 1 of "
               "\"leads\" (which has 2 people)"},
      {rule("when = { users = [] }\nthen = \"approve\"\n"),
       where + "when.users: must not be empty; name something or remove the key"},
      {rule("when = { groups = [\"@dba\"] }\nthen = \"approve\"\n"),
       where + "when.groups: write groups without @, under groups"},
      {rule("when = { duration = \"1 hour\" }\nthen = \"approve\"\n"),
       [&] { return where + "when.duration: " + parse_duration("1 hour").error().message; }()},
      {rule("when = { ticket = \"(\" }\nthen = \"approve\"\n"),
       where + "when.ticket: the pattern \"(\" has a ( without )"},
  });
}

TEST_CASE("one person under two set names is one person for a count", "[rules]") {
  const std::string text = role("[[roles.r.rules]]\nthen = \"review\"\napprovals = [{ by = \"s\", count = 2 }]\n") +
                           "[people.carol]\nusers = [\"carol\", \"cc\"]\n[approvers]\ns = [\"carol\", \"cc\"]\n";
  CHECK(problems(text).front() ==
        "p.toml:6: roles.r.rules[1].approvals: can never be reached by different people: 2 of \"s\" (which has 1 "
        "person)");
}

TEST_CASE("nobody is two people", "[rules]") {
  check_all({
      {"[people.a]\nusers = [\"x\"]\n[people.b]\nusers = [\"y\", \"x\"]\n",
       "p.toml:4: people.b.users: \"x\" stands under \"a\" already, at p.toml:2; nobody is two people"},
      {"[people.a]\nprincipals = [\"x@y\"]\n[people.b]\nprincipals = [\"x@y\"]\n",
       "p.toml:4: people.b.principals: \"x@y\" stands under \"a\" already, at p.toml:2; nobody is two people"},
      {"[people.a]\nusers = [\"x\"]\n[people.b]\nprincipals = [\"x\"]\n",
       "p.toml:4: people.b.principals: \"x\" stands under \"a\" already, at p.toml:2; nobody is two people"},
      {"[people.a]\nprincipals = [\"*@y\"]\n",
       "p.toml:2: people.a.principals: \"*@y\" cannot be a principal: one literal name, without blanks, commas, "
       "quotes, "
       "# or patterns"},
      {"[approvers]\ns = [\"@wheel\"]\n",
       "p.toml:2: approvers.s: \"@wheel\" is a group; name people or users, since whoever edits a group would choose "
       "the "
       "approvers"},
  });
  CHECK(problems("[people.a]\nusers = [\"x\"]\nprincipals = [\"x\"]\n").empty());
}

TEST_CASE("gates say whom they hold, and roles open gates that exist", "[rules]") {
  const auto gate = [](const std::string& text) { return "[[gates]]\n" + text; };
  check_all({
      {gate("services = [\"sshd\"]\nusers = [\"*\"]\n"), "p.toml:1: gates[1].name: is missing"},
      {gate("name = \"g\"\nusers = [\"*\"]\n"),
       "p.toml:1: gates[1].services: is missing: the PAM services that the gate stands before"},
      {gate("name = \"g\"\nservices = [\"sshd\"]\n"),
       "p.toml:1: gates[1].users: is missing: whom the gate holds; [\"*\"] is everybody"},
      {gate("name = \"g\"\nservices = [\"../sshd\"]\nusers = [\"*\"]\n"),
       "p.toml:3: gates[1].services: \"../sshd\" is not the name of a PAM service (a file in /etc/pam.d)"},
      {gate("name = \"g\"\nservices = [\"sshd\"]\nusers = [\"*\"]\nmode = \"on\"\n"),
       "p.toml:5: gates[1].mode: must be \"observe\" or \"enforce\""},
      {gate("name = \"g\"\nservices = [\"sshd\"]\nusers = [\"*\"]\nexcept = [\"*\"]\n"),
       "p.toml:5: gates[1].except: \"*\" cannot stand here; name users, or groups as \"@group\""},
      {role("opens = [\"nowhere\"]\n"), "p.toml:4: roles.r.opens: there is no gate \"nowhere\" in [[gates]]"},
      {role("groups = [\"rescue\"]\n",
            gate("name = \"g\"\nservices = [\"sshd\"]\nusers = [\"*\"]\nexcept = [\"@rescue\"]\n")),
       "p.toml:4: roles.r.groups: \"rescue\" is in `except` of gate \"g\" at p.toml:9: the role would open that gate "
       "by the "
       "back door"},
  });
}

TEST_CASE("a gate that the table of checks could not hold is refused where it stands", "[rules]") {
  const std::string fits(63, 'g');
  const auto gate = [](const std::string& name, const std::string& service) {
    return "[[gates]]\nname = \"" + name + "\"\nservices = [\"" + service + "\"]\nusers = [\"*\"]\n";
  };
  CHECK(problems(gate(fits, fits)).empty());
  check_all({
      {gate(fits + "g", "sshd"), "p.toml:2: gates[1].name: is longer than 63 characters"},
      {gate("g", fits + "g"), "p.toml:3: gates[1].services: \"" + fits + "g\" is longer than 63 bytes"},
  });
  std::string many;
  for (int i = 0; i < 64; ++i) many += gate("g" + std::to_string(i), "sshd");
  CHECK(problems(many).empty());
  CHECK_FALSE(problems(many + gate("one-more", "sshd")).empty());
  std::string services;
  for (int i = 0; i < 1025; ++i) services += (i == 0 ? "\"s" : ", \"s") + std::to_string(i) + "\"";
  CHECK_FALSE(problems("[[gates]]\nname = \"g\"\nusers = [\"*\"]\nservices = [" + services + "]\n").empty());
}

TEST_CASE("what amounts to root needs dangerous = true", "[rules]") {
  const auto sudo = [](const std::string& as, const std::string& command) {
    return "[[roles.r.sudo]]\nas = \"" + as + "\"\ncommands = [\"" + command + "\"]\n";
  };
  const std::string where = "p.toml:6: roles.r.sudo[1].commands: ";
  const std::string meant =
      " as root is as good as any command as root; say dangerous = true in the role if that is meant";
  check_all({
      {role("groups = [\"docker\"]\n"),
       "p.toml:4: roles.r.groups: \"docker\" is as good as root; say dangerous = true if that is meant"},
      {role("", sudo("root", "ALL")), where + "\"ALL\" needs dangerous = true in the role"},
      {role("", sudo("postgres", "ALL")), where + "\"ALL\" needs dangerous = true in the role"},
      {role("", sudo("root", "/bin/bash")), where + "\"/bin/bash\"" + meant},
      {role("", sudo("root", "/usr/bin/vim /etc/motd")), where + "\"/usr/bin/vim /etc/motd\"" + meant},
      {role("", sudo("root", "/usr/bin/systemctl ...")), where + "\"/usr/bin/systemctl ...\"" + meant},
      {role("", sudo("ALL", "/bin/true")), "p.toml:5: roles.r.sudo[1].as: \"ALL\" is not a user; name one"},
      {role("", sudo("root", "/usr/bin/")),
       where +
           [] {
             const auto command = parse_command("/usr/bin/");
             return command ? std::string("\"/usr/bin/\" is a directory; name each command")
                            : command.error().message;
           }()},
      {role("", "[[roles.r.sudo]]\ncommands = [\"/bin/true\"]\n"),
       "p.toml:4: roles.r.sudo[1].as: is missing: the user to run as"},
      {role("", "[[roles.r.sudo]]\nas = \"root\"\n"),
       "p.toml:4: roles.r.sudo[1].commands: is missing: the commands that the role runs"},
  });
  for (const std::string& text :
       {role("dangerous = true\ngroups = [\"docker\"]\n"), role("dangerous = true\n", sudo("root", "ALL")),
        role("dangerous = true\n", sudo("root", "/bin/bash")), role("", sudo("postgres", "/usr/bin/psql ...")),
        role("", sudo("root", "/usr/bin/systemctl restart nginx"))}) {
    INFO(text);
    CHECK(problems(text).empty());
  }
}

TEST_CASE("a second definition names both places, over files too", "[rules]") {
  const auto both = [](const std::string& a, const std::string& b) {
    std::vector<std::string> all;
    static_cast<void>(load_policy({{"20-b.toml", b}, {"10-a.toml", a}}, &all));
    REQUIRE(all.size() == 1);
    return all.front();
  };
  CHECK(both(role(""), role("")) == "20-b.toml:1: roles.r: is defined already at 10-a.toml:1; keep one of them");
  CHECK(both("\n[people.x]\nusers = [\"x\"]\n", "[people.x]\nusers = [\"y\"]\n") ==
        "20-b.toml:1: people.x: is defined already at 10-a.toml:2; keep one of them");
  CHECK(both("[approvers]\ns = [\"x\"]\n", "[approvers]\n\ns = [\"y\"]\n") ==
        "20-b.toml:3: approvers.s: is defined already at 10-a.toml:2; keep one of them");
  CHECK(both("[defaults]\nmax_duration = \"1h\"\n", "[defaults]\nmax_duration = \"2h\"\n") ==
        "20-b.toml:2: defaults.max_duration: is defined already at 10-a.toml:2; keep one of them");
  const std::string gate = "[[gates]]\nname = \"g\"\nservices = [\"sshd\"]\nusers = [\"*\"]\n";
  CHECK(both(gate, gate) == "20-b.toml:1: gates \"g\": is defined already at 10-a.toml:1; keep one of them");
  CHECK(problems(role("") + role("")).size() == 1);
}

TEST_CASE("files are read in name order, whatever order they come in", "[rules]") {
  const std::string a = "[defaults]\nmax_duration = \"1h\"\n";
  const std::string b = "[roles.r]\neligible = [\"alice\"]\n";
  const auto one = load_policy({{"a.toml", a}, {"b.toml", b}});
  const auto other = load_policy({{"b.toml", b}, {"a.toml", a}});
  REQUIRE(one.has_value());
  REQUIRE(other.has_value());
  CHECK(one->digest == other->digest);
  CHECK(one->role("r")->max_duration == std::chrono::hours(1));

  SECTION("the digest is of names and texts, not of the folder") {
    CHECK(load_policy({{"/x/a.toml", a}, {"/x/b.toml", b}})->digest == one->digest);
    CHECK(load_policy({{"c.toml", a}, {"d.toml", b}})->digest != one->digest);
    CHECK(load_policy({{"a.toml", a + "#\n"}, {"b.toml", b}})->digest != one->digest);
  }
}

TEST_CASE("a policy is all or nothing, and says how much is wrong", "[rules]") {
  const auto policy = load_policy({{"a.toml", kFull}, {"b.toml", "[roles.q]\nx = 1\n"}});
  REQUIRE_FALSE(policy.has_value());
  CHECK(policy.error().message ==
        "b.toml:1: roles.q.eligible: is missing: who may ask for the role? [] is nobody (and 1 more)");
}

TEST_CASE("a policy that loads may still be warned of", "[rules]") {
  const auto warnings = [](const std::string& text) { return loaded(text).warnings; };
  const auto has = [&](const std::string& text, const std::string& warning) {
    const auto all = warnings(text);
    return std::find(all.begin(), all.end(), warning) != all.end();
  };
  CHECK(has(role(""), "p.toml:1: role \"r\": has no rules, so it is always denied"));
  CHECK(has(role(""), "p.toml:1: role \"r\": gives nothing: no groups, no opens, no sudo"));
  CHECK(has("[roles.r]\neligible = []\nmax_duration = \"1h\"\n", "p.toml:1: role \"r\": nobody is eligible for it"));
  CHECK(has(role("", kSets), "p.toml:6: approvers.leads: no rule asks for this set"));
  CHECK(has("[people.a]\nusers = [\"x\", \"a\"]\n[approvers]\nrevokers = [\"a\", \"x\"]\n",
            "p.toml:4: approvers.revokers: names one person twice; persons count once"));
  CHECK(has(role("", "[[roles.r.rules]]\nthen = \"deny\"\n[[roles.r.rules]]\nthen = \"approve\"\n"),
            "p.toml:6: role \"r\": rule 2 is never reached, since rule 1 always matches"));
  CHECK(has("[[gates]]\nname = \"g\"\nservices = [\"sshd\"]\nusers = [\"*\"]\nmode = \"enforce\"\n",
            "p.toml:1: gate \"g\": enforces with nobody in `except`; keep a rescue account, root or a local group"));
  CHECK(has(role("", "[[roles.r.sudo]]\nas = \"daemon\"\ncommands = [\"/bin/true\"]\n"),
            "p.toml:1: role \"r\": has sudo lines but opens no enforced gate on sudo; hosts will refuse it"));
}
