#include "jitd/core/ledger.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <unordered_map>
#include <utility>

#include "jitd/sys/accounts.hpp"
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

// Who has which uid by /etc/passwd now.
class LocalNames {
 public:
  explicit LocalNames(const std::string& passwd) {
    const auto accounts = LocalAccounts::parse(passwd, "");
    for (const LocalUser& user : accounts.users()) {
      uids_.emplace(user.name, user.uid);
      names_.emplace(user.uid, user.name);
    }
  }
  // The names that the user of this record has now, when it is not the recorded one any more.
  [[nodiscard]] std::vector<std::string> renamed(const HeldRecord& record) const {
    std::vector<std::string> names;
    const auto old = uids_.find(record.user);
    if (old != uids_.end() && old->second == record.uid) return names;
    const auto [begin, end] = names_.equal_range(record.uid);
    for (auto at = begin; at != end; ++at)
      if (check_user_name(at->second)) names.push_back(at->second);
    return names;
  }

 private:
  std::unordered_map<std::string, std::uint32_t> uids_;
  std::unordered_multimap<std::uint32_t, std::string> names_;
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

  std::vector<HeldRecord> records;
  Result<void> done;
  for (const Entitlement* entitlement : entitlements) {
    for (const GroupEffect& group : entitlement->effects.groups) {
      const HeldRecord record{entitlement->grant, group.group, group.gid, entitlement->user, entitlement->uid, true};
      if (const auto* slot = find_slot(index, *entitlement, group); slot != nullptr) {
        if (slot->torn && done) done = held_.write(slot->index, record, false);
        continue;
      }
      if (members.lists(group.group, entitlement->user) && ours.of(record) == 0) continue;  // somebody else's
      records.push_back(record);
      ours.add(record);
    }
  }
  if (!done) return done;
  const auto added = held_.add_all(records, false);
  if (!added) return tl::unexpected(added.error());
  for (const std::size_t slot : *added) lost_.erase(slot);  // --expire had freed it
  if (done = held_.sync(); done) {
    fresh_.insert(added->begin(), added->end());
  } else {
    for (const std::size_t slot : *added) (void)held_.clear(slot);
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
  if (!change) {
    // Whatever of it may be there is ours: the next attempt must not take it for somebody else's.
    if (change.error().code != Errc::busy)
      for (const auto* slot : edited) fresh_.erase(slot->index);
    return tl::unexpected(change.error());
  }

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
  behind_ = false;
  std::set<Key> kept;
  std::vector<HeldFile::Slot> ending;
  for (const auto& slot : *slots) {
    if (!slot.record) {
      (void)held_.clear(slot.index);  // torn while it was first written: nothing was given by it
    } else if (over(*slot.record)) {
      ending.push_back(slot);
    } else if (slot.record->held) {
      kept.insert(key_of(*slot.record));
    }
  }

  std::vector<HeldFile::Slot> closing;
  std::set<std::size_t> lost;
  std::vector<MembershipEdit> edits;
  std::vector<const HeldFile::Slot*> edited;
  const auto lose = [&](const HeldFile::Slot& slot) {
    const HeldRecord& gone = *slot.record;
    taken.lost.insert({gone.grant, gone.user, gone.uid, gone.gid});
    lost.insert(slot.index);
  };
  for (const auto& slot : ending) {
    const HeldRecord& record = *slot.record;
    if (!record.held) {
      lose(slot);
      closing.push_back(slot);
      continue;
    }
    const bool names_fit = check_group_name(record.group).has_value() && check_user_name(record.user).has_value();
    if (!names_fit)
      taken.notes.push_back("a record of " + shown_membership(record) + " cannot be right and is closed");
    if (kept.contains(key_of(record)) || !names_fit) {
      closing.push_back(slot);
    } else {
      edits.push_back({record.group, record.gid, record.user, false});
      edited.push_back(&slot);
    }
  }
  if (!edits.empty()) {
    const auto change = groups_.apply(edits, LockEffort::end);
    behind_ = change && change->behind;
    if (!change) {
      taken.failures.push_back("memberships could not be taken away: " + change.error().message);
    } else {
      taken.notes.insert(taken.notes.end(), change->notes.begin(), change->notes.end());
      if (change->without_lock)
        taken.failures.emplace_back("memberships were taken away without the lock: to be looked at again");
      if (change->behind)
        taken.failures.push_back("memberships were taken away from group alone, to be done again: " +
                                 change->behind->message);
      const std::vector<bool> left = take_moved(edited, change->results, kept, taken);
      for (std::size_t i = 0; i < edits.size(); ++i) {
        if (change->results[i] == EditResult::malformed) {
          taken.failures.push_back(shown_membership(*edited[i]->record) + " cannot be taken away: the group " +
                                   why(change->results[i]));
        } else if (!change->without_lock && !left[i]) {
          // Written without the lock, whoever holds it may write the old list back: the record stays until a later
          // round finds the membership gone; so it does until gshadow is written, and who got the group by that
          // meanwhile is looked for again then.
          if (!change->behind) closing.push_back(*edited[i]);
          lose(*edited[i]);
        }
      }
    }
  }
  close(closing, lost, taken);
  return taken;
}

// All that has moved in one rewrite, however many records it is.
std::vector<bool> Ledger::take_moved(const std::vector<const HeldFile::Slot*>& slots,
                                     const std::vector<EditResult>& results, const std::set<Key>& kept,
                                     Taken& taken) {
  std::vector<bool> left(slots.size(), false);
  const auto fail_with = [&](std::size_t i, const std::string& reason) {
    left[i] = true;
    taken.failures.push_back(shown_membership(*slots[i]->record) + " could not be taken away: " + reason);
  };
  const auto passwd = groups_.read_passwd();
  const LocalNames names(passwd.value_or(std::string()));
  Result<std::string> text = std::string();
  bool read = false;
  std::vector<MembershipEdit> edits;
  std::vector<std::size_t> of;  // whose edit it is
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const HeldRecord& record = *slots[i]->record;
    if (!passwd && passwd.error().errnum != ENOENT) {
      fail_with(i, "whether its user was renamed cannot be told: " + passwd.error().message);
      continue;
    }
    const bool group_moved = results[i] == EditResult::no_group || results[i] == EditResult::other_gid;
    const auto renamed = names.renamed(record);
    if (group_moved) taken.notes.push_back(shown_membership(record) + ": the group " + why(results[i]));
    if (!group_moved && renamed.empty()) continue;
    if (!std::exchange(read, true)) text = groups_.read_group();
    if (!text) {
      fail_with(i, text.error().message);
      continue;
    }
    const auto add = [&](const std::string& group, std::uint32_t gid, const std::string& user) {
      if (kept.contains({group, gid, user})) return;
      edits.push_back({group, gid, user, false});
      of.push_back(i);
    };
    const auto add_moved = [&](const std::string& user) {
      for (const auto& moved : moved_groups(*text, record.group, record.gid, user)) add(moved.group, moved.gid, user);
    };
    if (group_moved) add_moved(record.user);
    for (const std::string& user : renamed) {
      if (group_moved)
        add_moved(user);
      else if (is_member(*text, record.group, user))
        add(record.group, record.gid, user);
    }
  }
  if (edits.empty()) return left;
  const auto change = groups_.apply(edits, LockEffort::end);
  for (std::size_t k = 0; k < edits.size(); ++k) {
    if (!change) {
      fail_with(of[k], change.error().message);
    } else if (change->without_lock) {
      fail_with(of[k], "written without the lock, to be looked at again");
    } else if (change->behind) {
      fail_with(of[k], change->behind->message);
    } else if (change->results[k] != EditResult::changed && change->results[k] != EditResult::already) {
      fail_with(of[k], "the group " + why(change->results[k]));
    } else {
      taken.notes.push_back(shown_membership(*slots[of[k]]->record) + " was taken away from " +
                            shown(edits[k].user, 100) + " in what is now group " + shown(edits[k].group, 100) +
                            " with gid " + std::to_string(edits[k].gid));
    }
  }
  return left;
}

void Ledger::close(const std::vector<HeldFile::Slot>& slots, const std::set<std::size_t>& lost, Taken& taken) {
  if (slots.empty()) return;
  Result<void> done;
  for (const auto& slot : slots) {
    HeldRecord record = *slot.record;
    fresh_.erase(slot.index);
    if (!std::exchange(record.held, false)) continue;
    if (auto written = held_.write(slot.index, record, false); !written && done) done = written;
  }
  if (done) done = held_.sync();
  if (!done) {
    taken.failures.push_back("the record of what was taken away: " + done.error().message);
    return;
  }
  for (const auto& slot : slots) {
    if (lost.contains(slot.index)) {
      lost_.insert_or_assign(slot.index, slot.record->grant);
    } else {
      (void)held_.clear(slot.index);
    }
  }
}

void Ledger::forget_lost(const std::function<bool(const std::string& grant)>& which) {
  std::erase_if(lost_, [&](const auto& record) {
    if (which(record.second)) (void)held_.clear(record.first);
    return which(record.second);
  });
}

}  // namespace jit
