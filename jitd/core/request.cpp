// A user's wish becomes the host's signed request.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/document/envelope.hpp"
#include "policy/names.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxTicket = 128;
constexpr std::uint64_t kMinuteMs = 60ULL * 1000;
constexpr std::uint64_t kDenialsNoted = 10;  // of a user in an hour, each with its words; the chain is kept for long

// Absent and forbidden answer alike (P8).
Error no_such_role(const std::string& role) {
  return {Errc::refused,
          "there is no role \"" + shown(role, 100) + "\" that you may ask for here; 'jitctl roles' lists yours", 0};
}

Result<void> check_text(std::string_view what, const std::string& text, std::size_t limit) {
  const std::string name(what);
  if (text.size() > limit) return fail(Errc::invalid, name + " is longer than " + std::to_string(limit) + " bytes");
  if (const std::optional<std::string> bad = unclean(text)) return fail(Errc::invalid, name + " has a " + *bad);
  return {};
}

Result<void> check_wish(const WishInput& wish) {
  if (wish.extends.empty()) {
    if (Result<void> fine = check_policy_name(wish.role, "role"); !fine) return fine;
  } else if (wish.start) {
    return fail(Errc::invalid, "an extension begins when it is approved, or there would be a gap");
  }
  if (only_blanks(wish.reason)) {
    return fail(Errc::invalid, "say why: a request needs a reason (-m)");
  }
  if (Result<void> fine = check_text("the reason", wish.reason, kMaxReason); !fine) return fine;
  if (Result<void> fine = check_text("the ticket", wish.ticket, kMaxTicket); !fine) return fine;
  if (wish.ticket.find('\n') != std::string::npos) return fail(Errc::invalid, "the ticket has a line end");
  if (wish.duration && *wish.duration <= Seconds(0)) return fail(Errc::invalid, "the duration is not positive");
  return {};
}

}  // namespace

Result<void> EngineImpl::may_be_granted(std::uint32_t uid) {
  if (uid == 0) return fail(Errc::refused, "root needs no grant; ask as the user who shall have it");
  if (!usable_id(uid)) return fail(Errc::refused, "uid " + std::to_string(uid) + " is nobody's");
  if (dynamic_id(uid)) {
    return fail(Errc::refused, "uid " + std::to_string(uid) + " is handed out at run time; nothing is granted to it");
  }
  return {};
}

Result<void> EngineImpl::within_rate(std::uint32_t uid) {
  const std::uint64_t at = now().boot_ms;
  std::erase_if(rate_,
                [&](const auto& entry) { return entry.second.empty() || entry.second.back() + kMinuteMs <= at; });
  std::deque<std::uint64_t>& times = rate_[uid];
  while (!times.empty() && times.front() + kMinuteMs <= at) times.pop_front();
  if (times.size() >= host_->config.requests_per_minute) {
    return fail(Errc::busy, "more than " + std::to_string(host_->config.requests_per_minute) +
                                " requests in a minute; wait and ask again");
  }
  times.push_back(at);
  return {};
}

void EngineImpl::note_denial(const Account& account, AuditEvent event) {
  const Fields who{{"user", account.name}, {"uid", std::to_string(account.uid)}};
  if (denials_.single("user " + account.name, who, kDenialsNoted, now().boot_ms)) audit_.note(std::move(event));
}

void EngineImpl::note_counted_denials(std::uint64_t boot_ms) {
  for (const Denials::Counted& one : denials_.over(boot_ms)) {
    Fields fields = one.who;
    const bool wishes = fields.contains("uid");
    fields.emplace("count", std::to_string(one.count));
    fields.emplace("why", "more than " + std::to_string(one.most) +
                              (wishes ? " requests were denied in an hour" : " documents were refused in an hour"));
    AuditEvent event = event_of(wishes ? "deny" : "refuse", nullptr, std::move(fields));
    const std::string why = event.fields["why"] + ": " + std::to_string(one.count) + " others";
    Telling more{std::nullopt, why};
    if (wishes) more.user = one.who.at("user");
    audit_.note(tell(std::move(event), "refused", nullptr, std::move(more)));
  }
}

