#include "jitd/core/ledger.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

std::string shown_membership(const HeldRecord& record) {
  return shown(record.user, 100) + " in group " + shown(record.group, 100);
}

bool of(const HeldRecord& record, const Entitlement& entitlement, const GroupEffect& group) {
  return record.grant == entitlement.grant && record.user == entitlement.user && record.group == group.group &&
         record.gid == group.gid;
}

std::string why(EditResult result) {
  switch (result) {
    case EditResult::no_group:
      return "is gone from /etc/group";
    case EditResult::other_gid:
      return "has another gid by now";
    case EditResult::malformed:
      return "has a malformed line in /etc/group";
    case EditResult::changed:
    case EditResult::already:
      break;
  }
  return "is as it should be";
}

// Slots by grant, so that many entitlements find theirs.
std::unordered_multimap<std::string, const HeldFile::Slot*> by_grant(const std::vector<HeldFile::Slot>& slots) {
  std::unordered_multimap<std::string, const HeldFile::Slot*> index;
  for (const auto& slot : slots)
    if (slot.record) index.emplace(slot.record->grant, &slot);
  return index;
}

// How many records hold a membership, by name: the group may have got another gid since we gave it.
class Holders {
 public:
  explicit Holders(const std::vector<HeldFile::Slot>& slots) {
    for (const auto& slot : slots)
      if (slot.record && slot.record->held) add(*slot.record);
  }
  void add(const HeldRecord& record) { ++count_[{record.group, record.user}]; }
  [[nodiscard]] int of(const HeldRecord& record) const {
    const auto found = count_.find({record.group, record.user});
    return found == count_.end() ? 0 : found->second;
  }

 private:
  std::map<std::pair<std::string, std::string>, int> count_;
};

template <class Index>
const HeldFile::Slot* find_slot(const Index& index, const Entitlement& entitlement, const GroupEffect& group) {
  const auto [begin, end] = index.equal_range(entitlement.grant);
  for (auto at = begin; at != end; ++at)
    if (at->second->record->held && of(*at->second->record, entitlement, group)) return at->second;
  return nullptr;
}

}  // namespace

Result<void> Ledger::note(const std::vector<const Entitlement*>& entitlements) {
  const auto slots = held_.read();
  if (!slots) return tl::unexpected(slots.error());
  const auto text = groups_.read_group();
  if (!text) return tl::unexpected(text.error());
  const Memberships members(*text);
  const auto index = by_grant(*slots);
  Holders ours(*slots);

  std::vector<std::size_t> added;
  Result<void> done;
  for (const Entitlement* entitlement : entitlements) {
    for (const GroupEffect& group : entitlement->effects.groups) {
      const HeldRecord record{entitlement->grant, group.group, group.gid, entitlement->user, entitlement->uid, true};
      if (const auto* slot = find_slot(index, *entitlement, group); slot != nullptr) {
        if (slot->torn && done) done = held_.write(slot->index, record, false);
        continue;
      }
      if (members.lists(group.group, entitlement->user) && ours.of(record) == 0) continue;  // somebody else's
      if (!done) break;
      if (const auto slot = held_.add(record, false); slot) {
        added.push_back(*slot);
        ours.add(record);
      } else {
        done = tl::unexpected(slot.error());
      }
    }
  }
  if (done) done = held_.sync();
  if (done) {
    fresh_.insert(added.begin(), added.end());
  } else {
    for (const std::size_t slot : added) (void)held_.clear(slot);
  }
  return done;
}

Result<void> Ledger::give(const std::vector<const Entitlement*>& entitlements) {
  const auto slots = held_.read();
  if (!slots) return tl::unexpected(slots.error());
  const auto index = by_grant(*slots);
  const Holders holders(*slots);

  std::vector<MembershipEdit> edits;
  std::vector<const HeldFile::Slot*> edited;
  for (const Entitlement* entitlement : entitlements) {
    for (const GroupEffect& group : entitlement->effects.groups) {
      const auto* slot = find_slot(index, *entitlement, group);
      if (slot == nullptr) continue;
      edits.push_back({group.group, group.gid, entitlement->user, true});
      edited.push_back(slot);
    }
  }
  if (edits.empty()) return {};
  const auto change = groups_.apply(edits, LockEffort::activation);
  if (!change) return tl::unexpected(change.error());

  Result<void> done;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const HeldRecord& record = *edited[i]->record;
    const bool fresh = fresh_.erase(edited[i]->index) != 0;
    if (change->results[i] == EditResult::already && fresh && holders.of(record) == 1) {
      // Somebody else added it after we looked: then it is not ours to take away.
      HeldRecord foreign = record;
      foreign.held = false;
      if (auto closed = held_.write(edited[i]->index, foreign); !closed) return closed;
      (void)held_.clear(edited[i]->index);
    } else if (change->results[i] != EditResult::already && change->results[i] != EditResult::changed && done) {
      done = fail(Errc::refused, "group " + shown(record.group, 100) + " " + why(change->results[i]));
    }
  }
  return done;
}

