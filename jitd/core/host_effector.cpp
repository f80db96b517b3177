#include "jitd/core/host_effector.hpp"

#include <algorithm>
#include <thread>
#include <unordered_set>
#include <utility>

#include "jitd/core/board_file.hpp"
#include "jitd/core/running.hpp"
#include "jitd/effects/frozen_users.hpp"
#include "jitd/effects/terminals.hpp"
#include "jitd/sys/peer.hpp"
#include "jitd/sys/pidfd.hpp"
#include "jitd/wire/board.hpp"
#include "jitd/wire/layout.hpp"
#include "policy/rules/policy.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLockForGiving{20};
constexpr milliseconds kLockForTaking{300};
constexpr std::uint64_t kLongestHold = 300;                       // ms
constexpr std::uint64_t kScopeTooLate = 300, kScopePause = 2000;  // ms: a systemd that hangs must not hold up ends
constexpr int kScopeAttempts = 200;                               // a ms each
constexpr milliseconds kTurnOfOthers{10};                         // twice what a waiting FileLock sleeps
// What the policy lets a gate be, the board can hold.
static_assert(jit::kMaxGates <= wire::kMaxGates && kMaxGateName < wire::layout::kName &&
              kMaxServices <= wire::layout::kMaxServices);
// How long the record of an end is kept when the database never said that it knows: a clock may still be set back.
constexpr std::int64_t kKeepEnds = 24 * 3600;

EndTime end_of(const Entitlement& entitlement) {
  return {entitlement.ends_at() * 1000, entitlement.ends_at_boot_ms()};
}

// What went wrong, collected: an end goes on whatever fails.
template <class T>
void collect(std::vector<std::string>& failures, const Result<T>& result) {
  if (!result) failures.push_back(result.error().message);
}
void collect(Taken& all, const Taken& taken) {
  all.notes.insert(all.notes.end(), taken.notes.begin(), taken.notes.end());
  all.failures.insert(all.failures.end(), taken.failures.begin(), taken.failures.end());
}

}  // namespace

EffectPaths::EffectPaths(const Paths& paths)
    : var(paths.var),
      etc(paths.etc),
      lock(paths.run + "/effects.lock"),
      board(paths.run + "/board"),
      dropins(paths.run + "/sudoers.d"),
      logins(paths.run + "/logins"),
      commands(paths.run + "/commands"),
      timers(paths.run + "/timers"),
      frozen(paths.run + "/frozen"),
      residue(paths.run + "/residue"),
      reserve(paths.etc_jit + "/.reserve"),
      recordings(paths.recordings) {}

Result<std::unique_ptr<HostEffector>> HostEffector::open(Ports ports, const Paths& paths) {
  EffectPaths places(paths);
  auto held = HeldFile::open(ports.files, places.var, "held");
  if (!held) return tl::unexpected(held.error());
  auto ends = EndsFile::open(ports.files, places.var, "ends");
  if (!ends) return tl::unexpected(ends.error());
  return std::unique_ptr<HostEffector>(
      new HostEffector(std::move(ports), std::move(places), std::move(*held), std::move(*ends)));
}

HostEffector::HostEffector(Ports ports, EffectPaths paths, HeldFile held, EndsFile ends)
    : ports_(std::move(ports)),
      paths_(std::move(paths)),
      held_(std::move(held)),
      ends_(std::move(ends)),
      groups_(ports_.files, ports_.spawn, paths_.etc, paths_.reserve),
      dropins_(ports_.files, ports_.spawn, paths_.dropins),
      sudos_(ports_.spawn),
      ledger_(held_, groups_),
      dead_man_(ports_.bus, ports_.clock),
      logins_(ports_.files, ports_.processes, paths_.logins),
      commands_(ports_.files, paths_.commands, ports_.processes.proc(),
                [this](pid_t pid) { return ports_.processes.under_a_grant(pid); }),
      residue_(ports_.files, paths_.residue),
      recordings_(paths_.recordings) {}

Result<FileLock> HostEffector::lock_for_giving() const {
  return FileLock::take(paths_.lock, kLockForGiving);
}

std::optional<FileLock> HostEffector::lock_for_taking(std::vector<std::string>& failures) const {
  auto lock = FileLock::take(paths_.lock, kLockForTaking);
  if (lock) return std::move(*lock);
  // Whoever else holds it is taking away as well; doing so twice does no harm, waiting would.
  failures.push_back("took away without the effects lock: " + lock.error().message);
  return std::nullopt;
}

