// From enough consent to a right in force. Facts of now, the decision again, a durable record, the effects, and their
// proof; whatever fails on the way leaves nothing behind.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kBusyRetryMs = 50;  // a lock is held: /etc/.pwd.lock by passwd(1), say
constexpr std::uint64_t kInForceSoonMs = 20;
constexpr std::size_t kSaveAt = 1000;
constexpr std::uint64_t kUnavailableRetryMs = 5000;  // name services do not answer

std::string reasons_of(const Decision& decision, const std::vector<std::string>& refused) {
  if (!decision.message.empty()) return decision.message;
  std::vector<std::string> reasons = decision.reasons;
  reasons.insert(reasons.end(), refused.begin(), refused.end());
  return joined(reasons, "; ");
}

}  // namespace

Entitlement EngineImpl::entitlement_of(const Life& life) const {
  const GrantRecord& record = life.record;
  Entitlement entitlement{entitlement_id(record), record.digest,           record.user,   record.uid, {},
                          record.not_after,       record.boot_deadline_ms, began(record), record.once};
  if (const auto end = view_end(record)) {
    entitlement.view_not_after = end->wall_s;
    entitlement.view_deadline_ms = end->boot_ms;
  }
  // The text was made by to_text; should the database ever give back another, nothing is given.
  if (Result<Effects> effects = parse_effects(record.effects)) entitlement.effects = std::move(*effects);
  return entitlement;
}

void EngineImpl::settle(Life& life) {
  for (const Reply<Outcome>& waiter : std::exchange(life.waiters, {})) answer<Outcome>(waiter, outcome_of(life));
}

void EngineImpl::keep_pending(const LifePtr& life, std::string why, std::uint64_t retry_in_ms) {
  life->step = Life::Step::idle;
  life->retry_boot_ms = retry_in_ms == 0 ? 0 : now().boot_ms + retry_in_ms;
  if (life->record.why != why) {
    life->record.why = std::move(why);
    touch(life);
    if (!life->resuming) save_or_queue();  // of those there may be many: the next tick saves
  }
  changed();  // it may wait for a time, also where it says what it said before
  settle(*life);
  decided(*life);
}

void EngineImpl::try_activate(const LifePtr& life) {
  const GrantRecord& record = life->record;
  if (life->over() || record.state == GrantState::active) return settle(*life);
  const bool effects_under_way = life->step != Life::Step::idle && life->step != Life::Step::asking;
  if (effects_under_way) return;
  const Instant at = now();
  if (!life->in_force() && record.expires <= at.wall_ms / 1000) {
    return end(life, "expired", "nobody who may approve it did so in time");
  }
  const std::uint64_t attempt = ++life->attempt;
  life->step = Life::Step::asking;
  life->retry_boot_ms = 0;
  life->starts = 0;
  ports_.questions.account(record.user, later<Account>([this, life, attempt](const Result<Account>& account) {
                             if (life->attempt == attempt) with_account(life, account);
                           }));
}

void EngineImpl::with_account(const LifePtr& life, const Result<Account>& account) {
  const GrantRecord& record = life->record;
  if (!account && account.error().code != Errc::not_found) {
    return keep_pending(life, "name services do not answer: " + account.error().message, kUnavailableRetryMs);
  }
  if (!account) return end(life, "user", "there is no user " + record.user + " any more");
  if (account->name != record.user || account->uid != record.uid) {
    return end(life, "user",
               "the user was renumbered: " + record.user + " had uid " + std::to_string(record.uid) + " and has " +
                   std::to_string(account->uid));
  }
  std::string why;
  if (locked_user(record, &why)) return end(life, "locked", why);
  if (why = revoked(record); !why.empty()) return end(life, "revoked", why);
  const Judged judged = judge(*life, own_groups(*account), When::activation);
  const Verdict verdict = judged.decision.verdict;
  // What others have consented to, or may, waits for the list: it is given as soon as that is here, or never.
  const bool waits = verdict == Verdict::review || judged.decision.view_denies;
  if (waits && !life->resumed) {
    return keep_pending(life, "waiting for " + joined(judged.waiting_for));
  }
  if (verdict != Verdict::approve) {
    return end(life, "policy",
               (life->resumed ? "no longer granted: " : "denied: ") + reasons_of(judged.decision, judged.refused));
  }
  if (!life->resumed && guard_.behind()) return keep_pending(life, guard_.problem(), kUnavailableRetryMs);
  if (!host_->machine.unknown.empty()) return keep_pending(life, host_->machine.unknown);
  const WallTime start{Seconds(judged.start)};
  if (!life->resumed && judged.start != 0 && time_range().earliest < start) {
    life->starts = judged.start;
    std::string said = "approved; starts at " + format_utc(start);
    if (wall_time() >= start) {
      said +=
          ", when the clock of this host is believed: it jumped ahead, or the host was off; an hour after that, or "
          "when root says so with 'jitctl doctor --accept-clock'";
    }
    return keep_pending(life, said);
  }
  if (!life->resumed && !record.extends.empty()) {
    if (waits_for_extended(life))
      return keep_pending(life, "waits for the grant that it extends", kUnavailableRetryMs);
    if (other_extends(*life))
      return keep_pending(life, "waits for another one that extends the same grant", kUnavailableRetryMs);
    if (why = cannot_extend(*life, judged); !why.empty()) return end(life, "policy", why);
  }
  with_decision(life, *account, judged);
}

