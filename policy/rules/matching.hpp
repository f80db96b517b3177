// k of n from several sets by different people: a bipartite matching of persons to the places that `approvals` asks
// for.
#pragma once

#include <set>
#include <vector>

#include "policy/rules/people.hpp"
#include "policy/rules/policy.hpp"

namespace jit {

struct Matching {
  std::vector<unsigned> have;  // filled places of each approval, as many in all as can be at once
  bool complete = false;       // every place is filled
};

// So many places for different persons of one set.
struct Seats {
  std::set<PersonRef> who;
  unsigned count = 1;
};

// Whether `persons` can fill every place at once, each person at most one. Which of them are filled when not all can
// be depends on the persons as a set, never on their order.
[[nodiscard]] Matching match(const std::vector<Seats>& seats, std::vector<PersonRef> persons);
[[nodiscard]] Matching match(const Policy& policy, const std::vector<Approval>& approvals,
                             std::vector<PersonRef> persons);
[[nodiscard]] std::vector<Seats> seats_of(const Policy& policy, const std::vector<Approval>& approvals);

}  // namespace jit