EndRecord HostEffector::active_record(const Entitlement& entitlement) const {
  return {entitlement.grant,
          digest_text(entitlement.digest),
          entitlement.ends_at(),
          ports_.clock.boot_id(),
          entitlement.ends_at_boot_ms(),
          true,
          {}};
}

Result<void> HostEffector::record_ends(const std::vector<const Entitlement*>& entitlements, const Slots& slots) {
  std::unordered_map<std::string_view, const EndsFile::Slot*> known;
  for (const auto& slot : slots)
    if (slot.record) known.emplace(slot.record->grant, &slot);
  std::vector<std::pair<std::size_t, EndRecord>> changed;
  std::vector<EndRecord> fresh;
  for (const Entitlement* entitlement : entitlements) {
    EndRecord record = active_record(*entitlement);
    const auto found = known.find(entitlement->grant);
    if (found == known.end()) {
      fresh.push_back(std::move(record));
      continue;
    }
    const auto& slot = *found->second;
    if (!slot.record->active)
      return fail(Errc::refused,
                  "this grant has ended (" + shown(slot.record->reason, 40) + ") and is not given again");
    if (*slot.record != record) changed.emplace_back(slot.index, std::move(record));
  }
  if (changed.empty() && fresh.empty()) return {};
  for (const auto& [index, record] : changed)
    if (auto written = ends_.write(index, record, false); !written) return written;
  if (auto added = ends_.add_all(fresh, false); !added) return tl::unexpected(added.error());
  return ends_.sync();
}

Result<void> HostEffector::prepare_all(const std::vector<Entitlement>& entitlements) {
  if (entitlements.empty()) return {};
  if (ports_.clock.boot_id().empty())
    return fail(Errc::unavailable, "/proc/sys/kernel/random/boot_id cannot be read: no end could be kept on time");
  const auto lock = lock_for_giving();
  if (!lock) return tl::unexpected(lock.error());
  std::vector<const Entitlement*> all;
  EndTime end = end_of(entitlements.front());
  bool groups = false;
  for (const Entitlement& entitlement : entitlements) {
    all.push_back(&entitlement);
    end = earlier(end, end_of(entitlement));
    groups = groups || !entitlement.effects.groups.empty();
  }
  if (groups) {
    if (auto reserve = groups_.keep_reserve(); !reserve)
      return within("no room to take group memberships away again", reserve.error());
  }
  const auto slots = ends_.read();
  if (!slots) return tl::unexpected(slots.error());
  if (auto covered = dead_man_.cover(end); !covered)
    return within("nothing would end this grant if jitd did not", covered.error());
  for (const Entitlement& entitlement : entitlements)
    if (auto looked_for = note_residue(entitlement); !looked_for) return looked_for;
  if (auto recorded = record_ends(all, *slots); !recorded) return recorded;
  if (auto noted = ledger_.note(all); !noted) return noted;
  for (const Entitlement& entitlement : entitlements) prepared_.insert(entitlement.grant);
  return {};
}

Result<void> HostEffector::note_residue(const Entitlement& entitlement) {
  ResidueQuery query;
  query.grant = entitlement.grant;
  query.user = entitlement.uid;
  query.since = entitlement.began > 0 ? entitlement.began : ports_.clock.now().wall_ms / 1000;
  for (const GroupEffect& group : entitlement.effects.groups) query.groups.insert(group.gid);
  for (const SudoEffect& effect : entitlement.effects.sudo)
    if (effect.uid != entitlement.uid) query.owners.insert(effect.uid);
  return residue_.note(query);
}

Result<void> HostEffector::give_all(const std::vector<Entitlement>& entitlements) {
  const auto lock = lock_for_giving();
  if (!lock) return tl::unexpected(lock.error());
  std::vector<const Entitlement*> all;
  all.reserve(entitlements.size());
  for (const Entitlement& entitlement : entitlements) all.push_back(&entitlement);
  if (auto given = ledger_.give(all); !given) return given;
  for (const Entitlement& entitlement : entitlements)
    if (auto put = put_dropin(entitlement); !put) return put;
  return {};
}