void EngineImpl::with_decision(const LifePtr& life, const Account& account, const Judged& judged) {
  const GrantRecord& record = life->record;
  const Role* role = host_->policy.role(record.role);
  if (role == nullptr) return end(life, "policy", "policy has no role " + record.role + " any more");
  Result<Effects> effects = effects_now(*life, *role);
  if (!effects) return end(life, "policy", effects.error().message);
  const bool from_signed_text = !record.direct || life->resumed;
  if (from_signed_text && to_text(*effects) != record.effects) {
    return end(life, "policy", "what the host would give has changed since it was approved; ask again");
  }
  // pam_jit does not see the command: to open a gate on sudo is to open it for whatever else the user may run.
  const bool opens_sudo = std::any_of(effects->opens.begin(), effects->opens.end(), [&](const std::string& name) {
    const Gate* gate = host_->policy.gate(name);
    return gate != nullptr &&
           std::any_of(gate->services.begin(), gate->services.end(),
                       [](const std::string& service) { return service == "sudo" || service == "sudo-i"; });
  });
  if (!opens_sudo || role->dangerous) return commit_activation(life, account, judged, *effects);
  ports_.questions.standing_rule(
      record.user, later<bool>([this, life, attempt = life->attempt, account, judged,
                                effects = *effects](const Result<bool>& standing) {
        if (life->attempt != attempt) return;
        if (!standing) {
          return keep_pending(life, "sudo does not say which rules the user has: " + standing.error().message,
                              kUnavailableRetryMs);
        }
        if (*standing) {
          return end(life, "policy",
                     life->record.user +
                         " has sudo rules of their own, which this role would open too: "
                         "it needs dangerous = true");
        }
        commit_activation(life, account, judged, effects);
      }));
}

Result<Effects> EngineImpl::effects_now(const Life& life, const Role& role) {
  if (!life.deciding) return make_effects(host_->policy, role, ports_.facts);
  const auto known = effects_of_role_.find(role.name);
  if (known != effects_of_role_.end()) return known->second;
  return effects_of_role_.emplace(role.name, make_effects(host_->policy, role, ports_.facts)).first->second;
}

void EngineImpl::commit_activation(const LifePtr& life, const Account& account, const Judged& judged,
                                   const Effects& effects) {
  const Instant at = now();
  const std::int64_t at_s = at.wall_ms / 1000;
  GrantRecord next = life->record;
  next.state = GrantState::activating;
  next.effects = to_text(effects);
  next.facts_groups.clear();
  for (const std::string& group : own_groups(account)) next.facts_groups.push_back(group);
  std::set<PersonRef> entitled = revokers(host_->policy);
  if (const Role* role = host_->policy.role(next.role)) entitled.merge(approvers_of(host_->policy, *role));
  next.consents.clear();
  for (const PersonRef& person : judged.consents) {
    if (entitled.contains(person)) next.consents.push_back(person);
  }
  next.rule = judged.decision.rule;
  if (!life->resumed) {
    next.duration = std::min(judged.decision.duration, judged.narrowed.value_or(judged.decision.duration));
    next.activated = at_s;
    next.not_after = at_s + next.duration.count();
    if (life->direct && life->direct->not_after) {
      next.not_after = std::min<std::int64_t>(next.not_after, life->direct->not_after->time_since_epoch().count());
      next.duration = Seconds(next.not_after - at_s);
    }
    if (next.not_after * 1000 <= at.wall_ms) return end(life, "expired", "it ended before it could begin");
    next.boot_id = ports_.clock.boot_id();
    next.boot_deadline_ms = at.boot_ms + static_cast<std::uint64_t>(next.not_after * 1000 - at.wall_ms);
  }
  next.why = "being given";

  std::vector<std::string> consents;
  for (const PersonRef& person : next.consents) consents.push_back(to_text(person));
  AuditEvent event = event_of(life->resumed ? "resume" : "activate", life.get(),
                              {{"reason", next.reason},
                               {"ticket", next.ticket},
                               {"duration", format_duration(next.duration)},
                               {"not_after", format_utc(WallTime(Seconds(next.not_after)))},
                               {"consents", joined(consents, " ")},
                               {"rule", next.rule},
                               {"effects", next.effects},
                               {"policy", digest_text(host_->policy.digest)},
                               {"digest", digest_text(next.digest)}});
  if (life->resumed) {
    // It has its durable record; this one may come late.
    audit_.note(std::move(event));
    life->record = std::move(next);
    touch(life);
    if (audit_.waiting() >= kSaveAt) save_or_queue();
  } else {
    const Write write = [next](Store& store) { return store.put(next); };
    unsaved_.erase(next.digest);  // it is in `write`, newer
    if (Result<void> saved = save_or_drop({write}, {std::move(event)}); !saved) {
      return keep_pending(life, "no durable record of it can be made, so it is not given: " + saved.error().message,
                          kUnavailableRetryMs);
    }
    life->record = std::move(next);
  }
  life->give_up_boot_ms = at.boot_ms + kBusyGiveUpMs;
  life->step = Life::Step::preparing;
  if (!life->deciding) return give(life);
  to_give_.push_back(life);
  decided(*life);
}

