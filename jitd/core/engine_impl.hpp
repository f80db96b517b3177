// The engine's one class, split over files by what happens: request.cpp (a wish becomes a request), submit.cpp (a
// The engine's one class, split over files by what happens: request.cpp (a wish becomes a request), submit.cpp (a
// document comes in), asks.cpp, reviews.cpp, direct.cpp, revocations.cpp, locks.cpp, delivering.cpp (by kind),
// lists.cpp (the view of revocations), judge.cpp (the decision with the facts and consents of now), activation.cpp
// and endings.cpp (effects given and taken), extension.cpp (one grant follows another), elevation.cpp (what runs
// under a grant), one_session.cpp (a grant for one), recovery.cpp (after a start), saving.cpp (what is durable),
// telling.cpp (what others are told), views.cpp (who may see what), engine.cpp (time, reload and the rest).
#pragma once

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "jitd/audit/audit_log.hpp"
#include "jitd/core/asking.hpp"
#include "jitd/core/clock_guard.hpp"
#include "jitd/core/denials.hpp"
#include "jitd/core/engine.hpp"
#include "jitd/core/event_log.hpp"
#include "jitd/core/host_facts.hpp"
#include "jitd/core/life.hpp"
#include "jitd/core/line_budget.hpp"
#include "jitd/core/revocation_view.hpp"
#include "jitd/core/sudo_words.hpp"
#include "policy/rules/decision.hpp"
#include "policy/rules/people.hpp"

namespace jit {

class EngineImpl final : public Engine {
 public:
  EngineImpl(Ports ports, std::shared_ptr<const HostView> host, const std::optional<ClockMark>& mark);
  [[nodiscard]] Result<void> recover();  // recovery.cpp; once, before anything else

  void request(const Caller& caller, const WishInput& wish, Reply<Outcome> reply) override;
  void submit(const Caller* caller, std::string text, Reply<Outcome> reply) override;
  void release(const Caller& caller, const std::string& id_prefix, bool all,
               Reply<std::vector<Outcome>> reply) override;
  void roles(const Caller& caller, Reply<std::vector<RoleView>> reply) override;
  void list(const Caller& caller, bool all, bool ended, Reply<std::vector<GrantView>> reply) override;
  void pending(const Caller& caller, Reply<std::vector<GrantView>> reply) override;
  void barred(const Caller& caller, Reply<std::string> reply) override;
  void show(const Caller& caller, const std::string& id_prefix, Reply<GrantView> reply) override;
  void document(const Caller& caller, const std::string& id_prefix, Reply<std::string> reply) override;
  void lift(const Caller& caller, const std::string& user, Reply<Outcome> reply) override;
  void accept_clock(const Caller& caller, Reply<Outcome> reply) override;
  Result<std::vector<ChainEntry>> audit(std::uint64_t from, std::size_t limit) override;
  void comer(const Comer& who, Reply<Caller> reply) override;
  void elevate(const Elevation& what, Reply<Elevated> reply) override;
  void let_in(const std::string& grant, std::int32_t pid, Reply<std::string> reply) override;
  void let_out(std::int32_t pid) override;
  void residue_found() override;
  void tick() override;
  std::optional<Instant> next_due() const override;
  void reload(std::shared_ptr<const HostView> host) override;
  void accounts_changed() override;
  void groups_changed() override;
  void gates_changed() override;
  void reconcile() override;
  void checked(const std::vector<CheckReport>& batch) override;
  Health health() const override;
  void outbox(bool there, std::uint64_t told) override;
  std::uint64_t news() const override { return news_; }
  Outgoing outgoing() const override;
  Result<std::string> waiting_text(const Digest& request) override;
  Result<std::vector<StoredEvent>> events(std::uint64_t from, std::size_t limit) override;
  Result<std::string> alive() override;
  void enrolled(const Caller& caller, std::shared_ptr<const HostView> host, bool new_key) override;

