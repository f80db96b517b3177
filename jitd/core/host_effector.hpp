// The Effector of a real host: held, ends, group files, drop-ins, board and dead-man timer, under the effects lock.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "jitd/core/board_file.hpp"
#include "jitd/core/dead_man.hpp"
#include "jitd/core/effector.hpp"
#include "jitd/core/host.hpp"
#include "jitd/core/ledger.hpp"
#include "jitd/core/running.hpp"
#include "jitd/effects/dropins.hpp"
#include "jitd/effects/groups.hpp"
#include "jitd/effects/logins.hpp"
#include "jitd/effects/noted_commands.hpp"
#include "jitd/effects/processes.hpp"
#include "jitd/effects/recordings.hpp"
#include "jitd/effects/residue.hpp"
#include "jitd/store/records.hpp"
#include "jitd/sys/bus.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/lock.hpp"
#include "jitd/wire/board_writer.hpp"

namespace jit {

// Where the effects' files are: VAR/held, VAR/ends, RUN/effects.lock, RUN/board, RUN/sudoers.d, RUN/logins,
// RUN/commands, RUN/timers, RUN/frozen, RUN/residue, ETC_JIT/.reserve; and the recordings.
struct EffectPaths {
  explicit EffectPaths(const Paths& paths);
  std::string var, etc, lock, board, dropins, logins, commands, timers, frozen, residue, reserve, recordings;
};

class HostEffector final : public Effector {
 public:
  struct Ports {
    Files& files;
    Spawn& spawn;
    Clock& clock;
    Bus& bus;
    // The policy's gates as they stand now, subjects resolved (server/board_gates.hpp).
    std::function<std::vector<wire::GateOnBoard>()> gates;
    Processes processes = Processes();
  };

  // Opens, or makes, the two record files.
  [[nodiscard]] static Result<std::unique_ptr<HostEffector>> open(Ports ports, const Paths& paths);

  // Refuses a grant whose record is marked ended, whatever the caller believes.
  [[nodiscard]] Result<void> prepare_all(const std::vector<Entitlement>& entitlements) override;
  [[nodiscard]] Result<void> give_all(const std::vector<Entitlement>& entitlements) override;
  [[nodiscard]] Result<void> move_ends(const std::vector<Entitlement>& entitlements) override;
  [[nodiscard]] Taken take(const std::vector<EndOrder>& orders) override;
  // Leaves the state of `ends` alone: what is not wanted now may be decided again.
  [[nodiscard]] Taken reconcile(const std::vector<Entitlement>& wanted) override;
  // A grant whose word on the old board is not live, or whose record is marked ended, does not live on the new one
  // either, unless it was prepared anew since.
  [[nodiscard]] Result<void> publish(const std::vector<Entitlement>& wanted) override;
  [[nodiscard]] Result<std::vector<EndRecord>> ends() override;
  [[nodiscard]] Result<bool> elevate(const std::string& grant, bool leave, std::int32_t pid) override;
  [[nodiscard]] Result<void> let_in(const std::string& grant, std::int32_t pid) override;
  void let_out(std::int32_t pid) override;
  [[nodiscard]] std::map<std::string, std::string> residue() override;
  [[nodiscard]] Result<std::string> name_of(std::int32_t pid) override;
  [[nodiscard]] bool runs(const std::string& process) override;
  [[nodiscard]] bool same_login(std::int32_t pid, const std::string& process) override;
  [[nodiscard]] Result<void> spare_command(const Taken::HeldBack& command, bool leave) override;
  std::size_t end_command(const Taken::HeldBack& command) override;
  void warn(const std::vector<EndOrder>& soon) override;
  void tell(std::uint32_t uid, const std::string& text) override;
  void settled(const std::vector<std::string>& grants) override;
  void forget(std::int64_t until) override;

 private:
  HostEffector(Ports ports, EffectPaths paths, HeldFile held, EndsFile ends);
  using Slots = std::vector<EndsFile::Slot>;
  [[nodiscard]] EndRecord active_record(const Entitlement& entitlement) const;
  [[nodiscard]] Result<void> record_ends(const std::vector<const Entitlement*>& entitlements, const Slots& slots);
  [[nodiscard]] Result<void> note_residue(const Entitlement& entitlement);
  [[nodiscard]] Result<void> write_board(const std::vector<Entitlement>& wanted);
  [[nodiscard]] Result<void> put_dropin(const Entitlement& entitlement);
  void put_dropins(const std::vector<const Entitlement*>& entitlements, std::optional<FileLock> lock,
                   std::vector<std::string>& failures);
  // False: not all were ended, and the next reconcile tries again.
  bool end_holders_or_later(const std::set<LostGroup>& lost, Taken& taken);
  // held_back.cpp
  [[nodiscard]] BoardWithout board_without(const std::vector<EndOrder>& orders) const;
  // The grant that lets its user in by that board, "" where none is needed; nullopt: nothing does.
  [[nodiscard]] std::optional<std::string> let_in_by(const BoardWithout& board, const EndOrder& order,
                                                     const PlainCommand& command) const;
  void hold_back(const std::vector<EndOrder>& orders, Taken& taken);
  void list_left(const std::vector<EndOrder>& orders, Taken& taken) const;
  [[nodiscard]] Commands held_back() const;  // that are still to be settled, and not too late
  void forget(const Taken::HeldBack& command);

  void mark_ends(const std::vector<EndOrder>& orders, std::vector<std::string>& failures);
  [[nodiscard]] Result<FileLock> lock_for_giving() const;
  [[nodiscard]] std::optional<FileLock> lock_for_taking(std::vector<std::string>& failures) const;

  Ports ports_;
  EffectPaths paths_;
  HeldFile held_;
  EndsFile ends_;
  Groups groups_;
  Dropins dropins_;
  InstalledSudos sudos_;
  Ledger ledger_;
  DeadMan dead_man_;
  Logins logins_;
  NotedCommands commands_;
  ResidueNotes residue_;
  Recordings recordings_;
  std::set<std::string> left_;      // ended with on_end = "leave", and its groups could not be taken away yet
  std::set<LostGroup> lost_later_;  // of polite ends, and where not all could be killed; `held` knows most of it too
  std::map<std::string, std::map<pid_t, std::uint64_t>> held_back_;  // until when, boot-time ms
  std::uint64_t scopes_again_boot_ms_ = 0;                           // 0: systemd answered last time
  std::set<std::string> prepared_;                                   // since the last board
  std::unordered_map<std::uint32_t, std::uint64_t> sudo_ends_;       // uid: boot-time ms, should the board get lost
};

}  // namespace jit
