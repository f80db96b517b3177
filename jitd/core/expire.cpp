#include "jitd/core/expire.hpp"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <unordered_set>

#include "jitd/core/board_file.hpp"
#include "jitd/core/dead_man.hpp"
#include "jitd/core/host_effector.hpp"
#include "jitd/core/ledger.hpp"
#include "jitd/core/running.hpp"
#include "jitd/effects/dropins.hpp"
#include "jitd/effects/frozen_users.hpp"
#include "jitd/effects/groups.hpp"
#include "jitd/effects/own_units.hpp"
#include "jitd/effects/residue.hpp"
#include "jitd/store/records.hpp"
#include "jitd/sys/descriptors.hpp"
#include "jitd/sys/lock.hpp"
#include "jitd/sys/pidfd.hpp"
#include "jitd/sys/system_bus.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;
// The dead-man comes 200 ms after an end: with this and the work itself everything is gone within a second of it.
constexpr milliseconds kPatience{500};
constexpr int kDeathMs = 1000;

struct RunningDaemon {
  pid_t pid = 0;
  UniqueFd pidfd;
};

Result<RunningDaemon> find_daemon(const ExpirePorts& ports) {
  const auto pid = ports.daemon();
  if (!pid) return tl::unexpected(pid.error());
  UniqueFd pidfd = open_pidfd(*pid);
  // Asked again now that the pidfd is open: it is of the process that the unit names, not of a later one with that
  // pid.
  const auto again = ports.daemon();
  if (!pidfd || !again || *again != *pid) return fail(Errc::not_found, "it has just gone");
  return RunningDaemon{*pid, std::move(pidfd)};
}

// A jitd that holds the lock for so long hangs: whatever it was doing, it is not ending grants.
void kill_daemon(const ExpirePorts& ports, Expired& expired) {
  const auto daemon = find_daemon(ports);
  if (!daemon) {
    expired.notes.push_back("no jitd to kill: " + daemon.error().message);
    return;
  }
  if (signal_pidfd(daemon->pidfd, SIGKILL) != 0) return;
  expired.notes.push_back("killed jitd (process " + std::to_string(daemon->pid) +
                          "), which held the effects lock for " + std::to_string(kPatience.count()) + " ms");
  (void)has_ended(daemon->pidfd, kDeathMs);
}

// A jitd that runs believes in grants that are over by somebody else's hand: systemd starts it anew, and it reads so.
void restart_daemon(const ExpirePorts& ports, Expired& expired) {
  const auto daemon = find_daemon(ports);
  if (daemon && signal_pidfd(daemon->pidfd, SIGTERM) == 0)
    expired.notes.push_back("jitd (process " + std::to_string(daemon->pid) +
                            ") is started anew, to see what has ended");
}

std::optional<FileLock> take_lock(const std::string& path, const ExpirePorts& ports, Expired& expired) {
  auto lock = FileLock::take(path, kPatience);
  if (!lock && lock.error().code == Errc::busy) {
    kill_daemon(ports, expired);
    lock = FileLock::take(path, kPatience);
  }
  if (lock) return std::move(*lock);
  // At boot the folder may not be there yet. Otherwise another `--expire` is at it: both only take away.
  if (lock.error().errnum != ENOENT)
    expired.notes.push_back("went on without the effects lock: " + lock.error().message);
  return std::nullopt;
}

// Which records live on, and what becomes of the others.
class Sorting {
 public:
  Sorting(const Clock& clock, bool all) : now_(clock.now()), boot_id_(clock.boot_id()), all_(all) {}

