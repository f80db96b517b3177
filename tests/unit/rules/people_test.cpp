// Who is who: persons count, not keys, and nobody reviews their own request.
#include <algorithm>

#include "policy/rules/people.hpp"
#include "policy/text.hpp"
#include "tests/unit/rules/policies.hpp"

using namespace jit;
using test::loaded;

namespace {

PersonRef person(const std::string& name) {
  return {name, true};
}
PersonRef user(const std::string& name) {
  return {name, false};
}
PublicKey key(const std::string& name) {
  return {KeyType::ed25519, "blob of " + name};
}

TrustLine line(const std::string& principal, const std::string& key_name) {
  TrustLine result;
  result.principal = principal;
  result.key = key(key_name);
  return result;
}

Signer signer(const std::string& principal, const std::string& key_name) {
  Signer result;
  result.principal = principal;
  result.key = key(key_name);
  return result;
}

const std::string kPeople = R"(
[people.carol]
users = ["carol", "carol-adm"]
principals = ["carol@example.org"]
[people.dave]
users = ["dave"]
[people.ghost]
users = ["somebody-else"]
)";

// carol's two keys under two of her names, dave's, and one of a user of no person.
TrustSet trust() {
  TrustSet set;
  set.approvers.path = "approvers";
  set.hosts.path = "hosts";
  set.approvers.lines = {line("carol@example.org", "c1"), line("carol-adm", "c2"), line("dave", "d"),
                         line("frank", "f")};
  return set;
}

struct Counted {
  std::vector<PersonRef> persons;
  std::vector<std::string> refused;
};

Counted count(const std::vector<Signer>& signers, const TrustSet& set = trust(), const Locks& locks = {},
              const std::vector<PersonRef>& excluded = {}, const std::string& policy_text = kPeople,
              WallTime now = WallTime(Seconds(1000))) {
  Counted result;
  result.persons =
      counting_persons(loaded(policy_text), set, Kind::review, signers, locks, excluded, {now, now}, &result.refused);
  return result;
}

std::string does_not_count(const std::string& principal, const std::string& why) {
  return "the signature of " + principal + ": " + why;
}

}  // namespace

TEST_CASE("users, principals and names lead to persons", "[rules]") {
  const Policy policy = loaded(kPeople);
  CHECK(person_of_user(policy, "carol-adm") == person("carol"));
  CHECK(person_of_user(policy, "frank") == user("frank"));
  CHECK(person_of_user(policy, "Carol") == user("Carol"));
  CHECK(person_of_principal(policy, "carol@example.org") == person("carol"));
  CHECK(person_of_principal(policy, "carol-adm") == person("carol"));
  CHECK(person_of_principal(policy, "frank") == user("frank"));
  // Nothing is stripped: frank@example.org is not frank (CVE-2025-49012).
  CHECK(person_of_principal(policy, "frank@example.org") == user("frank@example.org"));
  // [people.ghost] lists neither a user nor a principal "ghost": the word is nobody's.
  CHECK(person_of_principal(policy, "ghost") == std::nullopt);
  CHECK(person_of_name(policy, "ghost") == person("ghost"));
  CHECK(person_of_name(policy, "carol-adm") == person("carol"));
  CHECK(person_of_name(policy, "frank") == user("frank"));
}

