// What can only be judged when every file of a policy is read: names that must exist, sets that must be large enough.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "policy/rules/policy.hpp"
#include "policy/rules/toml_reader.hpp"
#include "policy/rules/view.hpp"

namespace jit {

inline constexpr unsigned kMaxCount = 16;  // people that one entry of `approvals` may ask for

// A name as it stands somewhere in the text, so that errors can point at it.
struct Mention {
  Place place;
  std::string path;       // full key
  std::string name;       // what is named
  std::string owner;      // the role, person or gate that it stands in
  std::size_t index = 0;  // of a rule in its role
};

// Everything that the loader saw and that only the whole can judge.
struct Mentions {
  Seconds default_max_duration{0};
  ViewKeys default_view;
  std::map<std::string, ViewKeys> views;   // by role
  std::vector<Mention> users, principals;  // in [people]
  std::vector<Mention> sets;               // defined in [approvers]
  std::vector<Mention> asked;              // sets named in a `by`
  std::vector<Mention> roles;
  std::vector<Mention> rules;     // name: the role
  std::vector<Mention> opened;    // gates named in a role's `opens`
  std::vector<Mention> given;     // groups that roles give
  std::vector<Mention> excepted;  // groups in a gate's `except`
};

// Fills in what [defaults] says, adds problems and warnings.
void check_policy(Policy& policy, const Mentions& mentions, Problems& problems);

}  // namespace jit