  // The record as it is to be from now on; nullopt: as it is.
  std::optional<EndRecord> sort(const EndsFile::Slot& slot) {
    EndRecord record = *slot.record;
    const bool this_boot = record.boot_id == boot_id_ && !boot_id_.empty();
    const bool past = record.not_after <= now_.wall_ms / 1000 || (this_boot && record.boot_ms <= now_.boot_ms);
    if (record.active && this_boot && !past && !all_) {
      live_.insert(record.grant);
      const EndTime end{record.not_after * 1000, record.boot_ms};
      next_ = next_ ? earlier(*next_, end) : end;
      return std::nullopt;
    }
    if (record.active && !past && !this_boot) return std::nullopt;
    if (!record.active && !slot.torn) return std::nullopt;
    if (record.active) record.reason = past ? "expired" : "removed";
    record.active = false;
    return record;
  }

  [[nodiscard]] bool lives(const std::string& grant) const { return live_.contains(grant); }
  [[nodiscard]] const std::optional<EndTime>& next() const { return next_; }

 private:
  Instant now_;
  std::string boot_id_;
  bool all_;
  std::unordered_set<std::string> live_;
  std::optional<EndTime> next_;
};

template <class File>
std::optional<File> open_records(Files& files, const std::string& dir, const char* name, Expired& expired) {
  auto file = File::open(files, dir, name, false);
  if (file) return std::move(*file);
  if (file.error().errnum != ENOENT) expired.failures.push_back(file.error().message);
  return std::nullopt;
}

using Changes = std::vector<std::pair<std::size_t, EndRecord>>;  // by slot

Changes sort_records(EndsFile& ends, Sorting& sorting, Expired& expired) {
  Changes changes;
  const auto slots = ends.read();
  if (!slots) {
    expired.failures.push_back("all is taken away, since the ends cannot be read: " + slots.error().message);
    return changes;
  }
  for (const auto& slot : *slots) {
    if (!slot.record) continue;
    auto record = sorting.sort(slot);
    if (!record) continue;
    expired.grants.push_back(record->grant);
    changes.emplace_back(slot.index, std::move(*record));
  }
  return changes;
}

void record_ends(EndsFile& ends, const Changes& changes, Expired& expired) {
  for (const auto& [index, record] : changes)
    if (auto written = ends.write(index, record, false); !written)
      expired.notes.push_back("the end of " + record.grant + " is not recorded: " + written.error().message);
}

void remove_dropins(const EffectPaths& places, const ExpirePorts& ports, const Sorting& sorting, Expired& expired) {
  Dropins dropins(ports.files, ports.spawn, places.dropins);
  dropins.sweep();
  const auto present = dropins.present();
  if (!present) {
    expired.failures.push_back(present.error().message);
    return;
  }
  for (const std::string& id : *present) {
    if (sorting.lives(id)) continue;
    if (auto removed = dropins.remove(id); !removed) expired.failures.push_back(removed.error().message);
  }
}

// What marking says. A damaged board opens nothing, to anybody.
void note_marked(const Result<void>& marked, Expired& expired) {
  if (marked) return;
  auto& texts = marked.error().code == Errc::invalid ? expired.notes : expired.failures;
  texts.push_back(marked.error().message);
}

}  // namespace