Result<void> HostEffector::move_ends(const std::vector<Entitlement>& entitlements) {
  const auto lock = lock_for_giving();
  if (!lock) return tl::unexpected(lock.error());
  const auto slots = ends_.read();
  if (!slots) return tl::unexpected(slots.error());
  std::unordered_map<std::string_view, const Entitlement*> by_grant;
  for (const Entitlement& entitlement : entitlements) by_grant.emplace(entitlement.grant, &entitlement);
  bool moved = false;
  for (const auto& slot : *slots) {
    if (!slot.record || !slot.record->active) continue;
    const auto found = by_grant.find(slot.record->grant);
    if (found == by_grant.end()) continue;
    const EndRecord record = active_record(*found->second);
    if (record == *slot.record) continue;
    if (auto written = ends_.write(slot.index, record, false); !written) return written;
    moved = true;
  }
  return moved ? ends_.sync() : Result<void>{};
}

Result<void> HostEffector::put_dropin(const Entitlement& entitlement) {
  if (entitlement.effects.sudo.empty()) return {};
  const auto& tools = sudos_.now();
  const auto sudoers = to_sudoers(entitlement.effects, entitlement.uid, dialect_of(tools),
                                  WallTime(Seconds(entitlement.not_after)), entitlement.grant);
  if (!sudoers) return tl::unexpected(sudoers.error());
  if (const auto there = dropins_.text(entitlement.grant); there && *there == *sudoers) return {};
  return dropins_.put(entitlement.grant, *sudoers, tools);
}

void HostEffector::mark_ends(const std::vector<EndOrder>& orders, std::vector<std::string>& failures) {
  const auto slots = ends_.read();
  if (!slots) {
    failures.push_back("the ends cannot be recorded: " + slots.error().message);
    return;
  }
  std::unordered_map<std::string, const EndOrder*> by_grant;
  for (const EndOrder& order : orders) by_grant.emplace(order.grant, &order);
  for (const auto& slot : *slots) {
    if (!slot.record || !slot.record->active) continue;
    const auto order = by_grant.find(slot.record->grant);
    if (order == by_grant.end()) continue;
    EndRecord record = *slot.record;
    record.active = false;
    record.reason = order->second->reason;
    collect(failures, ends_.write(slot.index, record, false));
  }
}

// The order: what can be done without a disk first, and when a rule went is said when it has gone. The pwrites to
// `ends` survive our own death at once and a power cut from the fsync on; a power cut takes drop-ins and board along
// anyway.
Taken HostEffector::take(const std::vector<EndOrder>& orders) {
  Taken taken;
  if (orders.empty()) return taken;
  std::unordered_set<std::string> ending, killing, polite;
  for (const EndOrder& order : orders) {
    ending.insert(order.grant);
    if (!order.leave) killing.insert(order.grant);
    if (!order.leave && order.polite) polite.insert(order.grant);
    prepared_.erase(order.grant);
  }
  const auto to_kill = [&](const std::string& id) { return killing.contains(id); };
  const auto lock = lock_for_taking(taken.failures);
  const auto over = [&](std::string_view id) { return ending.contains(std::string(id)); };
  collect(taken.failures, mark_ending(ports_.files, paths_.board, over));
  for (const EndOrder& order : orders) collect(taken.failures, dropins_.remove(order.grant));
  // No rule starts anything new by now, but for a sudo that matched it before.
  SudoEnds sudo_ends;
  std::map<uid_t, std::string> sudo_of;
  const std::uint64_t now = ports_.clock.now().boot_ms;
  for (const EndOrder& order : orders) {
    if (order.effects.sudo.empty()) continue;
    sudo_ends_[order.uid] = std::max(sudo_ends_[order.uid], now);
    sudo_ends[order.uid] = now;
    sudo_of.emplace(order.uid, order.grant);
  }
  collect(taken.failures, mark_ended(ports_.files, paths_.board, now, over));
  mark_ends(orders, taken.failures);
  hold_back(orders, taken);
  end_commands(ports_.processes, commands_, to_kill, taken, held_back());
  end_waiting_sudos(ports_.processes, sudo_ends, sudo_of, taken);
  // The module's notes are of any grant: it does not know which leave what runs.
  const auto left = [&](const std::string& id) { return ending.contains(id) && !killing.contains(id); };
  logins_.drop(left);
  commands_.drop([&](const NotedProcess& one) { return left(one.grant); });
  end_logins(
      logins_, [&](const std::string& id) { return killing.contains(id) && !polite.contains(id); }, taken);
  collect(taken.failures, ends_.sync());
  const Taken memberships = ledger_.take([&](const HeldRecord& record) { return ending.contains(record.grant); });
  collect(taken, memberships);
  std::set<LostGroup> lost_now;
  for (const EndOrder& order : orders) {
    if (order.leave && !memberships.failures.empty()) left_.insert(order.grant);
    if (order.leave) continue;
    auto& lost = order.polite ? lost_later_ : lost_now;
    for (const GroupEffect& group : order.effects.groups)
      lost.insert({order.grant, order.user, order.uid, group.gid});
  }
  const bool ended = end_holders_or_later(lost_now, taken);
  ledger_.forget_lost([&](const std::string& id) {
    return ending.contains(id) && (!killing.contains(id) || (ended && !polite.contains(id)));
  });
  taken.more_soon = !lost_later_.empty() || !polite.empty();
  list_left(orders, taken);
  const Commands kept = held_back();
  see_them_gone(
      ports_.processes, ports_.bus, [&](const std::string& id) { return to_kill(id) && !kept.contains(id); }, taken);
  residue_.over([&](const std::string& id) { return ending.contains(id); });
  return taken;
}