void EngineImpl::try_again(Life& life) {
  life.retry_boot_ms = now().boot_ms + kBusyRetryMs;
  changed();
}

void EngineImpl::give(const LifePtr& life) {
  const Entitlement entitlement = entitlement_of(*life);
  const auto failed = [&](const Error& error) {
    if (error.code == Errc::busy && now().boot_ms < life->give_up_boot_ms) return try_again(*life);
    end(life, "failed", "it could not be given: " + error.message);
  };
  life->on_host = true;
  asking_->gifts_changed();
  if (life->step == Life::Step::preparing) {
    if (Result<void> done = ports_.effector.prepare(entitlement); !done) {
      if (done.error().code == Errc::unavailable) prepare_problem_ = done.error().message;
      return failed(done.error());
    }
    prepare_problem_.clear();
    if (Result<void> done = announce({life}); !done) return failed(done.error());
  }
  ++gives_[life->record.uid];
  if (Result<void> done = ports_.effector.give(entitlement); !done) return failed(done.error());
  prove(life);
}

// On the board before sudo has a rule: whoever is quicker than the proof of it is asked about, and refused.
Result<void> EngineImpl::announce(const std::vector<LifePtr>& lives) {
  for (const LifePtr& life : lives) life->step = Life::Step::giving;
  const bool rules = std::ranges::any_of(lives, [&](const LifePtr& life) {
    return !entitlement_of(*life).effects.sudo.empty() && !extends_active(*life);
  });
  if (!rules) return {};
  Result<void> done = ports_.effector.publish(entitlements(Which::on_board));
  if (!done)
    for (const LifePtr& life : lives) life->step = Life::Step::preparing;
  return done;
}

void EngineImpl::prove(const LifePtr& life) {
  life->step = Life::Step::proving;
  const Entitlement entitlement = entitlement_of(*life);
  if (entitlement.effects.sudo.empty()) return activated(life);
  ports_.questions.readback(life->record.user, entitlement.effects, entitlement.grant,
                            later<bool>([this, life, attempt = life->attempt](const Result<bool>& right) {
                              if (life->attempt != attempt) return;
                              if (!right && right.error().code == Errc::busy && now().boot_ms < life->give_up_boot_ms)
                                return try_again(*life);
                              if (!right) {
                                return end(life, "failed",
                                           "sudo could not be asked what it gives: " + right.error().message);
                              }
                              if (!*right) return end(life, "failed", "sudo does not give what was approved");
                              activated(life);
                            }));
}

void EngineImpl::activated(const LifePtr& life) {
  proven_.push_back(life);
  const bool alone = !life->resumed;
  resumed(*life);
  if (alone || resuming_ == 0) return come_into_force();
  // One board and one transaction for the many that come back together, and not one for each.
  if (in_force_boot_ms_ == 0) in_force_boot_ms_ = now().boot_ms + kInForceSoonMs;
  changed();
}

void EngineImpl::come_into_force() {
  in_force_boot_ms_ = 0;
  std::vector<LifePtr> lives = std::exchange(proven_, {});
  std::erase_if(lives, [](const LifePtr& life) { return life->record.state != GrantState::activating; });
  if (lives.empty()) return;
  for (const LifePtr& life : lives) life->record.state = GrantState::active;
  if (Result<void> done = ports_.effector.publish(entitlements(Which::on_board)); !done) {
    std::vector<Ending> endings;
    for (const LifePtr& life : lives) {
      life->record.state = GrantState::activating;
      endings.push_back({life, "failed", "the board could not be written: " + done.error().message, {}});
    }
    return end(std::move(endings));
  }
  for (const LifePtr& life : lives) {
    GrantRecord& record = life->record;
    life->step = Life::Step::idle;
    const std::string until = format_utc(WallTime(Seconds(record.not_after)));
    record.why = "active until " + until;
    touch(life);
    std::string said = record.user + " has " + record.role + " until " + until;
    said += record.consents.empty() ? " by " + record.rule : ", approved by " + names_of(record.consents);
    said += ": " + record.reason;
    journal(5, said, life.get(), "activate", {{"JIT_NOT_AFTER", until}});
    if (!std::exchange(life->told, true)) {
      Telling more{record.direct ? std::optional(record.digest) : std::nullopt, record.reason,
                   record.consents.empty() ? record.rule : names_of(record.consents),
                   WallTime(Seconds(record.not_after))};
      audit_.note(
          tell(event_of("active", life.get(), {{"not_after", until}}), "active", life.get(), std::move(more)));
    }
    if (!record.session.empty()) sessions_boot_ms_ = std::max<std::uint64_t>(now().boot_ms, 1);
    if (const LifePtr before = extended_by(record)) followed(before, *life);
    settle(*life);
  }
  save_or_queue();
  changed();
}

}  // namespace jit