Expired expire(const Paths& paths, const ExpirePorts& ports, bool all) {
  Expired expired;
  const EffectPaths places(paths);
  auto lock = take_lock(places.lock, ports, expired);
  FrozenUsers::thaw_left(ports.processes.tree(), places.frozen);
  Sorting sorting(ports.clock, all);
  auto ends = open_records<EndsFile>(ports.files, places.var, "ends", expired);
  const Changes changes = ends ? sort_records(*ends, sorting, expired) : Changes();

  const auto over = [&](std::string_view id) { return !sorting.lives(std::string(id)); };
  note_marked(mark_ending(ports.files, places.board, over), expired);
  remove_dropins(places, ports, sorting, expired);
  note_marked(mark_ended(ports.files, places.board, ports.clock.now().boot_ms, over), expired);
  if (ends) record_ends(*ends, changes, expired);
  Taken taken;
  Logins logins(ports.files, ports.processes, places.logins);
  const auto gone = [&](const std::string& grant) { return !sorting.lives(grant); };
  NotedCommands commands(ports.files, places.commands, ports.processes.proc(),
                         [&](pid_t pid) { return ports.processes.under_a_grant(pid); });
  end_commands(ports.processes, commands, gone, taken);
  const auto lives = [&](std::string_view id) { return sorting.lives(std::string(id)); };
  end_waiting_sudos(ports.processes, carry_over(places.board, ports.clock.now().boot_ms, lives).sudo_ends, {}, taken);
  end_logins(logins, gone, taken);
  if (ends && !expired.grants.empty()) {
    if (auto synced = ends->sync(); !synced) expired.notes.push_back(synced.error().message);
  }
  if (auto held = open_records<HeldFile>(ports.files, places.var, "held", expired); held) {
    Groups groups(ports.files, ports.spawn, places.etc, places.reserve);
    Ledger ledger(*held, groups);
    const Taken memberships = ledger.take([&](const HeldRecord& record) { return !sorting.lives(record.grant); });
    taken.notes.insert(taken.notes.end(), memberships.notes.begin(), memberships.notes.end());
    taken.failures.insert(taken.failures.end(), memberships.failures.begin(), memberships.failures.end());
    // What is left is a failure of `taken`.
    if (end_holders(ports.processes, places.etc, places.frozen, memberships.lost, taken)) ledger.forget_lost(gone);
  }
  see_them_gone(ports.processes, ports.bus, gone, taken);
  (void)ResidueNotes(ports.files, places.residue).over(gone);
  for (const auto& [grant, count] : taken.ended)
    expired.notes.push_back(std::to_string(count) + " processes of grant " + shown(grant, 64) + " were ended");
  expired.notes.insert(expired.notes.end(), taken.notes.begin(), taken.notes.end());
  expired.failures.insert(expired.failures.end(), taken.failures.begin(), taken.failures.end());
  if (sorting.next()) {
    DeadMan dead_man(ports.bus, ports.clock);
    if (auto armed = dead_man.set(sorting.next()); !armed)
      expired.failures.push_back("no dead-man timer for the next end: " + armed.error().message);
  }
  lock.reset();
  if (all && !expired.grants.empty()) restart_daemon(ports, expired);
  return expired;
}

int expire_main(bool all) {
  use_all_descriptors();
  SystemSpawn spawn;
  SystemClock clock;
  const Paths paths;
  const auto bus = make_bus(spawn, clock, EffectPaths(paths).timers);
  const ExpirePorts ports{system_files(), spawn, clock, *bus, [] { return SystemBus().main_pid("jitd.service"); }};
  const Expired expired = expire(paths, ports, all);
  // "<N>" is the priority that the journal takes from a service's stderr (sd-daemon(3)).
  const bool service = ::getenv("JOURNAL_STREAM") != nullptr && ::isatty(STDERR_FILENO) == 0;
  const auto say = [&](const char* priority, const std::string& text) {
    (void)std::fprintf(stderr, "%s%s\n", service ? priority : "", shown(text).c_str());
  };
  for (const std::string& grant : expired.grants) say("<5>", "grant " + shown(grant, 64) + " has ended");
  for (const std::string& text : expired.notes) say("<4>", text);
  for (const std::string& text : expired.failures) say("<3>", text);
  return expired.failures.empty() ? 0 : 1;
}

int expire_at_main(const std::string& name, const std::string& wall_ms, const std::string& boot_ms) {
  leave_grants_cgroup(Processes());
  const auto wall = parse_number(wall_ms, INT64_MAX), boot = parse_number(boot_ms, INT64_MAX);
  Result<bool> due = fail(Errc::invalid, "--expire-at takes a name and two times in milliseconds");
  if (wall && boot) due = wait_as_timer(EffectPaths(Paths{}).timers, name, static_cast<std::int64_t>(*wall), *boot);
  if (!due) {
    (void)std::fprintf(stderr, "%s\n", shown(due.error().message).c_str());
    return 1;
  }
  return *due ? expire_main(false) : 0;
}

}  // namespace jit