 private:
  using LifePtr = std::shared_ptr<Life>;
  using Fields = std::map<std::string, std::string>;
  using Write = std::function<Result<void>(Store&)>;

  // Every entry and every late answer runs inside a Turn. Replies and wake-ups are kept back until the outermost one
  // is over, so that whoever is called may call the engine again and finds it whole.
  class Turn {
   public:
    explicit Turn(EngineImpl& engine);
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn();

   private:
    EngineImpl& engine_;
  };
  template <class T>
  void answer(const Reply<T>& reply, Result<T> result) {
    if (reply) after_.push_back([reply, result = std::move(result)] { reply(result); });
  }
  // An answer that runs in a Turn, and not at all when the engine is gone by then.
  template <class T, class Then>
  Questions::Answer<T> later(Then then) {
    return [this, alive = std::weak_ptr<const bool>(alive_), then = std::move(then)](Result<T> result) {
      if (alive.expired()) return;
      const Turn turn(*this);
      then(std::move(result));
    };
  }

  // engine.cpp
  [[nodiscard]] Instant now();  // reads the clocks, and the guard with them
  [[nodiscard]] std::int64_t wall() { return now().wall_ms / 1000; }
  [[nodiscard]] WallTime wall_time() { return now().wall(); }
  // The time that has surely come, in ms: whatever begins or is let go at some time waits for this one, since a wall
  // clock that was set ahead would bring it too early.
  [[nodiscard]] std::int64_t sure_ms() const { return std::min(ports_.clock.now().wall_ms, guard_.mark_ms()); }
  [[nodiscard]] TimeRange time_range() const;
  void changed() { wake_ = true; }
  void journal(int priority, const std::string& message, const Life* life, const std::string& event,
               const Fields& more = {});
  [[nodiscard]] Outcome outcome_of(const Life& life) const;
  [[nodiscard]] std::vector<LifePtr> lives_where(bool (*wanted)(const Life&)) const;
  // given: those in force, and those whose records are durable and that are being given or proven. on_board: of the
  // latter only what sudo has a rule of. A grant that is still to be decided, for the first time or again after a
  // start, is in neither: it gets nothing before that, and what a start could not take of it is taken by the next
  // reconcile.
  enum class Which : std::uint8_t { on_board, given };
  [[nodiscard]] std::vector<Entitlement> entitlements(Which which) const;
  [[nodiscard]] static bool being_given(const Life& life);  // the host may have it; not proven yet
  void ask_accounts();
  void account_is(const std::string& user, const Result<Account>& account);
  // Every life, after policy, people, trust or locks changed. `before` hears how many are about to end.
  void decide_again(const std::function<void(std::size_t)>& before = {});

  // request.cpp
  struct AskBehind {  // the document that a wish came in as
    StoredDocument document;
    std::vector<PersonRef> signers;
  };
  struct Behind {  // who stands behind a wish
    Account account;
    std::optional<Account> login;
    std::optional<AskBehind> ask;
  };
  [[nodiscard]] static Result<void> may_be_granted(std::uint32_t uid);
  [[nodiscard]] std::vector<PersonRef> requesters_of(const Behind& behind) const;
  void who_asks(const Caller& caller, const Reply<Behind>& then);
  void request_by(const Behind& behind, WishInput wish, const Reply<Outcome>& reply);
  [[nodiscard]] Result<void> within_rate(std::uint32_t uid);
  [[nodiscard]] Result<void> asked_within_rate(std::uint32_t uid, const Digest& ask);
  // The grant, or the same wish filed before, that answers this one.
  [[nodiscard]] LifePtr answered_by(const WishInput& wish, const GrantRecord& sketch) const;
  [[nodiscard]] Result<void> check_start(const WishInput& wish, Seconds duration);
  // A user's denials: noted one by one, and from some number on counted.
  void note_denial(const Account& account, AuditEvent event);
  void note_counted_denials(std::uint64_t boot_ms);
  [[nodiscard]] Result<LifePtr> make_request(const Behind& behind, const WishInput& wish, const Role& role,
                                             const Decision& decision, Seconds duration, const Life* extended);

