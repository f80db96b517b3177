// Who is who: persons behind users and keys. Persons count, not keys.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/document/kinds.hpp"
#include "policy/document/verify.hpp"
#include "policy/rules/policy.hpp"

namespace jit {

// The person of a user: the one of [people] that lists the user, else the user itself.
[[nodiscard]] PersonRef person_of_user(const Policy& policy, std::string_view user);

// The person of a principal in a trust file: the one of [people] that lists it, else the person of the user with
// exactly that whole name; nullopt (nobody) when [people] has an entry of that name that lists neither. Nothing is
// stripped.
[[nodiscard]] std::optional<PersonRef> person_of_principal(const Policy& policy, std::string_view principal);

// The person that an approver set names: the entry of [people] of that name, else the person of that user.
[[nodiscard]] PersonRef person_of_name(const Policy& policy, std::string_view name);

// Keys (blobs) that stand under two persons, over all trust files: void, they count for nobody.
[[nodiscard]] std::set<std::string> void_keys(const Policy& policy, const std::vector<const TrustFile*>& files);

// What is locked now: signed locks in force.
struct Locks {
  std::set<std::string> users;
  std::set<std::string> keys;       // fingerprints
  std::set<std::string> approvers;  // names as person_of_name reads them
};

// The times between which it is now: a clock may have been set, either way.
struct TimeRange {
  WallTime earliest, latest;
};

// The persons whose consent counts now: every signer whose key still stands in `trust` (for `kind`'s file) under the
// same principal, valid at both ends of `now`, not void, not locked, and not one of `excluded` (the people behind a
// request). `refused` gets a line for people on each signature that does not count.
[[nodiscard]] std::vector<PersonRef> counting_persons(const Policy& policy, const TrustSet& trust, Kind kind,
                                                      const std::vector<Signer>& signers, const Locks& locks,
                                                      const std::vector<PersonRef>& excluded, const TimeRange& now,
                                                      std::vector<std::string>* refused);

// True when `a` and `b` are one person under today's [people], although they may have been recorded under
// yesterday's.
[[nodiscard]] bool same_person(const Policy& policy, const PersonRef& a, const PersonRef& b);

// "carol", "carol and dave": for people.
[[nodiscard]] std::string names_of(const std::vector<PersonRef>& persons);

// The persons of an approver set; nobody for a set that there is not.
[[nodiscard]] std::set<PersonRef> persons_of_set(const Policy& policy, const std::string& set);
// The persons who may approve a role: everyone in a `by` of its rules.
[[nodiscard]] std::set<PersonRef> approvers_of(const Policy& policy, const Role& role);
// The reserved set [approvers] revokers, which may revoke anything.
[[nodiscard]] std::set<PersonRef> revokers(const Policy& policy);
// The approvers of any role.
[[nodiscard]] std::set<PersonRef> all_approvers(const Policy& policy);
// Who may lock and unlock: the revokers, or without that set every approver.
[[nodiscard]] std::set<PersonRef> lockers(const Policy& policy);

}  // namespace jit