std::vector<PersonRef> EngineImpl::requesters_of(const Behind& behind) const {
  std::vector<PersonRef> persons{person_of_user(host_->policy, behind.account.name)};
  const auto add = [&](const PersonRef& person) {
    if (std::find(persons.begin(), persons.end(), person) == persons.end()) persons.push_back(person);
  };
  if (behind.login) add(person_of_user(host_->policy, behind.login->name));
  if (behind.ask) std::for_each(behind.ask->signers.begin(), behind.ask->signers.end(), add);
  return persons;
}

void EngineImpl::who_asks(const Caller& caller, const Reply<Behind>& then) {
  const auto unknown = [](std::uint32_t uid, const Error& error) {
    return Error{error.code == Errc::not_found ? Errc::refused : error.code,
                 "the account of uid " + std::to_string(uid) + ": " + error.message, 0};
  };
  ports_.questions.account(
      caller.uid, later<Account>([this, caller, unknown, then](Result<Account> account) {
        if (!account) return then(tl::unexpected<Error>(unknown(caller.uid, account.error())));
        if (account->uid != caller.uid || !check_user_name(account->name)) {
          return then(fail(Errc::refused,
                           "the account of uid " + std::to_string(caller.uid) + " does not answer for itself"));
        }
        Behind behind{std::move(*account), std::nullopt, std::nullopt};
        if (!caller.loginuid || *caller.loginuid == caller.uid) return then(std::move(behind));
        // `sudo -u deploy jitctl request` does not hide who logged in.
        ports_.questions.account(
            *caller.loginuid, later<Account>([caller, unknown, then, behind](Result<Account> login) {
              if (!login) return then(tl::unexpected<Error>(unknown(*caller.loginuid, login.error())));
              if (!check_user_name(login->name)) {
                return then(fail(Errc::refused, "the account behind your login does not answer for itself"));
              }
              Behind both = behind;
              both.login = std::move(*login);
              then(std::move(both));
            }));
      }));
}

void EngineImpl::comer(const Comer& who, Reply<Caller> reply) {
  const Turn turn(*this);
  const auto nobody = [this, reply](const std::string& why) {
    answer<Caller>(reply, fail(Errc::refused, "nothing can be asked for here: " + why));
  };
  if (!check_user_name(who.user)) return nobody("the name cannot be a user's");
  ports_.questions.account(who.user, later<Account>([this, who, nobody, reply](const Result<Account>& account) {
                             if (!account) return nobody(account.error().message);
                             // Some name services answer to another spelling; the check goes by the one that came.
                             if (account->name != who.user || (who.uid && *who.uid != account->uid))
                               return nobody("the account does not answer for itself");
                             if (Result<void> fine = may_be_granted(account->uid); !fine)
                               return nobody(fine.error().message);
                             answer<Caller>(reply, Caller{account->uid, who.loginuid, 0});
                           }));
}

void EngineImpl::request(const Caller& caller, const WishInput& wish, Reply<Outcome> reply) {
  const Turn turn(*this);
  Result<void> fine = may_be_granted(caller.uid);
  if (fine) fine = check_wish(wish);
  if (fine) fine = within_rate(caller.uid);
  if (!fine) return answer<Outcome>(reply, tl::unexpected<Error>(fine.error()));
  who_asks(caller, [this, wish, reply](Result<Behind> behind) {
    if (!behind) return answer<Outcome>(reply, tl::unexpected<Error>(behind.error()));
    request_by(*behind, wish, reply);
  });
}