TEST_CASE("a key under two persons is void, over all files", "[rules]") {
  const Policy policy = loaded(kPeople);
  TrustFile one, other;
  one.lines = {line("carol", "c1"), line("carol@example.org", "c1"), line("dave", "d")};
  CHECK(void_keys(policy, {&one}).empty());  // two names of one person
  other.lines = {line("frank", "d")};
  CHECK(void_keys(policy, {&one, &other}) == std::set<std::string>{key("d").blob});
  CHECK(void_keys(policy, {&one, nullptr}).empty());

  TrustSet set = trust();
  set.approvers.lines.push_back(line("frank", "d"));
  const Counted both = count({signer("dave", "d"), signer("frank", "d")}, set);
  CHECK(both.persons.empty());
  CHECK(both.refused ==
        std::vector<std::string>{does_not_count("dave", "the key stands under two persons and is void"),
                                 does_not_count("frank", "the key stands under two persons and is void")});
  SECTION("also when the second stands in the file of hosts") {
    TrustSet hosts = trust();
    hosts.hosts.lines.push_back(line("db1", "d"));
    CHECK(count({signer("dave", "d")}, hosts).persons.empty());
  }
  SECTION("and when one of the names is nobody") {
    TrustSet ghost = trust();
    ghost.approvers.lines.push_back(line("ghost", "d"));
    CHECK(count({signer("dave", "d")}, ghost).persons.empty());
  }
}

TEST_CASE("persons are counted once, however many keys they sign with", "[rules]") {
  const Counted counted = count({signer("carol@example.org", "c1"), signer("carol-adm", "c2"), signer("frank", "f")});
  CHECK(counted.persons == std::vector<PersonRef>{person("carol"), user("frank")});
  CHECK(counted.refused.empty());
}

TEST_CASE("only keys that stand in the trust file now count", "[rules]") {
  const std::string gone = "the key is no longer trusted for this";
  TrustSet empty = trust();
  empty.approvers.lines.clear();
  CHECK(count({signer("dave", "d")}, empty).refused == std::vector<std::string>{does_not_count("dave", gone)});
  CHECK(count({signer("dave", "d")}, TrustSet{}).refused ==
        std::vector<std::string>{does_not_count("dave", "nobody is trusted for this here")});
  // The same key under another principal than it signed for.
  CHECK(count({signer("carol-adm", "d")}).refused == std::vector<std::string>{does_not_count("carol-adm", gone)});

  TrustSet set = trust();
  SECTION("for this kind of document") {
    set.approvers.lines[2].namespaces = {"jit-lock"};
    CHECK(count({signer("dave", "d")}, set).refused == std::vector<std::string>{does_not_count("dave", gone)});
    set.approvers.lines[2].namespaces = {"jit-lock", "jit-review"};
    CHECK(count({signer("dave", "d")}, set).persons == std::vector<PersonRef>{person("dave")});
  }
  SECTION("within its validity at this time") {
    const std::string invalid = "the key is not valid at this time";
    set.approvers.lines[2].valid_after = WallTime(Seconds(1001));
    CHECK(count({signer("dave", "d")}, set).refused == std::vector<std::string>{does_not_count("dave", invalid)});
    set.approvers.lines[2].valid_after = WallTime(Seconds(1000));
    CHECK(count({signer("dave", "d")}, set).persons.size() == 1);
    set.approvers.lines[2].valid_before = WallTime(Seconds(1000));
    CHECK(count({signer("dave", "d")}, set).refused == std::vector<std::string>{does_not_count("dave", invalid)});
  }
  SECTION("and never for a principal that is nobody") {
    set.approvers.lines.push_back(line("ghost", "g"));
    CHECK(count({signer("ghost", "g")}, set).refused ==
          std::vector<std::string>{does_not_count("ghost", "[people] has this name but lists it under nobody")});
  }
  SECTION("the file of hosts says nothing about reviews") {
    TrustSet hosts = empty;
    hosts.hosts.lines = {line("dave", "d")};
    CHECK(count({signer("dave", "d")}, hosts).persons.empty());
  }
}

TEST_CASE("what is locked does not count", "[rules]") {
  const std::vector<Signer> carol = {signer("carol@example.org", "c1")};
  const std::string locked = "its signer is locked";
  for (const char* name : {"carol", "carol-adm"}) {
    Locks locks;
    locks.approvers = {name};
    CHECK(count(carol, trust(), locks).refused ==
          std::vector<std::string>{does_not_count("carol@example.org", locked)});
    locks = {};
    locks.users = {name};
    CHECK(count(carol, trust(), locks).persons.empty());
  }
  Locks locks;
  locks.approvers = {"dave"};
  CHECK(count(carol, trust(), locks).persons.size() == 1);
  locks.keys = {fingerprint(key("c1"))};
  CHECK(count(carol, trust(), locks).refused ==
        std::vector<std::string>{does_not_count("carol@example.org", "the key is locked")});
  CHECK(count({signer("carol-adm", "c2")}, trust(), locks).persons.size() == 1);
}

