// Time, change and the rest: what drives the engine from outside.
#include "jitd/core/engine.hpp"

#include <algorithm>
#include <limits>

#include "jitd/core/engine_impl.hpp"
#include "jitd/core/open_store.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::int64_t kMarkWhenActiveMs = 60LL * 1000;
constexpr std::int64_t kMarkWhenIdleMs = 10LL * 60 * 1000;
constexpr std::uint64_t kAccountsRetryMs = 5000;
constexpr std::size_t kAccountsAtOnce = 8;
constexpr std::int64_t kSureAgainMs = 1000;
constexpr std::uint64_t kForgetEveryMs = 24ULL * 60 * 60 * 1000;

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(Ports ports, std::shared_ptr<const HostView> host) {
  Result<std::optional<std::string>> stored = ports.store.value(kClockMark);
  if (!stored) return tl::unexpected<Error>(stored.error());
  std::optional<ClockMark> mark;
  if (*stored) {
    Result<ClockMark> parsed = parse_clock_mark(**stored);
    if (!parsed) return tl::unexpected<Error>(parsed.error());
    mark = *parsed;
  }
  auto engine = std::make_unique<EngineImpl>(std::move(ports), std::move(host), mark);
  if (Result<void> recovered = engine->recover(); !recovered) return tl::unexpected<Error>(recovered.error());
  return engine;
}

EngineImpl::EngineImpl(Ports ports, std::shared_ptr<const HostView> host, const std::optional<ClockMark>& mark)
    : asking_(std::make_shared<Asking>(ports.questions, ports.facts, ports.clock)),
      ports_{ports.clock,
             ports.store,
             ports.effector,
             *asking_,
             std::move(ports.journal),
             std::move(ports.wake),
             ports.facts,
             {},
             {},
             std::move(ports.take_over),
             std::move(ports.reload)},
      host_(std::move(host)),
      last_mark_(mark),
      guard_(mark, ports_.clock.now(), ports_.clock.boot_id(), host_->config.clock_tolerance),
      audit_(ports_.store),
      events_(ports_.store),
      told_before_(ports.told),
      lost_(std::move(ports.lost)) {}

EngineImpl::Turn::Turn(EngineImpl& engine) : engine_(engine) {
  ++engine_.depth_;
  static_cast<void>(engine_.now());
}

EngineImpl::Turn::~Turn() {
  if (--engine_.depth_ > 0) return;
  // Whoever is called may call the engine again (its own Turn then runs what it adds), or drop it.
  const std::weak_ptr<const bool> alive = engine_.alive_;
  while (!engine_.after_.empty()) {
    const std::function<void()> call = std::move(engine_.after_.front());
    engine_.after_.pop_front();
    call();
    if (alive.expired()) return;
  }
  if (std::exchange(engine_.wake_, false) && engine_.ports_.wake) engine_.ports_.wake();
}

Instant EngineImpl::now() {
  const Instant at = ports_.clock.now();
  guard_.observe(at);
  return at;
}

TimeRange EngineImpl::time_range() const {
  return {WallTime(Seconds(sure_ms() / 1000)),
          WallTime(Seconds(std::max(ports_.clock.now().wall_ms, guard_.mark_ms()) / 1000))};
}

void EngineImpl::journal(int priority, const std::string& message, const Life* life, const std::string& event,
                         const Fields& more) {
  if (!ports_.journal) return;
  JournalLine line;
  line.priority = priority;
  line.message = shown(message);
  line.fields.emplace_back("JIT_EVENT", event);
  if (life != nullptr) {
    line.fields.emplace_back("JIT_GRANT", life->record.id);
    line.fields.emplace_back("JIT_USER", shown(life->record.user));
    line.fields.emplace_back("JIT_ROLE", life->record.role);
  }
  for (const auto& [name, value] : more) line.fields.emplace_back(name, shown(value));
  ports_.journal(std::move(line));
}