Result<void> EngineImpl::check_start(const WishInput& wish, Seconds duration) {
  if (!wish.start) return {};
  const WallTime at = wall_time();
  if (*wish.start <= at) return fail(Errc::refused, "the start, " + format_utc(*wish.start) + ", has passed");
  if (*wish.start + duration > at + host_->config.absolute_ceiling) {
    return fail(Errc::refused, "it would end more than " + format_duration(host_->config.absolute_ceiling) +
                                   " from now, and nothing is approved so far ahead here");
  }
  return {};
}

EngineImpl::LifePtr EngineImpl::answered_by(const WishInput& wish, const GrantRecord& sketch) const {
  for (const auto& [digest, life] : lives_) {
    const GrantRecord& other = life->record;
    if (life->over() || other.user != sketch.user || other.uid != sketch.uid || other.role != wish.role) continue;
    const bool same_wish = !other.direct && other.reason == wish.reason && other.ticket == wish.ticket &&
                           other.requesters == sketch.requesters && other.start == sketch.start &&
                           other.extends == sketch.extends && (!wish.duration || other.asked == *wish.duration);
    // What is to come later, or after that, is not answered by what is held now.
    const bool held = life->in_force() && !wish.start && wish.extends.empty();
    if (held || same_wish) return life;
  }
  return nullptr;
}

