// The engine: documents and wishes in, grants with their lives, effects out. Single-threaded, on the loop; every
// entry point takes what the peer or the clock says and nothing else. Answers may come later, through the callback.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jitd/core/effector.hpp"
#include "jitd/core/host.hpp"
#include "jitd/core/questions.hpp"
#include "jitd/store/store.hpp"
#include "jitd/sys/clock.hpp"
#include "policy/result.hpp"

namespace jit {

// Who asks, from the kernel (sys/peer.hpp). Never from a payload.
struct Caller {
  std::uint32_t uid = 0;
  std::optional<std::uint32_t> loginuid;
  std::int32_t pid = 0;
  [[nodiscard]] bool root() const { return uid == 0; }
};

struct WishInput {
  std::string role;
  std::optional<Seconds> duration;
  std::string reason;
  std::string ticket;
  std::optional<WallTime> start = {};  // not before
  std::string extends = {};            // id (or its start) of a grant of the caller's that is to go on; `role` is its
  std::string origin = "local";        // "pam": asked for at the door
};

// Somebody who comes in at a PAM service and has proved who they are, as the module says.
struct Comer {
  std::string user;
  std::optional<std::uint32_t> uid;       // where the kernel said it
  std::optional<std::uint32_t> loginuid;  // of the process that lets them in
};

// The id by which the host knows a grant: in its records, drop-in, slice and on the board. An extension takes over
// what is there under the id of the grant that it goes back to, so that nothing moves when the one follows the other.
[[nodiscard]] std::string entitlement_id(const GrantRecord& record);

// What became of it, for the caller.
struct Outcome {
  std::string id;
  GrantState state = GrantState::pending;
  std::string message;  // "waiting for dba-leads (1 of 1)", "active until 10:42:00"
  bool durable = true;  // false: in force, but a restart would forget it; to be handed in again until it is true
};

// A document that could not be judged now, and that may be handed in again: neither taken nor refused.
[[nodiscard]] constexpr bool another_time(Errc code) {
  return code == Errc::system || code == Errc::busy || code == Errc::unavailable;
}

// A grant as some caller may see it.
struct GrantView {
  GrantRecord record;
  std::string host;
  std::vector<std::string> signers;      // "carol approved 2026-..", with comment
  std::vector<std::string> waiting_for;  // "dba-leads: 1 more of carol, dave"
  std::string document;                  // with signatures
  bool reviewable = false;               // the caller may review it
};

struct RoleView {
  std::string name, description;
  Seconds limit{0};
  std::string rule;  // "approved by itself", "needs dba-leads (1)", "denied: ..."
  std::vector<std::string> groups, opens, commands;
  bool eligible = false;
  std::string grant;  // id of the caller's active grant of it
  bool terminate_on_end = true;
};

// One line for the journal, structured (sd_journal_send fields JIT_*); the server writes it, the engine never logs.
struct JournalLine {
  int priority = 6;  // syslog
  std::string message;
  std::vector<std::pair<std::string, std::string>> fields;  // JIT_GRANT, JIT_USER, JIT_ROLE, JIT_EVENT ...
};

class Engine {
 public:
  template <class T>
  using Reply = std::function<void(Result<T>)>;

  struct Ports {
    Clock& clock;
    Store& store;
    Effector& effector;
    Questions& questions;
    std::function<void(JournalLine)> journal;
    std::function<void()> wake;  // something changed: re-arm timers, tell waiters
    // What local files say: gids of groups, uids of run-as accounts, path checks (core/host_facts.hpp).
    class HostFacts& facts;
    // What became of the database that the last run left, when this is a new one (core/open_store.hpp); empty:
    // nothing.
    std::string lost = {};
    // There is an outbox, and this is the highest sequence of an event in it; nullopt: there is none, and nobody is
    // told of anything (server/outbox.hpp).
    std::optional<std::uint64_t> told = {};
    // Policy and trust of the owners (core/deliveries.hpp): all parts of one number, taken over or refused as a
    // whole; and then everything is to be read again. Without them none is taken.
    std::function<Result<void>(Kind kind, const std::vector<std::string>& documents)> take_over = {};
    std::function<void()> reload = {};
  };

  // Loads the store and brings the host to the right state: take away all, then decide again every grant not marked
  // ended.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> start(Ports ports, std::shared_ptr<const HostView> host);
  virtual ~Engine() = default;

  // That account, as the caller who may then ask and look. Errc::refused: there is none that answers for itself.
  virtual void comer(const Comer& who, Reply<Caller> reply) = 0;