Outcome EngineImpl::outcome_of(const Life& life) const {
  Outcome outcome{life.record.id, life.record.state, life.record.why};
  // Whoever asks is told before anything is recorded. ']' stands in flags alone (policy/document/effects.hpp).
  const std::string& effects = life.record.effects;
  const bool always = effects.find("record]\n") != std::string::npos;
  const bool perhaps = effects.find("record-best-effort]\n") != std::string::npos;
  if (!life.over() && (always || perhaps)) {
    if (outcome.message.empty()) outcome.message = to_text(outcome.state);
    outcome.message +=
        always ? "; what you run by it is recorded" : "; what you run by it is recorded where sudo can";
  }
  return outcome;
}

std::vector<EngineImpl::LifePtr> EngineImpl::lives_where(bool (*wanted)(const Life&)) const {
  std::vector<LifePtr> found;
  for (const auto& [digest, life] : lives_) {
    if (wanted(*life)) found.push_back(life);
  }
  return found;
}

std::vector<Entitlement> EngineImpl::entitlements(Which which) const {
  std::vector<const Life*> here;
  std::set<Digest> followed;  // one entitlement stands for both
  for (const auto& [digest, life] : lives_) {
    if (life->record.state != GrantState::active) {
      if (!being_given(*life)) continue;
      // The board says what the one before it opens until it follows, and needs none that sudo has no rule of.
      if (which == Which::on_board && (extends_active(*life) || entitlement_of(*life).effects.sudo.empty())) continue;
    }
    here.push_back(life.get());
    if (!life->record.extends.empty()) followed.insert(life->record.extends.front());
  }
  std::vector<Entitlement> wanted;
  for (const Life* life : here) {
    if (followed.contains(life->record.digest)) continue;
    wanted.push_back(entitlement_of(*life));
    wanted.back().being_given = life->record.state != GrantState::active;
  }
  return wanted;
}

bool EngineImpl::being_given(const Life& life) {
  return life.record.state == GrantState::activating &&
         (life.step == Life::Step::giving || life.step == Life::Step::proving);
}

void EngineImpl::tick() {
  const Turn turn(*this);
  const Instant at = now();
  end_due(at);
  warn_of_ends(at);
  for (const LifePtr& life : lives_where([](const Life& one) { return one.retry_boot_ms != 0; })) {
    if (life->over() || at.boot_ms < life->retry_boot_ms) continue;
    life->retry_boot_ms = 0;
    if (life->resuming && life->step == Life::Step::idle) {
      to_decide_.push_back(life);
    } else if (life->step == Life::Step::preparing || life->step == Life::Step::giving) {
      give(life);
    } else if (life->step == Life::Step::proving) {
      prove(life);
    } else {
      try_activate(life);
    }
  }
  decide_more();
  const WallTime sure = time_range().earliest;
  for (const LifePtr& life : lives_where([](const Life& one) { return one.starts != 0; })) {
    if (life->over() || sure < WallTime(Seconds(life->starts))) continue;
    life->starts = 0;
    if (life->step == Life::Step::idle && life->retry_boot_ms == 0) try_activate(life);
  }
  for (const LockRecord& lock : locks_) {
    if (lock.lifted || lock.until == 0 || lock.until * 1000 > sure_ms() || lock.until * 1000 <= ticked_sure_ms_)
      continue;
    decide_again();  // it holds no longer: what waited for its signers goes on
    break;
  }
  ticked_sure_ms_ = sure_ms();
  pass_gap();
  note_counted_denials(at.boot_ms);
  if (sessions_boot_ms_ != 0 && at.boot_ms >= sessions_boot_ms_) look_at_sessions(at.boot_ms);
  if (reconcile_boot_ms_ != 0 && at.boot_ms >= reconcile_boot_ms_) reconcile();
  if (accounts_retry_boot_ms_ != 0 && at.boot_ms >= accounts_retry_boot_ms_) accounts_changed();
  if (bring_back_boot_ms_ != 0 && at.boot_ms >= bring_back_boot_ms_) bring_back();
  if (in_force_boot_ms_ != 0 && at.boot_ms >= in_force_boot_ms_) come_into_force();
  if (forget_boot_ms_ == 0 || at.boot_ms >= forget_boot_ms_) {
    forget_boot_ms_ = at.boot_ms + kForgetEveryMs;
    // By the mark, not by the wall clock: a clock that says 2106 must not make us forget what refuses a replay.
    const std::int64_t until = sure_ms() / 1000;
    ports_.effector.forget(until);
    if (Result<void> done = ports_.store.forget(until, host_->config.audit_retention); !done) {
      journal(4, "what is past could not be dropped from the database: " + done.error().message, nullptr, "database");
    } else if (Result<std::vector<LockRecord>> locks = ports_.store.locks(); locks && writes_.empty()) {
      locks_ = std::move(*locks);
      if (Result<std::vector<RevocationRecord>> left = ports_.store.revocations()) revocations_ = std::move(*left);
    }
  }
  const bool busy =
      std::any_of(lives_.begin(), lives_.end(), [](const auto& entry) { return entry.second->in_force(); });
  const bool mark_due = guard_.mark_ms() - saved_mark_ms_ >= (busy ? kMarkWhenActiveMs : kMarkWhenIdleMs);
  const bool save_due = save_retry_boot_ms_ != 0 ? at.boot_ms >= save_retry_boot_ms_
                                                 : mark_due || audit_.waiting() > 0 || !unsaved_.empty();
  if (save_due) save_or_queue();
}

