#include "jitd/core/expire.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <unordered_set>

#include "jitd/core/board_file.hpp"
#include "jitd/core/dead_man.hpp"
#include "jitd/core/host_effector.hpp"
#include "jitd/core/ledger.hpp"
#include "jitd/effects/dropins.hpp"
#include "jitd/effects/groups.hpp"
#include "jitd/store/records.hpp"
#include "jitd/sys/lock.hpp"
#include "jitd/sys/pidfd.hpp"
#include "jitd/sys/system_bus.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kPatience{1000};
constexpr int kDeathMs = 1000;

// A jitd that holds the lock for a second hangs: whatever it was doing, it is not ending grants.
void kill_daemon(const ExpirePorts& ports, Expired& expired) {
  const auto pid = ports.daemon();
  if (!pid) {
    expired.notes.push_back("no jitd to kill: " + pid.error().message);
    return;
  }
  const UniqueFd pidfd = open_pidfd(*pid);
  // Asked again now that the pidfd is open: it is of the process that the unit names, not of a later one with that
  // pid.
  const auto again = ports.daemon();
  if (!pidfd || !again || *again != *pid) return;
  if (signal_pidfd(pidfd, SIGKILL) != 0) return;
  expired.notes.push_back("killed jitd (process " + std::to_string(*pid) +
                          "), which held the effects lock for a second");
  (void)has_ended(pidfd, kDeathMs);
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

void sort_records(EndsFile& ends, Sorting& sorting, Expired& expired) {
  const auto slots = ends.read();
  if (!slots) {
    expired.failures.push_back("all is taken away, since the ends cannot be read: " + slots.error().message);
    return;
  }
  for (const auto& slot : *slots) {
    if (!slot.record) continue;
    const auto record = sorting.sort(slot);
    if (!record) continue;
    expired.grants.push_back(record->grant);
    if (auto written = ends.write(slot.index, *record, false); !written)
      expired.notes.push_back("the end of " + record->grant + " is not recorded: " + written.error().message);
  }
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

}  // namespace

Expired expire(const Paths& paths, const ExpirePorts& ports, bool all) {
  Expired expired;
  const EffectPaths places(paths);
  const auto lock = take_lock(places.lock, ports, expired);
  Sorting sorting(ports.clock, all);
  auto ends = open_records<EndsFile>(ports.files, places.var, "ends", expired);
  if (ends) sort_records(*ends, sorting, expired);

  const auto over = [&](std::string_view id) { return !sorting.lives(std::string(id)); };
  if (auto marked = mark_ended(ports.files, places.board, ports.clock.now().boot_ms, over); !marked) {
    // A damaged board opens nothing, to anybody.
    auto& texts = marked.error().code == Errc::invalid ? expired.notes : expired.failures;
    texts.push_back(marked.error().message);
  }
  remove_dropins(places, ports, sorting, expired);
  if (ends && !expired.grants.empty()) {
    if (auto synced = ends->sync(); !synced) expired.notes.push_back(synced.error().message);
  }
  if (auto held = open_records<HeldFile>(ports.files, places.var, "held", expired); held) {
    Groups groups(ports.files, ports.spawn, places.etc, places.reserve);
    Ledger ledger(*held, groups);
    const Taken taken = ledger.take([&](const HeldRecord& record) { return !sorting.lives(record.grant); });
    expired.notes.insert(expired.notes.end(), taken.notes.begin(), taken.notes.end());
    expired.failures.insert(expired.failures.end(), taken.failures.begin(), taken.failures.end());
  }
  if (sorting.next()) {
    DeadMan dead_man(ports.bus, ports.clock);
    if (auto armed = dead_man.set(sorting.next()); !armed)
      expired.failures.push_back("no dead-man timer for the next end: " + armed.error().message);
  }
  return expired;
}

int expire_main(bool all) {
  SystemSpawn spawn;
  SystemClock clock;
  SystemBus bus;
  const ExpirePorts ports{system_files(), spawn, clock, bus, [&bus] { return bus.main_pid("jitd.service"); }};
  const Expired expired = expire(Paths{}, ports, all);
  // "<N>" is the priority that the journal takes from a service's stderr (sd-daemon(3)).
  for (const std::string& grant : expired.grants)
    (void)std::fprintf(stderr, "<5>grant %s has ended\n", shown(grant, 64).c_str());
  for (const std::string& text : expired.notes) (void)std::fprintf(stderr, "<4>%s\n", shown(text).c_str());
  for (const std::string& text : expired.failures) (void)std::fprintf(stderr, "<3>%s\n", shown(text).c_str());
  return expired.failures.empty() ? 0 : 1;
}

}  // namespace jit
