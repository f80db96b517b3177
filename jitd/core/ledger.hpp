// Who is in which group because of us: `held` and the group files together, so that only what we added is ever taken
// away (P3) and nothing is added that could not be taken away after a crash (P4).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "jitd/core/effector.hpp"
#include "jitd/effects/groups.hpp"
#include "jitd/store/records.hpp"

namespace jit {

// Every call wants the effects lock held.
class Ledger {
 public:
  Ledger(HeldFile& held, Groups& groups) : held_(held), groups_(groups) {}

  // Writes `+` for each group of these entitlements that its user is not in, or is in only because of another record
  // of ours; durable before it returns. A membership of somebody else's doing gets no record. On failure none is
  // left.
  [[nodiscard]] Result<void> note(const std::vector<const Entitlement*>& entitlements);

  // Adds every membership that has a record of these entitlements, in one rewrite. Errc::busy: try again.
  // Errc::refused: a group is gone, malformed or has another gid by now.
  [[nodiscard]] Result<void> give(const std::vector<const Entitlement*>& entitlements);

  // Takes away the memberships of all records for which `over` says so, but for those that another record still
  // holds, in one rewrite, and closes the records. What failed stays open and is tried again by the next call. In
  // `lost`, each membership that is gone: its closed record stays, and the next call tells of it again, after a crash
  // too, until forget_lost. A
  // group that was renamed or renumbered meanwhile loses the member that we gave it, under the name or gid that it
  // has now; so does the group of a local user who was renamed (usermod -l renames the member too), under the name
  // that /etc/passwd now has for the uid. Whether somebody put the same user there on purpose cannot be told, and a
  // right that stays is worse (P2 before P3).
  [[nodiscard]] Taken take(const std::function<bool(const HeldRecord&)>& over);
  // Nobody is looked for any more who holds what those grants lost.
  void forget_lost(const std::function<bool(const std::string& grant)>& which);
  // Whether the last of these could not take the members away from gshadow as well: newgrp(1) still gives them the
  // group.
  [[nodiscard]] bool behind() const { return behind_; }

 private:
  using Key = std::tuple<std::string, std::uint32_t, std::string>;  // group, gid, user
  static Key key_of(const HeldRecord& record) { return {record.group, record.gid, record.user}; }
  // Memberships that stand under another name by now. `results`: what became of them under the recorded one. For
  // each slot whether something of it may be left.
  [[nodiscard]] std::vector<bool> take_moved(const std::vector<const HeldFile::Slot*>& slots,
                                             const std::vector<EditResult>& results, const std::set<Key>& kept,
                                             Taken& taken);
  void close(const std::vector<HeldFile::Slot>& slots, const std::set<std::size_t>& lost, Taken& taken);

  HeldFile& held_;
  Groups& groups_;
  std::set<std::size_t> fresh_;              // records noted by us and not given yet
  std::map<std::size_t, std::string> lost_;  // closed records that stay, and their grants
  bool behind_ = false;
};

}  // namespace jit