TEST_CASE("P1: nobody behind a request counts for it, by whatever account or key", "[rules]") {
  const std::vector<Signer> both = {signer("carol@example.org", "c1"), signer("carol-adm", "c2")};
  const std::string own = "nobody reviews their own request";
  CHECK(count(both, trust(), {}, {person("carol")}).refused ==
        std::vector<std::string>{does_not_count("carol@example.org", own), does_not_count("carol-adm", own)});

  SECTION("as a user, recorded before [people] said who that is") {
    CHECK(count(both, trust(), {}, {user("carol-adm")}).persons.empty());
  }
  SECTION("as a person whom [people] no longer has") {
    TrustSet set = trust();
    set.approvers.lines = {line("carol", "c1")};
    const std::vector<Signer> carol = {signer("carol", "c1")};
    CHECK(count(carol, set, {}, {person("carol")}, "").persons.empty());
    CHECK(count(carol, set, {}, {person("dave")}, "").persons == std::vector<PersonRef>{user("carol")});
  }
  SECTION("as a user whom [people] lists under another person by now") {
    CHECK(count({signer("dave", "d")}, trust(), {}, {user("newname")},
                "[people.dave]\nusers = [\"dave\", \"newname\"]\n")
              .persons.empty());
  }
}

TEST_CASE("the same person under yesterday's and today's [people]", "[rules]") {
  const Policy policy = loaded(kPeople);
  CHECK(same_person(policy, person("carol"), user("carol-adm")));
  CHECK(same_person(policy, user("carol"), user("carol-adm")));
  CHECK(same_person(policy, person("gone"), user("gone")));
  CHECK(same_person(policy, person("gone"), person("gone")));
  CHECK_FALSE(same_person(policy, person("carol"), person("dave")));
  CHECK_FALSE(same_person(policy, user("frank"), user("Frank")));
  // A user "ghost" is not the person whom [people] calls ghost and who has other accounts.
  CHECK_FALSE(same_person(policy, user("ghost"), person("ghost")));
}

TEST_CASE("who may approve, revoke and lock", "[rules]") {
  const std::string sets = kPeople + R"(
[approvers]
leads = ["carol", "carol-adm", "frank"]
others = ["dave"]
unused = ["erin"]
[roles.a]
eligible = ["x"]
max_duration = "1h"
[[roles.a.rules]]
then = "review"
approvals = [{ by = "leads" }]
[roles.b]
eligible = ["x"]
max_duration = "1h"
[[roles.b.rules]]
then = "review"
approvals = [{ by = "others" }]
)";
  const Policy policy = loaded(sets);
  CHECK(approvers_of(policy, *policy.role("a")) == std::set<PersonRef>{person("carol"), user("frank")});
  CHECK(all_approvers(policy) == std::set<PersonRef>{person("carol"), user("frank"), person("dave")});
  CHECK(revokers(policy).empty());
  CHECK(lockers(policy) == all_approvers(policy));
  CHECK(persons_of_set(policy, "nothing").empty());

  Policy with_revokers = policy;
  with_revokers.approvers["revokers"] = {"erin"};
  CHECK(revokers(with_revokers) == std::set<PersonRef>{user("erin")});
  CHECK(lockers(with_revokers) == std::set<PersonRef>{user("erin")});
  with_revokers.approvers["revokers"] = {};
  CHECK(lockers(with_revokers).empty());  // a set of nobody is nobody, not everybody (CVE-2019-25058)
}