  // submit.cpp
  [[nodiscard]] Result<void> meant_for_us(const std::vector<std::string>& hosts,
                                          const std::vector<std::string>& segments) const;
  [[nodiscard]] Result<void> made_lately(WallTime created, bool with_ceiling);
  // Fingerprints of signers whose key or person is locked now.
  [[nodiscard]] std::vector<std::string> locked_signers(const Verified& verified);
  // Stored text and `verified` together, with the signatures of known keys alone (others could fill the file); void
  // keys of both. `news`: it says more than what is stored.
  struct Merged {
    StoredDocument document;
    bool news = true;
  };
  [[nodiscard]] Result<Merged> merged(const Verified& verified, std::int64_t keep_until);
  // Persons whose signature on `verified` counts as it comes in. `why`: for people, when there is none.
  [[nodiscard]] std::vector<PersonRef> signed_by(const Verified& verified, const std::vector<PersonRef>& excluded,
                                                 std::string* why);
  [[nodiscard]] bool first_refusal(const Digest& digest, const std::string& why);
  void note_refusal(const Fields& handed_in, const Verified& verified, const Error& error);
  [[nodiscard]] Fields who_handed_in(const Caller* caller) const;

  // asks.cpp
  // `refused`: what is wrong with the document is told by that; all else by `reply`.
  void on_ask(const Verified& verified, const AskDocument& ask, const Reply<Outcome>& refused,
              const Reply<Outcome>& reply);
  // What became of one that was here before; nullopt: it was not.
  [[nodiscard]] std::optional<Result<Outcome>> answered_before(const Digest& ask);
  void keep_ask(const AskBehind& ask, const Digest& request, std::vector<Write>& writes) const;
  [[nodiscard]] Result<void> answer_ask(const AskBehind& ask, const Life& life);  // by what is there already
  [[nodiscard]] bool told_again(const AskBehind& ask, const Error& error);        // whether that refusal is news
  [[nodiscard]] AuditEvent refused_ask(AuditEvent event, const AskBehind& ask, const WishInput& wish,
                                       const std::string& why);

  // reviews.cpp, direct.cpp, revocations.cpp, locks.cpp
  void on_review(const Caller* caller, const Verified& verified, const Review& review, const Reply<Outcome>& reply);
  void on_direct(const Caller* caller, const Verified& verified, const GrantDocument& grant,
                 const Reply<Outcome>& reply);
  void direct_for(const Fields& handed_in, const Verified& verified, const GrantDocument& grant,
                  const Account& account, const Reply<Outcome>& reply);
  void on_revocation(const Caller* caller, const Verified& verified, const Revocation& revocation,
                     const Reply<Outcome>& reply);
  void on_lock(const Caller* caller, const Verified& verified, const Lock& lock, const Reply<Outcome>& reply);
  void on_unlock(const Caller* caller, const Verified& verified, const Lock& lock, const Reply<Outcome>& reply);
  // Why a document of this digest, beneficiary, role and age is refused; empty: it is not revoked.
  [[nodiscard]] std::string revoked(const GrantRecord& record) const;
  [[nodiscard]] static std::string ended_text(std::size_t count);  // how many a revocation or lock ended
  [[nodiscard]] bool names_user(const std::vector<std::string>& users, const GrantRecord& record) const;
  [[nodiscard]] bool names_person(const std::vector<std::string>& names, const PersonRef& person) const;
  [[nodiscard]] bool locked_user(const GrantRecord& record, std::string* why) const;
  [[nodiscard]] Locks locks_now() const;