bool HostEffector::end_holders_or_later(const std::set<LostGroup>& lost, Taken& taken) {
  // While gshadow could not be written more may come to hold it, by newgrp(1).
  if (end_holders(ports_.processes, paths_.etc, paths_.frozen, lost, taken) && !ledger_.behind()) return true;
  lost_later_.insert(lost.begin(), lost.end());
  return false;
}

// Thousands take longer than the second after which `--expire` takes us for dead: it gets its turn in between.
void HostEffector::put_dropins(const std::vector<const Entitlement*>& entitlements, std::optional<FileLock> lock,
                               std::vector<std::string>& failures) {
  std::uint64_t held_since = ports_.clock.now().boot_ms;
  for (const Entitlement* entitlement : entitlements) {
    if (ports_.clock.now().boot_ms - held_since > kLongestHold) {
      lock.reset();
      std::this_thread::sleep_for(kTurnOfOthers);
      lock = lock_for_taking(failures);
      held_since = ports_.clock.now().boot_ms;
    }
    if (auto put = put_dropin(*entitlement); !put)
      failures.push_back("grant " + entitlement->grant + ": " + put.error().message);
  }
}

Taken HostEffector::reconcile(const std::vector<Entitlement>& wanted) {
  Taken taken;
  auto lock = lock_for_taking(taken.failures);
  FrozenUsers::thaw_left(ports_.processes.tree(), paths_.frozen);
  dropins_.sweep();

  // What `ends` says is over stays over; what it does not know gets its record before its effects.
  std::unordered_map<std::string, const Entitlement*> keeping;
  std::vector<const Entitlement*> keeping_list;
  const auto slots = ends_.read();
  std::unordered_map<std::string, const EndsFile::Slot*> known;
  if (slots)
    for (const auto& slot : *slots)
      if (slot.record) known.emplace(slot.record->grant, &slot);
  // After a start nothing is wanted yet: what runs under a grant that may be decided again runs on until it is.
  const auto over = [&](const std::string& grant) {
    const auto record = known.find(grant);
    return slots && (record == known.end() || !record->second->record->active);
  };
  if (slots) {
    const Commands kept = held_back();
    end_commands(ports_.processes, commands_, over, taken, kept);
    end_logins(logins_, over, taken);
    residue_.over(over);
    see_them_gone(
        ports_.processes, ports_.bus, [&](const std::string& id) { return over(id) && !kept.contains(id); }, taken);
    for (const Entitlement& entitlement : wanted) {
      const auto record = known.find(entitlement.grant);
      if (record == known.end() || *record->second->record != active_record(entitlement)) {
        if (auto recorded = record_ends({&entitlement}, *slots); !recorded) {
          taken.failures.push_back("grant " + entitlement.grant + ": " + recorded.error().message);
          continue;
        }
      }
      keeping.emplace(entitlement.grant, &entitlement);
      keeping_list.push_back(&entitlement);
    }
  } else {
    taken.failures.push_back("no end can be recorded: " + slots.error().message);
  }

  const auto present = dropins_.present();
  collect(taken.failures, present);
  bool removed = false;
  for (const std::string& id : present.value_or(std::vector<std::string>{})) {
    const auto entitlement = keeping.find(id);
    if (entitlement != keeping.end() && !entitlement->second->effects.sudo.empty()) continue;
    collect(taken.failures, dropins_.remove(id));
    removed = true;
  }
  if (removed) {
    const auto stays = [&](std::string_view id) { return keeping.contains(std::string(id)); };
    SudoEnds ends = carry_over(paths_.board, ports_.clock.now().boot_ms, stays).sudo_ends;
    for (const auto& [uid, at] : sudo_ends_) ends[uid] = std::max(ends[uid], at);
    end_waiting_sudos(ports_.processes, ends, {}, taken);
  }
  const Taken memberships = ledger_.take([&](const HeldRecord& record) {
    const auto entitlement = keeping.find(record.grant);
    if (entitlement == keeping.end() || entitlement->second->user != record.user) return true;
    const auto& groups = entitlement->second->effects.groups;
    return std::none_of(groups.begin(), groups.end(), [&](const GroupEffect& group) {
      return group.group == record.group && group.gid == record.gid;
    });
  });
  collect(taken, memberships);
  auto lost = std::exchange(lost_later_, {});
  for (const LostGroup& one : memberships.lost)
    if (over(one.grant) && !left_.contains(one.grant)) lost.insert(one);
  if (memberships.failures.empty()) left_.clear();
  const bool ended = end_holders_or_later(lost, taken);
  ledger_.forget_lost([&](const std::string& grant) { return slots && (ended || !over(grant)); });

  auto noted = ledger_.note(keeping_list);
  collect(taken.failures, noted);
  if (noted) collect(taken.failures, ledger_.give(keeping_list));
  put_dropins(keeping_list, std::move(lock), taken.failures);
  for (const auto& [grant, count] : taken.ended)
    taken.notes.push_back(std::to_string(count) + " processes of grant " + grant + " were ended");
  return taken;
}