void EngineImpl::request_by(const Behind& behind, WishInput wish, const Reply<Outcome>& reply) {
  const Account& account = behind.account;
  const Policy& policy = host_->policy;
  GrantRecord sketch;
  LifePtr extended;
  if (!wish.extends.empty()) {
    Result<LifePtr> found = extendable(account, wish.extends);
    if (!found) return answer<Outcome>(reply, tl::unexpected<Error>(found.error()));
    extended = *found;
    wish.role = extended->record.role;
    sketch.extends = extended->record.extends;
    sketch.extends.insert(sketch.extends.begin(), extended->record.digest);
  }
  if (wish.start) sketch.start = wish.start->time_since_epoch().count();
  sketch.user = account.name;
  sketch.uid = account.uid;
  sketch.role = wish.role;
  sketch.requesters = requesters_of(behind);
  note_counted_denials(now().boot_ms);
  const auto refuse_with = [&](Error error, const std::string& rule, const std::string& reason) {
    if (behind.ask && !told_again(*behind.ask, error)) return answer<Outcome>(reply, tl::unexpected<Error>(error));
    Fields fields{
        {"user", account.name}, {"uid", std::to_string(account.uid)}, {"role", wish.role}, {"why", error.message}};
    if (!reason.empty()) fields.emplace("reason", reason);
    if (behind.login) fields.emplace("loginuid", std::to_string(behind.login->uid));
    if (!rule.empty()) fields.emplace("rule", rule);
    AuditEvent event = event_of("deny", nullptr, std::move(fields));
    if (behind.ask) event = refused_ask(std::move(event), *behind.ask, wish, error.message);
    note_denial(account, std::move(event));
    journal(5, "denied: " + account.name + " asked for " + wish.role + ": " + error.message, nullptr, "deny",
            {{"JIT_USER", account.name}, {"JIT_ROLE", wish.role}});
    save_or_queue();
    answer<Outcome>(reply, tl::unexpected<Error>(std::move(error)));
  };
  const auto refuse = [&](Error error, const std::string& rule) { refuse_with(std::move(error), rule, wish.reason); };

  const Role* role = policy.role(wish.role);
  const Facts facts = facts_of(sketch, own_groups(account), When::activation);
  const auto is_eligible = [&](const Subject& subject) { return covers(subject, facts); };
  const auto is_here = [&](const std::string& segment) {
    return std::find(facts.segments.begin(), facts.segments.end(), segment) != facts.segments.end();
  };
  if (role == nullptr || std::none_of(role->eligible.begin(), role->eligible.end(), is_eligible) ||
      (!role->segments.empty() && std::none_of(role->segments.begin(), role->segments.end(), is_here))) {
    return refuse_with(no_such_role(wish.role), "", "");  // nobody decides by that reason
  }
  std::string why;
  if (locked_user(sketch, &why)) return refuse({Errc::refused, why, 0}, "");
  if (guard_.behind()) return refuse({Errc::refused, guard_.problem(), 0}, "");
  if (!host_->machine.unknown.empty()) return refuse({Errc::refused, host_->machine.unknown, 0}, "");

  // What is held already, or asked for in the same words, is not asked for again.
  if (const LifePtr life = answered_by(wish, sketch)) {
    if (behind.ask) {
      if (Result<void> kept = answer_ask(*behind.ask, *life); !kept)
        return answer<Outcome>(reply, tl::unexpected<Error>(kept.error()));
    }
    const bool settled = life->record.state == GrantState::active || life->step == Life::Step::idle;
    if (!settled || life->record.state == GrantState::activating) return life->waiters.push_back(reply);
    return answer<Outcome>(reply, outcome_of(*life));
  }
  const auto waiting = static_cast<std::size_t>(std::count_if(lives_.begin(), lives_.end(), [&](const auto& entry) {
    const GrantRecord& other = entry.second->record;
    return other.state == GrantState::pending && other.user == account.name && other.uid == account.uid;
  }));
  if (waiting >= host_->config.pending_per_user) {
    // An ask is not tried again by itself.
    return refuse({behind.ask ? Errc::refused : Errc::busy,
                   "you have " + std::to_string(waiting) +
                       " requests waiting, and no more are taken: release one with 'jitctl release ID'",
                   0},
                  "");
  }

  const Seconds most = std::min(role->max_duration, host_->config.grant_ceiling);
  if (wish.duration && *wish.duration > most) {
    return refuse({Errc::refused, at_most(most) + "; ask for that or less", 0}, "");
  }
  const Wish judged{wish.role, wish.duration.value_or(Seconds(0)), wish.ticket, false};
  const Decision decision = decide(policy, judged, facts, {}, host_->config.grant_ceiling, wall_time());
  if (decision.verdict != Verdict::approve && decision.verdict != Verdict::review) {
    const std::string said = decision.message.empty() ? joined(decision.reasons, "; ") : decision.message;
    return refuse({Errc::refused, said, 0}, decision.rule);
  }
  if (wish.duration && *wish.duration > decision.duration) {
    const std::string said = at_most(decision) + "; ask for that or less";
    return refuse({Errc::refused, said, 0}, decision.rule);
  }
  if (Result<void> fine = check_start(wish, decision.duration); !fine) return refuse(fine.error(), decision.rule);
  if (extended && wall() + decision.duration.count() <= extended->record.not_after) {
    return refuse({Errc::refused,
                   extended->record.id + " ends at " + format_utc(WallTime(Seconds(extended->record.not_after))) +
                       " already, which is later; an extension runs from its approval",
                   0},
                  decision.rule);
  }
  Result<LifePtr> made = make_request(behind, wish, *role, decision, decision.duration, extended.get());
  if (!made) return refuse(made.error(), decision.rule);
  const LifePtr life = *made;
  journal(6,
          account.name + (extended ? " asks to extend " + extended->record.id + ", " : " asks for ") + wish.role +
              " for " + format_duration(life->record.duration) +
              (wish.start ? " from " + format_utc(*wish.start) : "") + ": " + wish.reason,
          life.get(), "request");
  changed();
  if (decision.verdict == Verdict::approve) {
    life->waiters.push_back(reply);
    return try_activate(life);
  }
  answer<Outcome>(reply, outcome_of(*life));
}