  // lists.cpp
  void read_lists(const std::vector<ListRecord>& stored);
  [[nodiscard]] std::optional<Seconds> view_age() const;
  // Whether the signers of this numbered revocation may sign one.
  [[nodiscard]] Result<void> may_sign_list(const RevocationRecord& record) const;
  // True: the view is another by it.
  bool take_list(const Digest& digest, const Revocation& list, Fields& fields);
  [[nodiscard]] std::string said_of_view() const;
  // When a grant ends with the view of revocations, as it is now; nullopt: it does not. What was given past that
  // already does not either.
  [[nodiscard]] std::optional<RevocationView::Deadline> view_end(const GrantRecord& record) const;
  [[nodiscard]] bool ends_with_view(const GrantRecord& record) const;  // by its role
  [[nodiscard]] bool past_its_view(const GrantRecord& record, Instant at) const;
  [[nodiscard]] std::string why_past_its_view(const GrantRecord& record) const;
  void move_ends();  // as view and policy have them now, before they are published
  void view_changed();
  void pass_gap();
  void view_health(Health& health) const;

  // delivering.cpp
  struct WaitingPart {
    StoredDocument document;
    std::uint64_t number = 0, part = 1, parts = 1;
  };
  [[nodiscard]] Result<void> read_waiting_parts();
  void on_delivery(const Caller* caller, const Verified& verified, const Delivery& delivery,
                   const Reply<Outcome>& reply);
  [[nodiscard]] const DeliveredState& delivered_state(Kind kind) const;
  [[nodiscard]] std::uint64_t last_delivered(Kind kind) const;  // number of the last that was taken over; 0: none
  [[nodiscard]] std::size_t owners_of(Kind kind, const StoredDocument& document);  // whose signatures count now
  [[nodiscard]] std::string missing_of(Kind kind, std::uint64_t number, std::vector<std::string>& texts);
  // Takes that number over where nothing of it is missing; what came of it, in words.
  [[nodiscard]] Result<std::string> deliver(Kind kind, std::uint64_t number, const Digest* last_part);
  void deliver_what_waits();  // after a change of owners
  void was_delivered(Kind kind, std::uint64_t number, Fields fields = {}, const Digest* last_part = nullptr);
  void drop_part(Kind kind, const Digest& digest);
  void drop_old_parts(Kind kind);

  // judge.cpp
  struct Judged {
    Decision decision;
    std::vector<PersonRef> consents;   // that count
    std::optional<Seconds> narrowed;   // the shortest that a counting review allows
    std::int64_t start = 0;            // the latest that the wish or a counting review names; 0: at once
    std::vector<std::string> refused;  // signatures that do not count, and why
    std::vector<std::string> waiting_for;
  };
  enum class When : std::uint8_t {
    activation,
    in_force
  };  // in force: dates of keys and reviews were judged at activation
  [[nodiscard]] const std::vector<Voice>& voices(Life& life);
  [[nodiscard]] std::optional<Voice> voice_of(const StoredDocument& document) const;
  [[nodiscard]] Judged judge(Life& life, const std::set<std::string>& groups, When when);
  [[nodiscard]] static std::set<std::string> own_groups(const Account& account);  // asking.hpp: without our gifts
  [[nodiscard]] Facts facts_of(const GrantRecord& record, std::set<std::string> groups, When when) const;
  // How long this user had this role by rules that approve by themselves, in the 24 h before it would begin. nullopt:
  // the database does not say. Without a rule that bounds it: nothing.
  [[nodiscard]] std::optional<Seconds> given_by_rules(const GrantRecord& record) const;
  [[nodiscard]] std::vector<std::string> waiting_for(const Decision& decision,
                                                     const std::vector<PersonRef>& requesters) const;
  [[nodiscard]] bool may_review(const PersonRef& person, const GrantRecord& record) const;