std::optional<Instant> EngineImpl::next_due() const {
  constexpr std::int64_t never_wall = std::numeric_limits<std::int64_t>::max();
  constexpr std::uint64_t never_boot = std::numeric_limits<std::uint64_t>::max();
  Instant due{never_wall, never_boot};
  const auto at_wall = [&](std::int64_t seconds) { due.wall_ms = std::min(due.wall_ms, seconds * 1000); };
  const auto at_boot = [&](std::uint64_t ms) {
    if (ms != 0) due.boot_ms = std::min(due.boot_ms, ms);
  };
  const Instant at = ports_.clock.now();
  // Where the wall clock was set ahead, the sure time comes up behind it on the boot-time clock.
  const auto at_sure = [&](std::int64_t seconds) {
    const std::int64_t left = seconds * 1000 - sure_ms();
    if (at.wall_ms < seconds * 1000 || left <= 0) return at_wall(seconds);
    at_boot(at.boot_ms + static_cast<std::uint64_t>(std::max(left, kSureAgainMs)));
  };
  for (const auto& [digest, life] : lives_) {
    if (life->over()) continue;
    if (life->in_force()) {
      at_wall(life->record.not_after);
      at_boot(life->record.boot_deadline_ms);
      if (const auto end = view_end(life->record)) {
        at_wall(end->wall_s);
        at_boot(std::max<std::uint64_t>(end->boot_ms, 1));
      }
      if (const std::optional<std::uint64_t> warning = warning_at_boot_ms(*life, at))
        at_boot(std::max<std::uint64_t>(*warning, 1));
    } else {
      at_wall(life->record.expires);
      if (life->starts != 0) at_sure(life->starts);
    }
    at_boot(life->retry_boot_ms);
  }
  for (const LockRecord& lock : locks_) {
    if (!lock.lifted && lock.until * 1000 > ticked_sure_ms_) at_sure(lock.until);
  }
  at_boot(denials_.due_boot_ms().value_or(0));
  if (const auto passes = lists_.gap_passes(host_->config.absolute_ceiling)) at_sure(*passes + 1);
  at_boot(save_retry_boot_ms_);
  at_boot(reconcile_boot_ms_);
  at_boot(sessions_boot_ms_);
  at_boot(accounts_retry_boot_ms_);
  at_boot(bring_back_boot_ms_);
  at_boot(in_force_boot_ms_);
  if (const std::optional<std::uint64_t> agreement = guard_.agreement_at_boot_ms()) at_boot(*agreement);
  if (due.wall_ms == never_wall && due.boot_ms == never_boot) return std::nullopt;
  return due;
}