Result<void> HostEffector::publish(const std::vector<Entitlement>& wanted) {
  auto done = write_board(wanted);
  if (done) return done;
  // The old one stays: what is not wanted any more opens nothing by that either. Marking wants no room, and no lock.
  std::unordered_set<std::string_view> ids;
  for (const Entitlement& entitlement : wanted) ids.insert(entitlement.grant);
  (void)mark_ended(ports_.files, paths_.board, ports_.clock.now().boot_ms,
                   [&](std::string_view id) { return !ids.contains(id); });
  return done;
}

Result<void> HostEffector::write_board(const std::vector<Entitlement>& wanted) {
  const auto lock = FileLock::take(paths_.lock, kLockForTaking);
  if (!lock) return tl::unexpected(lock.error());
  const Instant now = ports_.clock.now();
  std::unordered_set<std::string_view> ids;
  for (const Entitlement& entitlement : wanted) ids.insert(entitlement.grant);
  auto carried = carry_over(paths_.board, now.boot_ms, [&](std::string_view id) { return ids.contains(id); });
  for (const std::string& id : prepared_) carried.ended.erase(id);
  const auto slots = ends_.read();
  if (!slots) return tl::unexpected(slots.error());
  // The next end is that of the records, not of what stands on the board: a grant on its way is given already.
  std::optional<EndTime> next;
  for (const auto& slot : *slots) {
    if (!slot.record) continue;
    if (!slot.record->active) {
      carried.ended.insert(slot.record->grant);
    } else if (slot.record->boot_id == ports_.clock.boot_id()) {
      const EndTime end{slot.record->not_after * 1000, slot.record->boot_ms};
      next = next ? earlier(*next, end) : end;
    }
  }
  for (const auto& [uid, at] : sudo_ends_) carried.sudo_ends[uid] = std::max(carried.sudo_ends[uid], at);

  wire::BoardContent content;
  content.gates = ports_.gates();
  content.boot_id = ports_.clock.boot_id();
  content.sudo_ends.assign(carried.sudo_ends.begin(), carried.sudo_ends.end());
  for (const Entitlement& entitlement : wanted) {
    const EndTime end = end_of(entitlement);
    wire::GrantOnBoard grant;
    grant.id = entitlement.grant;
    grant.user = entitlement.user;
    grant.uid = entitlement.uid;
    grant.not_after_ms = end.wall_ms;
    grant.boot_deadline_ms = end.boot_ms;
    if (!entitlement.being_given) grant.opens = entitlement.effects.opens;
    grant.has_sudo = !entitlement.effects.sudo.empty();
    grant.conditional = entitlement.once || entitlement.being_given;
    grant.live = !carried.ended.contains(entitlement.grant);
    content.grants.push_back(std::move(grant));
  }
  const auto bytes = wire::make_board(content);
  if (!bytes) return tl::unexpected(bytes.error());
  const std::string folder = paths_.board.substr(0, paths_.board.rfind('/'));
  const auto dir = open_dir(folder);
  if (!dir) return tl::unexpected(dir.error());
  constexpr bool kDurable = false;  // /run is gone with the boot that the board speaks of
  if (auto put = replace_file(ports_.files, dir->get(), "board", *bytes, FileMode{0600, 0, 0, -1}, kDurable); !put)
    return put;
  prepared_.clear();
  return dead_man_.set(next);
}