  // activation.cpp
  void try_activate(const LifePtr& life);
  void with_account(const LifePtr& life, const Result<Account>& account);
  void with_decision(const LifePtr& life, const Account& account, const Judged& judged);
  void commit_activation(const LifePtr& life, const Account& account, const Judged& judged, const Effects& effects);
  void give(const LifePtr& life);
  void try_again(Life& life);  // a moment later: others hold a lock, or helpers have enough to do
  Result<void> announce(const std::vector<LifePtr>& lives);
  void prove(const LifePtr& life);
  [[nodiscard]] Result<Effects> effects_now(const Life& life, const Role& role);
  void activated(const LifePtr& life);  // given, and proven where sudo is asked
  void come_into_force();               // those that are: on the board, and told
  void keep_pending(const LifePtr& life, std::string why, std::uint64_t retry_in_ms = 0);
  void settle(Life& life);  // tells the waiters
  [[nodiscard]] Entitlement entitlement_of(const Life& life) const;

  // extension.cpp
  // The caller's grant in force that an extension may be asked for.
  [[nodiscard]] Result<LifePtr> extendable(const Account& account, const std::string& id_prefix) const;
  [[nodiscard]] LifePtr extended_by(const GrantRecord& record) const;  // that `record` takes over; null: none here
  // Why this extension cannot be activated; empty: it can.
  [[nodiscard]] std::string cannot_extend(const Life& life, const Judged& judged);
  // When it, or the first grant that it goes back to, was activated: what they gave was given from then on.
  [[nodiscard]] std::int64_t began(const GrantRecord& record) const;
  [[nodiscard]] bool extends_active(const Life& life) const;
  [[nodiscard]] bool other_extends(const Life& life) const;  // another one is about to take over the same grant
  // What is in force under the same id on the host, `life` aside; null: nothing is.
  [[nodiscard]] LifePtr shares_with(const Life& life) const;
  [[nodiscard]] bool waits_for_extended(const LifePtr& life);  // the other is still coming back after a start
  void followed(const LifePtr& life, const Life& by);          // `by` is in force in its place
  // What a start finds of extensions that were begun: in force in the place of the other, or to be decided again.
  void follow_up(const std::map<std::string, EndRecord>& ends);
  void keep_extended(const LifePtr& life);  // its extension did not come to anything

  // one_session.cpp
  // Whether this process may begin a session by it: any, but of a grant for one session the first, what is in the
  // same login as that, or that itself.
  [[nodiscard]] Result<void> session_free(const Life& life, std::int32_t pid);
  // Binds a grant for one session to this process, where it is not bound yet. Durable when it returns.
  [[nodiscard]] Result<void> bind_session(const LifePtr& life, std::int32_t pid);
  void session_closed(std::int32_t pid);
  void look_at_sessions(std::uint64_t boot_ms);

  // endings.cpp
  struct Ending {
    LifePtr life;
    std::string word;  // for `ends`
    std::string why;   // for people
    Fields more;       // for the audit: by whom
  };
  void end(std::vector<Ending> endings);
  void end(const LifePtr& life, const std::string& word, const std::string& why, Fields more = {});
  void end_due(Instant at);
  // What a command that was held back at the end of `life` comes to, once sudo has said.
  void ask_about(const LifePtr& life, const Taken::HeldBack& command);
  void publish();
  void report(const Taken& taken);

  // elevation.cpp
  [[nodiscard]] bool left_alone(const GrantRecord& record) const;  // on_end = "leave"
  [[nodiscard]] static std::int64_t left_ms(const Life& life, Instant at);
  // When something is to be said next of the end of a grant; may be past.
  [[nodiscard]] static std::optional<std::uint64_t> warning_at_boot_ms(const Life& life, Instant at);
  void warn_of_ends(Instant at);
  // A command under a grant that sudo can be asked about when that ends.
  struct Running {
    std::string process;  // Effector::name_of; it may be gone, and what it started go on
    std::string target;
    std::vector<std::string> words;
    PlainCommand command;
  };
  [[nodiscard]] LifePtr in_force_as(const std::string& grant) const;  // by entitlement_id; null: none
  void remember(const std::string& grant, const Elevation& what);
  struct Giving {
    LifePtr life;
    Fits fit = Fits::no;
  };
  // How well its rules for that account fit these words; nullopt: it has none for it.
  [[nodiscard]] std::optional<Fits> fit_of(const Life& life, const std::string& target,
                                           const std::optional<std::vector<std::string>>& words) const;
  static void best_alone(std::vector<Giving>& giving, Instant at);  // of several; the first is to be taken
  // Where a command of `ended` goes on that sudo still allows: under a grant of ours whose rule fits, else that
  // through which the gate is open; "": under none. nullopt: nowhere, since it cannot be told whose rule allows it.
  struct Onward {
    std::string grant;
    bool leave = false;
  };
  [[nodiscard]] std::optional<Onward> onward(const LifePtr& ended, const Running& running,
                                             const std::string& through);
  [[nodiscard]] std::vector<PlainCommand> plain_commands(const std::string& grant) const;