  // Anyone.
  virtual void request(const Caller& caller, const WishInput& wish, Reply<Outcome> reply) = 0;
  virtual void submit(const Caller* caller, std::string text, Reply<Outcome> reply) = 0;  // caller null: the inbox
  virtual void release(const Caller& caller, const std::string& id_prefix, bool all,
                       Reply<std::vector<Outcome>> reply) = 0;
  // Read-only. P8: "absent" and "forbidden" answer alike.
  virtual void roles(const Caller& caller, Reply<std::vector<RoleView>> reply) = 0;
  virtual void list(const Caller& caller, bool all, bool ended, Reply<std::vector<GrantView>> reply) = 0;
  virtual void pending(const Caller& caller, Reply<std::vector<GrantView>> reply) = 0;
  // What bars the caller from every role now: "locked by carol: ..."; empty when nothing does.
  virtual void barred(const Caller& caller, Reply<std::string> reply) = 0;
  virtual void show(const Caller& caller, const std::string& id_prefix, Reply<GrantView> reply) = 0;
  virtual void document(const Caller& caller, const std::string& id_prefix, Reply<std::string> reply) = 0;
  // Root (the dispatcher has checked).
  virtual void lift(const Caller& caller, const std::string& user, Reply<Outcome> reply) = 0;
  virtual void accept_clock(const Caller& caller, Reply<Outcome> reply) = 0;
  [[nodiscard]] virtual Result<std::vector<ChainEntry>> audit(std::uint64_t from, std::size_t limit) = 0;

  // A command that begins to run with rights of somebody else (sudo, su). Its grant: of this user, with a rule for
  // `target` or the one that opened a gate. Of several the one whose rule is for this very command, and of those the
  // one that ends last; where no rule surely is, the one that ends first. The process is put where the end of that
  // grant finds it before the reply, which has its id; empty: no grant gives this, it goes by other rules. An error
  // refuses.
  struct Elevation {
    std::uint32_t uid = 0;  // real uid of the process
    std::int32_t pid = 0;
    std::string service, target, opened_by;  // opened_by: the grant that opened a gate, or empty
    std::vector<std::string> argv;           // of the process itself
  };
  struct Elevated {
    std::string grant;
    bool recorded = false;
  };
  virtual void elevate(const Elevation& what, Reply<Elevated> reply) = 0;
  // A login that a gate let in by this grant. An error when the grant is over by now.
  virtual void let_in(const std::string& grant, std::int32_t pid, Reply<std::string> reply) = 0;
  virtual void let_out(std::int32_t pid) = 0;  // its session was closed
  virtual void residue_found() = 0;            // the effector knows what grants that are over left in files

  // Time and changes.
  virtual void tick() = 0;  // ends what is due; pending that expired; the mark
  [[nodiscard]] virtual std::optional<Instant> next_due() const = 0;  // earliest deadline on either clock
  virtual void reload(
      std::shared_ptr<const HostView> host) = 0;  // policy, people, trust or config changed: decide again
  virtual void accounts_changed() = 0;            // /etc/passwd: do names and uids still match?
  virtual void groups_changed() = 0;              // /etc/group, by ourselves too: would roles still give the same?
  virtual void gates_changed() = 0;               // a gate covers or excepts others than the board says
  virtual void reconcile() = 0;

  // Checks answered on their thread, reported in batches for the audit (P9): counts of equal ones.
  struct CheckReport {
    std::string service, subject, verdict, gate, grant;
    std::uint64_t count = 0;
  };
  virtual void checked(const std::vector<CheckReport>& batch) = 0;

  // For status, doctor and sd_notify.
  struct Health {
    std::size_t active = 0, pending = 0;
    std::string clock;     // empty: fine; else what is wrong
    std::string refusing;  // why the last grant was not given, and the next will not be either; empty: it was
    std::vector<std::string> warnings;
    std::uint64_t audit_sequence = 0;
    std::string audit_head;
    struct View {                  // of revocations (core/revocation_view.hpp)
      std::uint64_t number = 0;    // of its list; 0: there is none
      std::uint64_t newest = 0;    // the highest that came, also ahead of it
      std::optional<Seconds> age;  // nullopt: there is none
      std::optional<WallTime> created, next_update;
    } view;
  };
  [[nodiscard]] virtual Health health() const = 0;

  // What this host has to say to others, as it lies in the outbox (server/outbox.hpp).
  struct Outgoing {
    std::vector<Digest> waiting;  // requests, sorted
    EventRange events;
  };
  // It came, with the highest sequence of an event that is in it, or it went.
  virtual void outbox(bool there, std::uint64_t told) = 0;
  [[nodiscard]] virtual std::uint64_t news() const = 0;  // another number once outgoing() may be another
  [[nodiscard]] virtual Outgoing outgoing() const = 0;
  [[nodiscard]] virtual Result<std::string> waiting_text(const Digest& request) = 0;
  [[nodiscard]] virtual Result<std::vector<StoredEvent>> events(std::uint64_t from, std::size_t limit) = 0;
  // That the host is alive, signed now. Drops the events that are kept no longer.
  [[nodiscard]] virtual Result<std::string> alive() = 0;

  // Root has said what this machine is (core/machine.hpp); `host` has its key. With a new one, what waits and what is
  // in force ends: it was signed for another host.
  virtual void enrolled(const Caller& caller, std::shared_ptr<const HostView> host, bool new_key) = 0;
};

}  // namespace jit
