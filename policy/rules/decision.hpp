// The decision: a pure function of policy, wish, facts and consents, with its reasons. No I/O, no clock, no logging.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "policy/document/kinds.hpp"
#include "policy/rules/people.hpp"
#include "policy/rules/policy.hpp"

namespace jit {

// What the host knows of the user at decision time.
struct Facts {
  std::string user;
  std::uint32_t uid = 0;
  std::set<std::string> groups;       // by name, without the memberships that we gave
  std::vector<std::string> segments;  // of this host
  // Of the role that is asked for: how long the user had it by rules that approve by themselves, in the 24 h before
  // it would begin. nullopt: not known.
  std::optional<Seconds> given = Seconds{0};
  // How old this host's view of revocations is: that of the newest numbered list with none missing before it.
  // nullopt: it has none, or that is not known. What is in force already is judged with 0.
  std::optional<Seconds> view_age = {};
  std::optional<Seconds> max_view_age = {};  // the host's own bound, for roles that say nothing
};

struct Wish {
  std::string role;
  Seconds duration{0};  // 0: the smaller of 1 h and the role's maximum
  std::string ticket;
  bool direct = false;  // a direct grant: origin "grant"
};

// Far apart in bits, and compared to `approve` exactly: nothing that goes wrong turns into consent (CVE-2023-42465).
enum class Verdict : std::uint32_t { deny = 0x2b5ce3a1, review = 0x6ad19c35, approve = 0xd14e3a6b };

struct Need {  // one entry of `approvals`, with how far it is
  std::string by;
  unsigned count = 0;
  unsigned have = 0;
  std::vector<std::string> candidates;  // who may still sign, for people
};

struct Decision {
  Verdict verdict = Verdict::deny;
  Seconds duration{0};               // what would be granted: wish, role, rule and ceiling, the least
  std::string rule;                  // "rule 2 (office network)", empty when none matched
  std::string message;               // the rule's own, for the user
  std::vector<Need> needs;           // review: what is asked for
  std::vector<std::string> reasons;  // why, a line each, for people and audit
  std::string past_view;             // why the host's view of revocations counts against it; empty: it does not
  Seconds unshortened{0};            // `duration`, if it did not
  bool view_denies = false;          // that, and nothing else, denies it
};

inline constexpr Seconds kDefaultDuration = std::chrono::hours(1);

// Judges a wish. `consents`: distinct persons whose approval counts (people.hpp). For a review rule the verdict is
// approve when every approval is satisfied at once by different people (a matching, so no order of signers matters),
// else review. A direct grant under a rule that approves by itself needs one consent of an approver of the role (or,
// for a role without approvers, of a revoker), else it is denied. No role, not eligible, wrong segment, no matching
// rule: deny. A rule that would by itself give more than its `total` does not match, unless a person has signed.
// Where the host's view of revocations is too old for the role, what a rule would grant is denied, shortened, or
// needs an approver of the role beside everybody that it needs otherwise.
[[nodiscard]] Decision decide(const Policy& policy, const Wish& wish, const Facts& facts,
                              const std::vector<PersonRef>& consents, Seconds ceiling, WallTime now);

// For people: for how long a role is given at most, on this host or, where it is named, by a rule.
[[nodiscard]] std::string at_most(Seconds most, const std::string& rule = "");
// The same of a decision that gives less than was asked for.
[[nodiscard]] std::string at_most(const Decision& decision);

// Whether `subject` covers this user.
[[nodiscard]] bool covers(const Subject& subject, const Facts& facts);

}  // namespace jit