  // saving.cpp
  void note(const std::string& event, Fields fields);
  void note(const std::string& event, const Life& life, Fields fields = {});
  // Durable now, or not at all: the events are withdrawn and the writes forgotten.
  [[nodiscard]] Result<void> save_or_drop(std::vector<Write> writes, const std::vector<AuditEvent>& events);
  // Durable now or as soon as the database takes it.
  void save_or_queue(std::vector<Write> writes = {});
  [[nodiscard]] Result<void> save();
  // What took effect without waiting for the database, said so as long as that has not taken it.
  [[nodiscard]] Outcome in_force_now(Outcome outcome) const;
  [[nodiscard]] AuditEvent event_of(const std::string& event, const Life* life, Fields fields);
  void touch(const LifePtr& life) { unsaved_[life->record.digest] = life; }

  // telling.cpp
  struct Telling {
    std::optional<Digest> document = {};  // that is answered
    std::string why = {}, by = {};
    std::optional<WallTime> until = {};
    // Where it is about no life that is at hand.
    std::optional<Digest> grant = {}, ask = {};
    std::string user = {}, role = {}, state = {};
  };
  // The audit entry, with what others are told of it; nobody is where nobody listens.
  [[nodiscard]] AuditEvent tell(AuditEvent event, const std::string& what, const Life* life, Telling more);
  [[nodiscard]] static std::string word_of(GrantState state);
  [[nodiscard]] static Telling as_it_stands(const GrantRecord& record);
  // Whoever signed a document finds an answer, also where it changed nothing.
  void answer_for(const Fields& handed_in, const Verified& verified, const Outcome& outcome);
  [[nodiscard]] EventStamp stamp() const;

  // recovery.cpp
  // Makes of a grant what remains of it, to be decided again, or why nothing does.
  [[nodiscard]] std::optional<Ending> over_meanwhile(const LifePtr& life,
                                                     const std::map<std::string, EndRecord>& ends, Instant at);
  // However many come back: few questions at once, then what was decided together in one go.
  void decide_more();
  void decided(Life& life);  // to be given, to be ended, or to be asked about another time
  void bring_back();
  void resumed(Life& life);  // it is in force again, or over
  [[nodiscard]] Result<void> read_again();

  // views.cpp
  struct Viewer {
    bool root = false;
    std::uint32_t uid = 0;
    std::string user;  // empty: name services did not answer
    std::optional<PersonRef> person;
    std::set<std::string> groups;
  };
  void viewer(const Caller& caller, std::function<void(const Viewer&)> then);
  [[nodiscard]] bool own(const Viewer& viewer, const GrantRecord& record) const;
  [[nodiscard]] bool visible(const Viewer& viewer, const GrantRecord& record) const;
  [[nodiscard]] Result<LifePtr> find_visible(const Viewer& viewer, const std::string& id_prefix);
  // Of those that are not over. `to_do`: "release", for the error.
  [[nodiscard]] Result<LifePtr> find_own(const Viewer& viewer, const std::string& id_prefix,
                                         const std::string& to_do) const;
  [[nodiscard]] static Result<LifePtr> the_one(std::vector<LifePtr> found, const std::string& prefix,
                                               const std::string& to_do);
  [[nodiscard]] GrantView view_of(Life& life, const Viewer& viewer);
  [[nodiscard]] std::vector<LifePtr> ended_lives();
  [[nodiscard]] RoleView role_view(const Role& role, const Viewer& viewer);