Result<std::vector<EndRecord>> HostEffector::ends() {
  const auto slots = ends_.read();
  if (!slots) return tl::unexpected(slots.error());
  std::vector<EndRecord> records;
  for (const auto& slot : *slots)
    if (slot.record) records.push_back(*slot.record);
  return records;
}

Result<bool> HostEffector::elevate(const std::string& grant, bool leave, std::int32_t pid) {
  const Processes& processes = ports_.processes;
  if (processes.way() == Processes::Way::none)
    return fail(Errc::unavailable, "this host has no cgroups of systemd's, so that what runs could not be ended");
  const bool by_notes = processes.way() == Processes::Way::notes;
  if (auto noted = leave ? Result<void>() : commands_.note(grant, pid); !noted) {
    if (by_notes) return tl::unexpected(noted.error());
    commands_.keep_in_mind(grant, pid);  // its cgroup holds it, but for what opens a login session: /run may be full
  }
  if (by_notes) return recordings_.claim(grant, pid);
  const std::uint64_t now = ports_.clock.now().boot_ms;
  if (now < scopes_again_boot_ms_) return fail(Errc::unavailable, "systemd did not answer a moment ago");
  const auto at_end = leave ? Processes::AtEnd::left : Processes::AtEnd::taken;
  if (auto started =
          ports_.bus.start_scope(Processes::scope(grant, at_end, pid), Processes::slice(grant, at_end), {pid});
      !started) {
    scopes_again_boot_ms_ = ports_.clock.now().boot_ms - now >= kScopeTooLate ? now + kScopeTooLate + kScopePause : 0;
    return tl::unexpected(started.error());
  }
  for (int attempt = 0; attempt < kScopeAttempts; ++attempt) {
    if (processes.in_scope(grant, at_end, pid)) return recordings_.claim(grant, pid);
    std::this_thread::sleep_for(milliseconds(1));
  }
  return fail(Errc::unavailable, "systemd did not put the process into its scope in time");
}

Result<void> HostEffector::let_in(const std::string& grant, std::int32_t pid) {
  return logins_.note(grant, pid);
}

void HostEffector::let_out(std::int32_t pid) {
  logins_.forget(pid);
  commands_.forget(pid);
}

std::map<std::string, std::string> HostEffector::residue() {
  return residue_.take_reports();
}

Result<std::string> HostEffector::name_of(std::int32_t pid) {
  const auto started = started_ms(pid);
  if (!started) return tl::unexpected(started.error());
  return std::to_string(pid) + " " + std::to_string(*started);
}

bool HostEffector::runs(const std::string& process) {
  const auto pid = parse_number(std::string_view(process).substr(0, process.find(' ')), INT32_MAX);
  if (!pid || *pid == 0) return false;
  const UniqueFd fd = open_pidfd(static_cast<pid_t>(*pid));
  const auto name = name_of(static_cast<std::int32_t>(*pid));
  return fd && !has_ended(fd) && name && *name == process;
}

bool HostEffector::same_login(std::int32_t pid, const std::string& process) {
  const auto other = parse_number(std::string_view(process).substr(0, process.find(' ')), INT32_MAX);
  return other && runs(process) && ports_.processes.same_login(pid, static_cast<pid_t>(*other));
}

void HostEffector::tell(std::uint32_t uid, const std::string& text) {
  write_to_terminals(uid, text);
}

void HostEffector::settled(const std::vector<std::string>& grants) {
  const std::unordered_set<std::string> known(grants.begin(), grants.end());
  const auto lock = FileLock::try_take(paths_.lock);
  if (!lock) return;  // the record stays, and is forgotten when it is old
  const auto slots = ends_.read();
  if (!slots) return;
  for (const auto& slot : *slots)
    if (slot.record && !slot.record->active && known.contains(slot.record->grant)) (void)ends_.clear(slot.index);
}

void HostEffector::forget(std::int64_t until) {
  const auto lock = FileLock::try_take(paths_.lock);
  const auto slots = lock ? ends_.read() : tl::unexpected(lock.error());
  if (!slots) return;  // another time
  for (const auto& slot : *slots)
    if (!slot.record || slot.record->not_after + kKeepEnds < until) (void)ends_.clear(slot.index);
}

}  // namespace jit
