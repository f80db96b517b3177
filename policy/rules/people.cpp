#include "policy/rules/people.hpp"

#include <algorithm>

#include "policy/text.hpp"

namespace jit {
namespace {

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The same person under today's [people]: a person that [people] no longer has is the user of that name, if anybody.
PersonRef today(const Policy& policy, const PersonRef& person) {
  if (person.listed && policy.people.contains(person.name)) return person;
  return person_of_user(policy, person.name);
}

// Why a signer's key does not count as it stands in the file now, or nullopt.
std::optional<std::string> objection(const TrustFile& file, Kind kind, const Signer& signer, const TimeRange& now) {
  bool standing = false;
  for (const TrustLine& line : file.lines) {
    if (line.principal != signer.principal || !(line.key == signer.key)) continue;
    if (!line.allows_namespace(kind_namespace(kind))) continue;
    if (line.valid_at(now.earliest) && line.valid_at(now.latest)) return std::nullopt;
    standing = true;
  }
  return standing ? "the key is not valid at this time" : "the key is no longer trusted for this";
}

bool any_same(const Policy& policy, const std::vector<PersonRef>& persons, const PersonRef& person) {
  return std::any_of(persons.begin(), persons.end(),
                     [&](const PersonRef& other) { return same_person(policy, other, person); });
}

bool locked(const Policy& policy, const Locks& locks, const PersonRef& person) {
  for (const std::string& name : locks.approvers)
    if (same_person(policy, person_of_name(policy, name), person)) return true;
  for (const std::string& user : locks.users)
    if (same_person(policy, person_of_user(policy, user), person)) return true;
  return false;
}

}  // namespace

PersonRef person_of_user(const Policy& policy, std::string_view user) {
  for (const auto& [name, person] : policy.people)
    if (contains(person.users, user)) return {name, true};
  return {std::string(user), false};
}

std::optional<PersonRef> person_of_principal(const Policy& policy, std::string_view principal) {
  for (const auto& [name, person] : policy.people)
    if (contains(person.principals, principal)) return PersonRef{name, true};
  const PersonRef user = person_of_user(policy, principal);
  // [people.carol] that lists neither a user nor a principal "carol" makes that word ambiguous: it is nobody's.
  if (!user.listed && policy.people.contains(std::string(principal))) return std::nullopt;
  return user;
}

PersonRef person_of_name(const Policy& policy, std::string_view name) {
  if (policy.people.contains(std::string(name))) return {std::string(name), true};
  return person_of_user(policy, name);
}

std::set<std::string> void_keys(const Policy& policy, const std::vector<const TrustFile*>& files) {
  // A principal that is nobody stands for itself here: a key under it and under a person is under two.
  std::map<std::string, PersonRef> owners;
  std::set<std::string> result;
  for (const TrustFile* file : files) {
    if (file == nullptr) continue;
    for (const TrustLine& line : file->lines) {
      const PersonRef person = person_of_principal(policy, line.principal).value_or(PersonRef{line.principal, false});
      const auto [it, fresh] = owners.emplace(line.key.blob, person);
      if (!fresh && it->second != person) result.insert(line.key.blob);
    }
  }
  return result;
}

namespace {

// Whether the one key stands under two persons.
bool is_void(const Policy& policy, const std::vector<const TrustFile*>& files, const PublicKey& key) {
  std::optional<PersonRef> owner;
  for (const TrustFile* file : files) {
    for (const TrustLine& line : file->lines) {
      if (!(line.key == key)) continue;
      const PersonRef person = person_of_principal(policy, line.principal).value_or(PersonRef{line.principal, false});
      if (owner && *owner != person) return true;
      owner = person;
    }
  }
  return false;
}

}  // namespace

std::vector<PersonRef> counting_persons(const Policy& policy, const TrustSet& trust, Kind kind,
                                        const std::vector<Signer>& signers, const Locks& locks,
                                        const std::vector<PersonRef>& excluded, const TimeRange& now,
                                        std::vector<std::string>* refused) {
  std::set<PersonRef> counting;
  const TrustFile* file = trust.for_kind(kind);
  for (const Signer& signer : signers) {
    std::optional<std::string> why;
    const std::optional<PersonRef> person = person_of_principal(policy, signer.principal);
    if (file == nullptr) {
      why = "nobody is trusted for this here";
    } else if (why = objection(*file, kind, signer, now); why) {
      // said
    } else if (!person) {
      why = "[people] has this name but lists it under nobody";
    } else if (is_void(policy, trust.all(), signer.key)) {
      why = "the key stands under two persons and is void";
    } else if (locks.keys.contains(fingerprint(signer.key))) {
      why = "the key is locked";
    } else if (locked(policy, locks, *person)) {
      why = "its signer is locked";
    } else if (any_same(policy, excluded, *person)) {
      why = "nobody reviews their own request";
    }
    if (!why) {
      counting.insert(*person);
    } else if (refused != nullptr) {
      refused->push_back("the signature of " + shown(signer.principal, 256) + ": " + *why);
    }
  }
  return {counting.begin(), counting.end()};
}

bool same_person(const Policy& policy, const PersonRef& a, const PersonRef& b) {
  return a == b || today(policy, a) == today(policy, b);
}

std::string names_of(const std::vector<PersonRef>& persons) {
  std::vector<std::string> names;
  names.reserve(persons.size());
  for (const PersonRef& person : persons) names.push_back(shown(person.name, 256));
  return joined(names);
}

std::set<PersonRef> persons_of_set(const Policy& policy, const std::string& set) {
  std::set<PersonRef> result;
  const auto it = policy.approvers.find(set);
  if (it == policy.approvers.end()) return result;
  for (const std::string& name : it->second) result.insert(person_of_name(policy, name));
  return result;
}

std::set<PersonRef> approvers_of(const Policy& policy, const Role& role) {
  std::set<PersonRef> result;
  for (const Rule& rule : role.rules)
    for (const Approval& approval : rule.approvals) result.merge(persons_of_set(policy, approval.by));
  return result;
}

std::set<PersonRef> revokers(const Policy& policy) {
  return persons_of_set(policy, "revokers");
}

std::set<PersonRef> all_approvers(const Policy& policy) {
  std::set<PersonRef> result;
  for (const auto& [name, role] : policy.roles) result.merge(approvers_of(policy, role));
  return result;
}

std::set<PersonRef> lockers(const Policy& policy) {
  return policy.approvers.contains("revokers") ? revokers(policy) : all_approvers(policy);
}

}  // namespace jit