  std::shared_ptr<Asking> asking_;
  Ports ports_;  // `questions` is asking_
  std::shared_ptr<const HostView> host_;
  std::optional<ClockMark> last_mark_;  // as the last run left it
  ClockGuard guard_;
  AuditLog audit_;
  EventLog events_;
  std::optional<std::uint64_t> told_before_;  // at the start: there is an outbox, and it has told so far
  std::set<Digest> told_of_;                  // documents that were answered by an event, as far as remembered
  std::uint64_t news_ = 1;                    // another number once there is something else for the outbox
  std::map<Digest, LifePtr> lives_;           // pending, activating, active, and ended ones until that is durable
  std::vector<LockRecord> locks_;
  std::vector<RevocationRecord> revocations_;
  RevocationView lists_;
  std::map<Kind, std::vector<WaitingPart>> parts_;  // of policy and trust
  std::map<Kind, std::uint64_t> delivered_;         // the last number that was taken over, as the database has it
  std::map<std::uint32_t, std::deque<std::uint64_t>> rate_;  // uid to boot-time ms of its latest requests
  Denials denials_;                                          // of the last hour

  std::vector<Write> writes_;                            // not durable yet, in order
  std::map<Digest, LifePtr> unsaved_;                    // records that changed
  std::string save_problem_;                             // empty: the last save went well
  std::uint64_t save_retry_boot_ms_ = 0;                 // 0: nothing waits
  std::string prepare_problem_;                          // why systemd would not have ended the last; empty: it would
  std::uint64_t reconcile_boot_ms_ = 0;                  // 0: nothing failed
  std::map<std::string, std::vector<Running>> running_;  // by entitlement_id, since the last start
  std::map<std::uint32_t, std::uint64_t> gives_;         // uid: how often something was given to them
  std::vector<LifePtr> proven_;                          // given, and not on the board yet
  std::uint64_t in_force_boot_ms_ = 0;                   // when they come there; 0: nothing waits
  std::uint64_t sessions_boot_ms_ = 0;                   // look at bound sessions then; 0: there is none
  std::size_t resuming_ = 0;                             // grants that recovery still decides again
  std::deque<LifePtr> to_decide_;                        // of those, not asked about yet
  std::size_t deciding_ = 0;                             // asked about
  bool deciding_more_ = false;
  std::vector<LifePtr> to_give_;          // decided, to be given together
  std::vector<Ending> to_end_;            // and those to be ended together
  std::uint64_t bring_back_boot_ms_ = 0;  // when that is; 0: nothing waits
  std::uint64_t bring_back_took_ms_ = 0;
  std::map<std::string, Result<Effects>> effects_of_role_;  // as the host would give them, while many are decided
  std::uint64_t forget_boot_ms_ = 0;
  std::int64_t saved_mark_ms_ = 0;
  std::int64_t ticked_sure_ms_ = 0;
  std::deque<std::string> accounts_to_ask_;  // users of accounts_changed()
  std::size_t accounts_asked_ = 0;           // questions of it under way
  bool asking_accounts_ = false;
  bool accounts_again_ = false;
  std::uint64_t accounts_retry_boot_ms_ = 0;  // 0: all of them were answered
  LineBudget strangers_;                      // of what comes from the inbox
  std::set<std::string> refused_before_;  // documents and why, so that a copy handed in again is not chained again
  std::set<Digest> asks_counted_;         // for their user, against requests_per_minute
  std::vector<std::string> start_warnings_;
  std::string lost_;  // the database before this one
  std::int64_t memory_since_ =
      std::numeric_limits<std::int64_t>::min() / 2;  // of grants signed before, we know nothing
  bool reading_again_ = false;

  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
  int depth_ = 0;
  bool wake_ = false;
  std::deque<std::function<void()>> after_;
};

}  // namespace jit