void EngineImpl::reload(std::shared_ptr<const HostView> host) {
  const Turn turn(*this);
  const bool new_policy = host->policy.digest != host_->policy.digest;
  host_ = std::move(host);
  guard_.set_tolerance(host_->config.clock_tolerance);
  note("reload", {{"policy", digest_text(host_->policy.digest)},
                  {"policy_changed", new_policy ? "yes" : "no"},
                  {"last_good", host_->last_good ? "yes" : "no"}});
  for (const LifePtr& life : lives_where([](const Life& one) { return one.record.state == GrantState::pending; })) {
    life->voices.reset();  // keys that are trusted only now may have signed
  }
  end_due(now());
  decide_again();
  move_ends();
  publish();  // gates may have changed
  deliver_what_waits();
  save_or_queue();
}

void EngineImpl::decide_again(const std::function<void(std::size_t)>& before) {
  effects_of_role_.clear();
  std::map<std::string, std::string> effects_of;  // role to what the host would give now
  std::vector<Ending> endings;
  for (const LifePtr& life : lives_where([](const Life& one) { return one.in_force(); })) {
    GrantRecord& record = life->record;
    std::string why;
    if (locked_user(record, &why)) {
      endings.push_back({life, "locked", why, {}});
      continue;
    }
    const Role* role = host_->policy.role(record.role);
    if (role == nullptr) {
      endings.push_back({life, "policy", "policy has no role " + record.role + " any more", {}});
      continue;
    }
    const std::set<std::string> groups(record.facts_groups.begin(), record.facts_groups.end());
    const Judged judged = judge(*life, groups, When::in_force);
    if (judged.decision.verdict != Verdict::approve) {
      std::vector<std::string> reasons = judged.decision.reasons;
      reasons.insert(reasons.end(), judged.refused.begin(), judged.refused.end());
      endings.push_back({life, "policy", "no longer granted: " + joined(reasons, "; "), {}});
      continue;
    }
    auto effects = effects_of.find(record.role);
    if (effects == effects_of.end()) {
      Result<Effects> made = make_effects(host_->policy, *role, ports_.facts);
      effects = effects_of.emplace(record.role, made ? to_text(*made) : "error: " + made.error().message).first;
    }
    if (effects->second != record.effects) {
      const bool error = effects->second.starts_with("error: ");
      endings.push_back({life,
                         "policy",
                         error ? effects->second.substr(7) : "what the host would give for this role has changed",
                         {}});
    }
  }
  const std::vector<LifePtr> waiting =
      lives_where([](const Life& one) { return one.record.state == GrantState::pending; });
  for (const LifePtr& life : waiting) {
    std::string why;
    if (locked_user(life->record, &why)) endings.push_back({life, "locked", why, {}});
  }
  if (before) before(endings.size());
  end(std::move(endings));
  for (const LifePtr& life : waiting)
    if (!life->over()) try_activate(life);
}

void EngineImpl::accounts_changed() {
  const Turn turn(*this);
  // One round of questions at a time, however often the file changes.
  if (accounts_asked_ > 0 || !accounts_to_ask_.empty()) {
    accounts_again_ = true;
    return;
  }
  accounts_retry_boot_ms_ = 0;
  std::set<std::string> users;
  for (const LifePtr& life : lives_where([](const Life& one) { return one.in_force(); }))
    users.insert(life->record.user);
  accounts_to_ask_.assign(users.begin(), users.end());
  ask_accounts();
  groups_changed();
}

// A few at a time: the helper takes only so many questions, and others have some too.
void EngineImpl::ask_accounts() {
  if (std::exchange(asking_accounts_, true)) return;
  while (accounts_asked_ < kAccountsAtOnce && !accounts_to_ask_.empty()) {
    const std::string user = std::move(accounts_to_ask_.front());
    accounts_to_ask_.pop_front();
    ++accounts_asked_;
    ports_.questions.account(user, later<Account>([this, user](const Result<Account>& account) {
                               --accounts_asked_;
                               account_is(user, account);
                               ask_accounts();
                             }));
  }
  asking_accounts_ = false;
  if (accounts_asked_ == 0 && std::exchange(accounts_again_, false)) accounts_changed();
}