Result<EngineImpl::LifePtr> EngineImpl::make_request(const Behind& behind, const WishInput& wish, const Role& role,
                                                     const Decision& decision, Seconds duration,
                                                     const Life* extended) {
  Result<Effects> effects = make_effects(host_->policy, role, ports_.facts);
  if (!effects) return tl::unexpected<Error>(effects.error());
  const std::int64_t at = wall();
  Request request;
  request.host = host_->config.host;
  request.host_key = host_->host_key;
  request.user = behind.account.name;
  request.uid = behind.account.uid;
  request.requesters = requesters_of(behind);
  request.role = role.name;
  request.duration = duration;
  request.reason = wish.reason;
  request.ticket = wish.ticket;
  request.start = wish.start;
  request.created = WallTime(Seconds(at));
  request.expires = std::min(request.start.value_or(request.created) + host_->config.pending_life,
                             request.created + std::max(host_->config.absolute_ceiling, host_->config.pending_life));
  if (extended != nullptr) request.extends = extended->record.digest;
  request.origin = wish.origin;
  if (behind.ask) request.ask = behind.ask->document.digest;
  request.effects = to_text(*effects);
  request.policy = digest_text(host_->policy.digest);
  request.nonce = make_nonce();
  const std::string payload = to_payload(request);
  Result<std::string> signature = host_->key->sign(payload, kind_namespace(Kind::request));
  if (!signature) return within("the host key", signature.error());
  const std::string text = to_text(Envelope{payload, {*signature}});
  if (text.size() > kMaxDocument) {
    return fail(Errc::refused, "what this role gives does not fit into a request of 32 KiB; split the role");
  }

  auto life = std::make_shared<Life>();
  GrantRecord& record = life->record;
  record.digest = sha256(payload);
  record.id = id_of(record.digest);
  record.user = request.user;
  record.uid = request.uid;
  record.role = request.role;
  record.reason = request.reason;
  record.ticket = request.ticket;
  record.requesters = request.requesters;
  record.asked = record.duration = duration;
  record.created = at;
  record.expires = request.expires.time_since_epoch().count();
  record.effects = request.effects;
  for (const std::string& group : own_groups(behind.account))
    record.facts_groups.push_back(group);  // for show, until then
  const std::vector<std::string> needs = waiting_for(decision, record.requesters);
  record.why = needs.empty() ? "" : "waiting for " + joined(needs);
  record.rule = decision.rule;
  record.ask = request.ask;
  if (request.start) record.start = request.start->time_since_epoch().count();
  if (extended != nullptr) {
    record.extends = extended->record.extends;
    record.extends.insert(record.extends.begin(), extended->record.digest);
  }

  std::vector<std::string> requesters;
  for (const PersonRef& person : record.requesters) requesters.push_back(to_text(person));
  Fields fields{{"reason", record.reason},
                {"ticket", record.ticket},
                {"duration", format_duration(duration)},
                {"digest", digest_text(record.digest)},
                {"effects", record.effects},
                {"requesters", joined(requesters, " ")},
                {"rule", record.rule}};
  if (behind.login) fields.emplace("loginuid", std::to_string(behind.login->uid));
  if (wish.origin != "local") fields.emplace("origin", wish.origin);
  if (request.start) fields.emplace("start", format_utc(*request.start));
  if (extended != nullptr) fields.emplace("extends", extended->record.id);
  if (behind.ask) {
    fields.emplace("ask", digest_text(behind.ask->document.digest));
    fields.emplace("signed_by", names_of(behind.ask->signers));
  }
  const StoredDocument document{
      record.digest, Kind::request, text, at, record.expires + host_->config.clock_tolerance.count(), {}};
  std::vector<Write> writes{[document](Store& store) { return store.put(document); },
                            [stored = record](Store& store) { return store.put(stored); }};
  if (behind.ask) keep_ask(*behind.ask, record.digest, writes);
  AuditEvent event = event_of("request", life.get(), std::move(fields));
  Result<void> saved =
      save_or_drop(std::move(writes), {tell(std::move(event), "filed", life.get(), {record.ask, record.why})});
  if (!saved) return within("the request could not be stored, so it does not stand", saved.error());
  lives_[record.digest] = life;
  return life;
}

}  // namespace jit
