// What the engine does to the host, behind one interface: durable records first, then effects. The real one
// (core/host_effector.hpp) works with held, ends, groups, drop-ins, board and dead-man timer under the effects lock.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "jitd/store/records.hpp"
#include "jitd/store/store.hpp"
#include "policy/document/effects.hpp"
#include "policy/result.hpp"

namespace jit {

// One active (or activating) grant as effects see it.
struct Entitlement {
  std::string grant;  // entitlement_id()
  Digest digest;
  std::string user;
  std::uint32_t uid = 0;
  Effects effects;
  std::int64_t not_after = 0;          // wall seconds
  std::uint64_t boot_deadline_ms = 0;  // in this boot
  std::int64_t began = 0;              // wall seconds: when it, or the first that it goes back to, was activated
  bool once = false;                   // for one session: without jitd nobody knows whether that has begun
  bool being_given = false;            // not in force yet: it opens nothing, and what sudo runs by it is asked about
  // Where it ends with the host's view of revocations, unless newer lists come in time, which move this on; 0: it
  // does not. `ends`, board and dead-man go by the earlier of both ends, so that it holds with jitd dead; a drop-in
  // says not_after alone, and is not written again for each list.
  std::int64_t view_not_after = 0;
  std::uint64_t view_deadline_ms = 0;
  [[nodiscard]] std::int64_t ends_at() const {
    return view_not_after == 0 ? not_after : std::min(not_after, view_not_after);
  }
  [[nodiscard]] std::uint64_t ends_at_boot_ms() const {
    return view_not_after == 0 ? boot_deadline_ms : std::min(boot_deadline_ms, view_deadline_ms);
  }
};

// An elevated command of which sudo can be asked, when its grant ends, whether it would be let in without it.
struct PlainCommand {
  std::int32_t pid = 0;  // that of its scope
  std::string service;
};

struct EndOrder {
  std::string grant;
  std::string user;
  std::uint32_t uid = 0;
  Effects effects;
  std::string reason;  // one word for `ends`: expired, released, revoked, locked, policy, user, clock, root, removed,
                       // once, view
  bool leave = false;  // on_end = "leave": what runs goes on
  bool polite = false;  // its user gives it back: logins and holders of its groups end a moment later, so that the
                        // one who says so hears the answer
  std::vector<PlainCommand> plain = {};
};

// A membership that is gone: processes that started with it still hold it.
struct LostGroup {
  std::string grant, user;
  std::uint32_t uid = 0, gid = 0;
  auto operator<=>(const LostGroup&) const = default;
};

// What is to be said of a taking away. It goes on whatever fails.
struct Taken {
  std::vector<std::string> notes;     // done, and worth a line: a holder of the lock killed, a group that was gone
  std::vector<std::string> failures;  // still there, or perhaps: the next reconcile tries again
  std::set<LostGroup> lost;           // memberships that are gone, and who holds them may not be
  std::map<std::string, std::size_t> ended;              // processes that an end ended, by grant
  std::map<std::string, std::vector<std::string>> left;  // by grant that leaves what runs: "PID NAME" of each
  bool more_soon = false;                                // of polite ends: call reconcile in a moment
  // Commands that stand still in their scopes: the gate would let their users in without the grant that ended. What
  // sudo's rules say is to be asked now, and settle_command() called with it; what is not settled soon is killed.
  struct HeldBack {
    std::string grant;
    std::int32_t pid = 0;
    std::string through;  // another grant, which opens the gate; empty: it needs none
  };
  std::vector<HeldBack> held_back;
  [[nodiscard]] bool empty() const { return notes.empty() && failures.empty(); }
};

class Effector {
 public:
  virtual ~Effector() = default;

