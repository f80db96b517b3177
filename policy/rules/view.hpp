// The view of revocations that a role wants its host to have: how old the newest numbered list there may be, and what
// happens past that. Pure.
#pragma once

#include <optional>
#include <string>

#include "policy/rules/policy.hpp"
#include "policy/rules/toml_reader.hpp"

namespace jit {

// What holds for a role: its own, else the host's for roles that say nothing, which is to refuse. nullopt: its age
// does not matter.
[[nodiscard]] std::optional<ViewBound> view_bound(const Role& role, std::optional<Seconds> hosts_own);

// Whether a view of this age is past it: from `most` on. One of unknown age, or none, is.
[[nodiscard]] bool past_view(const ViewBound& bound, std::optional<Seconds> age);

// For people: "the view of revocations is 2h old, and has to be younger than 1h".
[[nodiscard]] std::string why_past(const ViewBound& bound, std::optional<Seconds> age);
// "no older than 1h, else for at most 15m; what is in force ends then".
[[nodiscard]] std::string in_words(const ViewBound& bound);
[[nodiscard]] std::string_view to_text(PastView past);  // as the policy has it

// The keys as they stand in one table, a role or [defaults], each with where.
template <class T>
struct Said {
  std::optional<T> value;
  Place place;
  std::string path;
};
struct ViewKeys {
  Said<Seconds> most;      // max_view_age
  Said<PastView> past;     // past_view_age
  Said<Seconds> duration;  // past_view_duration
  Said<bool> end;          // end_past_view_age
};
[[nodiscard]] ViewKeys read_view_keys(TableReader& table);

// What a role gets of its own keys and those of [defaults]. Problems: keys without a max_view_age, "shorten" without
// past_view_duration or the other way round.
[[nodiscard]] std::optional<ViewBound> view_of_role(const ViewKeys& own, const ViewKeys& defaults,
                                                    Problems& problems);

}  // namespace jit
