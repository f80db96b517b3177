#include "policy/rules/matching.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

namespace jit {

std::vector<Seats> seats_of(const Policy& policy, const std::vector<Approval>& approvals) {
  std::vector<Seats> seats;
  seats.reserve(approvals.size());
  for (const Approval& approval : approvals) seats.push_back({persons_of_set(policy, approval.by), approval.count});
  return seats;
}

Matching match(const Policy& policy, const std::vector<Approval>& approvals, std::vector<PersonRef> persons) {
  return match(seats_of(policy, approvals), std::move(persons));
}

Matching match(const std::vector<Seats>& seats, std::vector<PersonRef> persons) {
  std::sort(persons.begin(), persons.end());
  persons.erase(std::unique(persons.begin(), persons.end()), persons.end());

  struct Slot {
    std::size_t seats;
    std::optional<std::size_t> person;
  };
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < seats.size(); ++i) {
    // More places than persons stay empty all the same: no need to make them.
    const std::size_t places = std::min<std::size_t>(seats[i].count, persons.size() + 1);
    slots.insert(slots.end(), places, Slot{i, std::nullopt});
  }

  // Kuhn's augmenting paths: a person takes a free place, or one whose holder finds another.
  std::vector<bool> visited;
  const std::function<bool(std::size_t)> place = [&](std::size_t person) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (visited[i] || !seats[slots[i].seats].who.contains(persons[person])) continue;
      visited[i] = true;
      if (!slots[i].person || place(*slots[i].person)) {
        slots[i].person = person;
        return true;
      }
    }
    return false;
  };
  for (std::size_t person = 0; person < persons.size(); ++person) {
    visited.assign(slots.size(), false);
    static_cast<void>(place(person));
  }

  Matching result;
  result.have.assign(seats.size(), 0);
  for (const Slot& slot : slots)
    if (slot.person) ++result.have[slot.seats];
  result.complete = true;
  for (std::size_t i = 0; i < seats.size(); ++i)
    result.complete = result.complete && result.have[i] >= seats[i].count;
  return result;
}

}  // namespace jit