Taken Ledger::take(const std::function<bool(const HeldRecord&)>& over) {
  const auto slots = held_.read();
  Taken taken;
  if (!slots) {
    taken.failures.push_back("memberships cannot be taken away: " + slots.error().message);
    return taken;
  }
  std::set<Key> kept;
  std::vector<HeldFile::Slot> ending;
  for (const auto& slot : *slots) {
    if (!slot.record) {
      (void)held_.clear(slot.index);  // torn while it was first written: nothing was given by it
    } else if (!slot.record->held || over(*slot.record)) {
      ending.push_back(slot);
    } else {
      kept.insert(key_of(*slot.record));
    }
  }

  std::vector<HeldFile::Slot> closing;
  std::vector<MembershipEdit> edits;
  std::vector<const HeldFile::Slot*> edited;
  for (const auto& slot : ending) {
    const HeldRecord& record = *slot.record;
    const bool names_fit = check_group_name(record.group).has_value() && check_user_name(record.user).has_value();
    if (!names_fit)
      taken.notes.push_back("a record of " + shown_membership(record) + " cannot be right and is closed");
    if (!record.held || kept.contains(key_of(record)) || !names_fit) {
      closing.push_back(slot);
    } else {
      edits.push_back({record.group, record.gid, record.user, false});
      edited.push_back(&slot);
    }
  }
  if (!edits.empty()) {
    const auto change = groups_.apply(edits, LockEffort::end);
    if (!change) {
      taken.failures.push_back("memberships could not be taken away: " + change.error().message);
    } else {
      taken.notes.insert(taken.notes.end(), change->notes.begin(), change->notes.end());
      if (change->without_lock)
        taken.failures.emplace_back("memberships were taken away without the lock: to be looked at again");
      for (std::size_t i = 0; i < edits.size(); ++i) {
        const EditResult result = change->results[i];
        if (result == EditResult::no_group || result == EditResult::other_gid) {
          taken.notes.push_back(shown_membership(*edited[i]->record) + ": the group " + why(result));
          if (!take_moved(*edited[i]->record, kept, taken)) continue;
        }
        if (result == EditResult::malformed) {
          taken.failures.push_back(shown_membership(*edited[i]->record) + " cannot be taken away: the group " +
                                   why(result));
        } else if (!change->without_lock) {
          // Written without the lock, whoever holds it may write the old list back: the record stays until a later
          // round finds the membership gone.
          closing.push_back(*edited[i]);
        }
      }
    }
  }
  close(closing, taken);
  return taken;
}

bool Ledger::take_moved(const HeldRecord& record, const std::set<Key>& kept, Taken& taken) {
  const auto fail_with = [&](const std::string& reason) {
    taken.failures.push_back(shown_membership(record) + " could not be taken away: " + reason);
    return false;
  };
  const auto text = groups_.read_group();
  if (!text) return fail_with(text.error().message);
  std::vector<MembershipEdit> edits;
  for (const auto& moved : moved_groups(*text, record.group, record.gid, record.user))
    if (!kept.contains({moved.group, moved.gid, record.user}))
      edits.push_back({moved.group, moved.gid, record.user, false});
  if (edits.empty()) return true;
  const auto change = groups_.apply(edits, LockEffort::end);
  if (!change) return fail_with(change.error().message);
  if (change->without_lock) return fail_with("written without the lock, to be looked at again");
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (change->results[i] != EditResult::changed && change->results[i] != EditResult::already)
      return fail_with("the group " + why(change->results[i]));
    taken.notes.push_back(shown_membership(record) + " was taken away from what is now group " +
                          shown(edits[i].group, 100) + " with gid " + std::to_string(edits[i].gid));
  }
  return true;
}

void Ledger::close(const std::vector<HeldFile::Slot>& slots, Taken& taken) {
  if (slots.empty()) return;
  Result<void> done;
  for (const auto& slot : slots) {
    HeldRecord record = *slot.record;
    record.held = false;
    fresh_.erase(slot.index);
    if (auto written = held_.write(slot.index, record, false); !written && done) done = written;
  }
  if (done) done = held_.sync();
  if (!done) {
    taken.failures.push_back("the record of what was taken away: " + done.error().message);
    return;
  }
  for (const auto& slot : slots) (void)held_.clear(slot.index);
}

}  // namespace jit