void EngineImpl::groups_changed() {
  const Turn turn(*this);
  decide_again();  // a group may have another gid, a command another owner
  save_or_queue();
}

void EngineImpl::gates_changed() {
  const Turn turn(*this);
  publish();
}

void EngineImpl::account_is(const std::string& user, const Result<Account>& account) {
  if (!account && account.error().code != Errc::not_found) {  // not answered is not gone
    accounts_retry_boot_ms_ = now().boot_ms + kAccountsRetryMs;
    return changed();
  }
  std::vector<Ending> endings;
  for (const auto& [digest, life] : lives_) {
    if (!life->in_force() || life->record.user != user) continue;
    if (!account) {
      endings.push_back({life, "user", "there is no user " + user + " any more", {}});
    } else if (account->uid != life->record.uid || account->name != user) {
      endings.push_back({life, "user", "the user was renumbered", {}});
    }
  }
  end(std::move(endings));
}

void EngineImpl::reconcile() {
  const Turn turn(*this);
  reconcile_boot_ms_ = 0;
  report(ports_.effector.reconcile(entitlements(Which::given)));
  asking_->gifts_changed();
  publish();
}

void EngineImpl::accept_clock(const Caller& caller, Reply<Outcome> reply) {
  const Turn turn(*this);
  const Instant at = now();
  const std::string before = format_utc(WallTime(Seconds(guard_.mark_ms() / 1000)));
  guard_.accept(at);
  lists_.accept_clock(at);
  writes_.emplace_back([records = lists_.records()](Store& store) { return store.set_lists(records); });
  Fields fields = who_handed_in(&caller);
  fields.emplace("mark_before", before);
  fields.emplace("mark", format_utc(at.wall()));
  note("accept_clock", std::move(fields));
  journal(5, "the clock is taken over as " + format_utc(at.wall()) + "; the mark was " + before, nullptr, "clock");
  for (const LifePtr& life : lives_where([](const Life& one) { return one.record.state == GrantState::pending; })) {
    try_activate(life);
  }
  move_ends();
  publish();
  save_or_queue();
  answer<Outcome>(reply, Outcome{"", GrantState::active, "the clock is taken over as " + format_utc(at.wall())});
  changed();
}

Result<std::vector<ChainEntry>> EngineImpl::audit(std::uint64_t from, std::size_t limit) {
  return ports_.store.audit(from, limit);
}

void EngineImpl::checked(const std::vector<CheckReport>& batch) {
  const Turn turn(*this);
  for (const CheckReport& report : batch) {
    note("check", {{"service", report.service},
                   {"subject", report.subject},
                   {"verdict", report.verdict},
                   {"gate", report.gate},
                   {"grant", report.grant},
                   {"count", std::to_string(report.count)}});
  }
  save_or_queue();
}

Engine::Health EngineImpl::health() const {
  Health health;
  for (const auto& [digest, life] : lives_) {
    if (life->record.state == GrantState::active) ++health.active;
    if (life->record.state == GrantState::pending) ++health.pending;
  }
  health.clock = guard_.problem();
  health.warnings = host_->warnings;
  if (host_->last_good) {
    health.warnings.push_back("the policy files are bad; the last good policy is in use: " + host_->policy_error);
  }
  if (!save_problem_.empty()) {
    health.warnings.push_back("the database takes nothing, so nothing new is granted: " + save_problem_);
  }
  if (!host_->machine.unknown.empty()) health.warnings.push_back(host_->machine.unknown);
  health.refusing = prepare_problem_;
  if (!prepare_problem_.empty()) health.warnings.push_back("the last grant was not given: " + prepare_problem_);
  health.warnings.insert(health.warnings.end(), start_warnings_.begin(), start_warnings_.end());
  view_health(health);
  health.audit_sequence = audit_.sequence();
  health.audit_head = to_hex(audit_.head().bytes);
  return health;
}

}  // namespace jit
