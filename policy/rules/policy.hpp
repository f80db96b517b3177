// The policy as data: what /etc/jit/policy.d says. Made by rules/load.hpp, judged by rules/decision.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policy/digest.hpp"
#include "policy/document/effects.hpp"
#include "policy/time.hpp"

namespace jit {

struct Place {  // where in the text a thing was said
  std::string file;
  unsigned line = 0;
};

// A user name, "@group", or "*" for everybody.
struct Subject {
  enum class Kind : std::uint8_t { user, group, everybody } kind = Kind::user;
  std::string name;
  bool operator==(const Subject&) const = default;
};
[[nodiscard]] std::string to_text(const Subject& subject);

struct Person {
  std::vector<std::string> users;
  std::vector<std::string> principals;
  Place place;
};

// When a rule matches: all that is set must hold. Unset: always.
struct When {
  std::vector<std::string> users;     // any of these
  std::vector<std::string> groups;    // member of any of these (memberships of our own giving do not count)
  std::optional<Seconds> duration;    // the wish is for at most this long
  std::optional<std::string> ticket;  // rules/pattern.hpp, matches the whole ticket; no ticket: unknown
  [[nodiscard]] bool always() const { return users.empty() && groups.empty() && !duration && !ticket; }
};

struct Approval {  // `count` different people out of the set `by`
  std::string by;
  unsigned count = 1;
  bool operator==(const Approval&) const = default;
};

struct Rule {
  // Far apart in bits, like Verdict: a value that is none of these denies.
  enum class Then : std::uint32_t { deny = 0x5b3a94c6, review = 0xa8d6732d, approve = 0x36c15ae9 } then = Then::deny;
  std::string name;
  When when;
  std::vector<Approval> approvals;  // review: all of them, by different people
  std::optional<Seconds> limit_duration;
  std::optional<Seconds>
      limit_total;      // approve: of the role in 24 h to one user, by rules that approve by themselves
  std::string message;  // for people who are denied
  Place place;
};

struct SudoRule {
  std::string as;
  std::vector<Command> commands;
  bool password = true;
  Recording record = Recording::none;
};

// What a role does once the host's view of revocations is too old for it, or while there is none.
enum class PastView : std::uint8_t { refuse, shorten, one_more };

struct ViewBound {
  Seconds most{0};  // from this age on it is too old
  PastView past = PastView::refuse;
  Seconds duration{0};  // shorten: at most this long
  bool end = false;     // grants in force end when that age is reached
};

struct Role {
  std::string name;
  std::string description;
  std::vector<Subject> eligible;
  std::vector<std::string> segments;  // empty: all hosts
  std::vector<std::string> groups;
  std::vector<std::string> opens;
  std::vector<SudoRule> sudo;
  bool dangerous = false;
  bool terminate_on_end = true;  // on_end: what runs under a grant ends with it
  Seconds max_duration{0};
  std::optional<ViewBound> view;  // of revocations; nullopt: the policy does not say (rules/view.hpp)
  std::vector<Rule> rules;
  Place place;
};

// What the table of checks that jitd shares with its other processes can hold (wire/layout.hpp).
inline constexpr std::size_t kMaxGates = 64;
inline constexpr std::size_t kMaxGateName = 63;  // bytes, of a gate and of a PAM service
inline constexpr std::size_t kMaxServices = 1024;

struct Gate {
  std::string name;
  std::vector<std::string> services;
  std::vector<Subject> users;
  std::vector<Subject> except;
  bool enforce = false;
  std::string help;
  Place place;
  // Whether sudo is among its services.
  [[nodiscard]] bool guards_sudo() const;
};

struct Policy {
  std::map<std::string, Person> people;
  std::map<std::string, std::vector<std::string>>
      approvers;  // set name to person or user names; "revokers" is reserved
  std::map<std::string, Role> roles;
  std::vector<Gate> gates;
  Digest digest;                      // of names and texts of all files, in name order
  std::vector<std::string> warnings;  // nothing that stops it: an approver set nobody uses, ...

  [[nodiscard]] const Role* role(std::string_view name) const;
  [[nodiscard]] const Gate* gate(std::string_view name) const;
};

}  // namespace jit