  // Before anything is given: free records, the dead-man timer for the next of these ends, then `ends` and `held`
  // made durable. All or nothing. Errc::busy: try again soon (a lock is held), anything else refuses the activation.
  [[nodiscard]] virtual Result<void> prepare_all(const std::vector<Entitlement>& entitlements) = 0;
  // Gives: group memberships in one rewrite, and the drop-ins. Idempotent; what fails may be given in part.
  // Errc::busy: /etc/.pwd.lock is held, try again for up to 5 s.
  [[nodiscard]] virtual Result<void> give_all(const std::vector<Entitlement>& entitlements) = 0;
  [[nodiscard]] Result<void> prepare(const Entitlement& entitlement) { return prepare_all({entitlement}); }
  [[nodiscard]] Result<void> give(const Entitlement& entitlement) { return give_all({entitlement}); }
  // The ends of what is given have moved, either way: in `ends`, durably. What is marked ended there stays so.
  // publish() is to follow. Errc::busy: try again soon.
  [[nodiscard]] virtual Result<void> move_ends(const std::vector<Entitlement>& entitlements) = 0;
  // Takes away, as one batch: board words, `ends`, drop-ins, what runs in the grants' slices, one rewrite of
  // /etc/group, `held`, logins and processes that still hold a group. Never delayed by a failing write; what failed
  // comes back as text and is tried again by reconcile.
  [[nodiscard]] virtual Taken take(const std::vector<EndOrder>& orders) = 0;
  // Level-triggered: makes the host hold exactly `wanted` out of all that is ours (held, drop-ins with our prefix).
  [[nodiscard]] virtual Taken reconcile(const std::vector<Entitlement>& wanted) = 0;
  // Puts an elevated process where the end of its grant finds it: a scope in the grant's slice, or in one that is
  // left alone; and what sudo records of it under the grant. Proven when it returns, which is whether it is recorded.
  // Errc::unavailable: systemd did not do it in time, or is not there.
  [[nodiscard]] virtual Result<bool> elevate(const std::string& grant, bool leave, std::int32_t pid) = 0;
  // A login that a gate let in by this grant: it ends with it.
  [[nodiscard]] virtual Result<void> let_in(const std::string& grant, std::int32_t pid) = 0;
  virtual void let_out(std::int32_t pid) = 0;  // it was closed
  // What those that are over left in files, as found since the last call: by grant, lines for people
  // (effects/residue.hpp).
  [[nodiscard]] virtual std::map<std::string, std::string> residue() = 0;
  // A process of this boot, as "PID STARTED_MS": no other ever has that name. Errc::not_found: it is gone.
  [[nodiscard]] virtual Result<std::string> name_of(std::int32_t pid) = 0;
  [[nodiscard]] virtual bool runs(const std::string& process) = 0;
  // Whether `pid` is in the login session of that process.
  [[nodiscard]] virtual bool same_login(std::int32_t pid, const std::string& process) = 0;
  // A command that was held back goes on: under grant `through`, or where that is empty in a slice that is left
  // alone. Errc::not_found: it is gone; any other error: it could not be moved and was killed.
  [[nodiscard]] virtual Result<void> spare_command(const Taken::HeldBack& command, bool leave) = 0;
  // Or it is killed; how many processes that were.
  virtual std::size_t end_command(const Taken::HeldBack& command) = 0;
  // SIGTERM to what runs under these grants, since they end soon; but for what would be held back at their end.
  virtual void warn(const std::vector<EndOrder>& soon) = 0;
  // A line on the terminals of this user.
  virtual void tell(std::uint32_t uid, const std::string& text) = 0;
  // Publishes the board for `wanted` and arms the dead-man timer for the next end.
  [[nodiscard]] virtual Result<void> publish(const std::vector<Entitlement>& wanted) = 0;
  // What `ends` says on disk, active and ended records alike; a torn one reads as ended. Recovery revives none
  // that is marked ended here, whatever the database says.
  [[nodiscard]] virtual Result<std::vector<EndRecord>> ends() = 0;
  // The database knows the ends of these grants: their records may be freed. Until then a record marked ended stays,
  // so that an end which the database could not take survives a restart.
  virtual void settled(const std::vector<std::string>& grants) = 0;
  // Records of grants that were over before `until` (seconds, a time that has surely come) may be freed, settled or
  // not.
  virtual void forget(std::int64_t until) = 0;
};

}  // namespace jit
