// What runs under a grant: elevated commands and logins are put where its end finds them, and told before it comes.
#include <algorithm>
#include <array>
#include <vector>

#include "jitd/core/engine_impl.hpp"
#include "jitd/core/sudo_words.hpp"
#include "jitd/wire/answer.hpp"
#include "policy/text.hpp"
#include "policy/time.hpp"

namespace jit {
namespace {

// Before a planned end: a line on the user's terminals, those of these that are well within the grant's time.
constexpr std::array<std::int64_t, 3> kToldMs{600'000, 120'000, 30'000};
// And SIGTERM, less before the end of a short grant.
constexpr std::int64_t kTermMs = 5'000;
constexpr std::int64_t kShare = 10;  // at most a tenth of the grant's time

// Commands of one grant that sudo is asked about at its end: of more, all but the first are ended.
constexpr std::size_t kMostPlain = 16;
constexpr std::size_t kMostWords = 16384;  // bytes of one; no longer one is asked about

std::int64_t term_ms(const GrantRecord& record) {
  return std::min(kTermMs, std::max<std::int64_t>(record.not_after - record.activated, 1) * 1000 / kShare);
}

// How long before its end something is said of a grant, longest first; the last is SIGTERM.
std::array<std::int64_t, kToldMs.size() + 1> marks_of(const GrantRecord& record) {
  std::array<std::int64_t, kToldMs.size() + 1> marks{};
  marks.fill(term_ms(record));
  auto next = marks.begin();
  for (const std::int64_t mark : kToldMs)
    if (mark * 2 <= (record.not_after - record.activated) * 1000) *next++ = mark;
  return marks;
}

}  // namespace

bool EngineImpl::left_alone(const GrantRecord& record) const {
  const Role* role = host_->policy.role(record.role);
  return role != nullptr && !role->terminate_on_end;
}

std::int64_t EngineImpl::left_ms(const Life& life, Instant at) {
  const auto boot = static_cast<std::int64_t>(life.record.boot_deadline_ms) - static_cast<std::int64_t>(at.boot_ms);
  return std::min(life.record.not_after * 1000 - at.wall_ms, boot);
}

std::optional<std::uint64_t> EngineImpl::warning_at_boot_ms(const Life& life, Instant at) {
  if (life.record.state != GrantState::active) return std::nullopt;
  for (const std::int64_t mark : marks_of(life.record)) {
    if (mark >= life.warned_ms) continue;
    return at.boot_ms + static_cast<std::uint64_t>(std::max<std::int64_t>(left_ms(life, at) - mark, 0));
  }
  return std::nullopt;
}

void EngineImpl::warn_of_ends(Instant at) {
  std::vector<EndOrder> soon;
  for (const auto& [digest, life] : lives_) {
    const GrantRecord& record = life->record;
    const std::int64_t left = left_ms(*life, at);
    if (record.state != GrantState::active || left <= 0) continue;
    std::optional<std::int64_t> due;  // what was slept through is said once, by the latest of it
    for (const std::int64_t mark : marks_of(record))
      if (mark >= left && mark < life->warned_ms) due = mark;
    if (!due) continue;
    life->warned_ms = *due;
    const bool leave = left_alone(record);
    if (*due == term_ms(record)) {
      const std::string id = entitlement_id(record);
      if (!leave) soon.push_back({id, record.user, record.uid, {}, {}, false, false, plain_commands(id)});
      continue;
    }
    const std::string then =
        leave ? "what runs under it goes on." : "commands that run under it, and logins that it let in, end then.";
    ports_.effector.tell(record.uid, "jit: your role " + record.role + " ends at " +
                                         format_utc(WallTime(Seconds(record.not_after))) + ", in " +
                                         format_duration(Seconds((left + 999) / 1000)) + "; " + then);
  }
  if (!soon.empty()) ports_.effector.warn(soon);
}

std::optional<Fits> EngineImpl::fit_of(const Life& life, const std::string& target,
                                       const std::optional<std::vector<std::string>>& words) const {
  std::optional<Fits> fit;
  const bool login_shell = words && *words == std::vector<std::string>{"-i"};  // which one only sudo knows
  for (const SudoEffect& rule : entitlement_of(life).effects.sudo) {
    if (rule.as != target) continue;
    const Fits one = login_shell ? Fits::perhaps : words ? fits(rule, *words) : Fits::no;
    fit = std::max(fit.value_or(Fits::no), one);
  }
  return fit;
}

// What fits best alone: a grant for one session that is used up is not stood in for by one that gives something else.
// Of several that surely give it the one that ends last; of others the first, so that nothing outlives its own. One
// for a single session only where no other is.
void EngineImpl::best_alone(std::vector<Giving>& giving, Instant at) {
  const Fits best_fit = std::max_element(giving.begin(), giving.end(), [](const Giving& a, const Giving& b) {
                          return a.fit < b.fit;
                        })->fit;
  std::erase_if(giving, [&](const Giving& one) { return one.fit != best_fit; });
  std::stable_sort(giving.begin(), giving.end(), [&](const Giving& a, const Giving& b) {
    if (a.life->record.once != b.life->record.once) return b.life->record.once;
    const std::int64_t first = left_ms(*a.life, at), second = left_ms(*b.life, at);
    return best_fit == Fits::exactly ? first > second : first < second;
  });
}

std::optional<EngineImpl::Onward> EngineImpl::onward(const LifePtr& ended, const Running& running,
                                                     const std::string& through) {
  const Instant at = now();
  std::vector<Giving> giving;
  for (const auto& [digest, life] : lives_) {
    const GrantRecord& record = life->record;
    if (life == ended || life->over() || !life->on_host || record.uid != ended->record.uid) continue;
    const auto fit = fit_of(*life, running.target, running.words);
    if (!fit) continue;
    const bool in_force = record.state == GrantState::active && !record.once && left_ms(*life, at) > 0;
    if (in_force && *fit != Fits::no) {
      giving.push_back({life, *fit});
    } else if (*fit != Fits::no || through.empty()) {
      return std::nullopt;  // sudo may speak of this one, which is not in force, or for another session
    }
  }
  if (!giving.empty()) {
    best_alone(giving, at);
    const GrantRecord& best = giving.front().life->record;
    return Onward{entitlement_id(best), left_alone(best)};
  }
  if (through.empty()) return Onward{"", true};
  // By a rule of the user's own, behind a gate that another grant opens: for as long as that does.
  const LifePtr other = in_force_as(through);
  if (!other || left_alone(other->record)) return std::nullopt;
  return Onward{through, false};
}

void EngineImpl::elevate(const Elevation& what, Reply<Elevated> reply) {
  const Turn turn(*this);
  const Instant at = now();
  const auto words = wire::is_sudo(what.service) ? command_of_sudo(what.argv) : std::nullopt;
  // A grant that merely opened the gate counts where no rule of ours gives this: else what one grant gives would live
  // as long as another that opens the same gate.
  std::vector<Giving> by_rule, by_gate;
  bool at_its_end = false;  // one that gives this, which nobody has taken yet
  for (const auto& [digest, life] : lives_) {
    const GrantRecord& record = life->record;
    if (record.uid == what.uid && being_given(*life) && !extends_active(*life) && fit_of(*life, what.target, words))
      return answer<Elevated>(reply, fail(Errc::refused, "role " + record.role + " is being given; run it again"));
    if (record.state != GrantState::active || record.uid != what.uid) continue;
    if (left_ms(*life, at) <= 0 || past_its_view(record, at)) {
      at_its_end = at_its_end || fit_of(*life, what.target, words);
      continue;
    }
    if (const auto fit = fit_of(*life, what.target, words)) {
      by_rule.push_back({life, *fit});
    } else if (!what.opened_by.empty() && entitlement_id(record) == what.opened_by) {
      by_gate.push_back({life});
    }
  }
  // By a rule of somebody else's making, for a target that no grant of theirs gives.
  std::vector<Giving>& giving = by_rule.empty() ? by_gate : by_rule;
  if (giving.empty() && (at_its_end || !what.opened_by.empty()))
    return answer<Elevated>(reply, fail(Errc::refused, "your grant has just ended"));
  if (giving.empty()) return answer<Elevated>(reply, Elevated{});
  best_alone(giving, at);
  LifePtr best;
  Result<void> free;
  for (const Giving& one : giving) {
    if (free = session_free(*one.life, what.pid); !free) continue;
    best = one.life;
    break;
  }
  if (!best) return answer<Elevated>(reply, tl::unexpected<Error>(free.error()));
  const std::string id = entitlement_id(best->record);
  const Result<bool> put = ports_.effector.elevate(id, left_alone(best->record), what.pid);
  if (!put) {
    journal(
        3,
        "a command of " + best->record.user + " was refused, since its end could not be kept: " + put.error().message,
        best.get(), "elevate");
    return answer<Elevated>(reply, tl::unexpected<Error>(put.error()));
  }
  if (Result<void> bound = bind_session(best, what.pid); !bound)
    return answer<Elevated>(reply, tl::unexpected<Error>(bound.error()));
  remember(id, what);
  journal(6, best->record.user + " runs a command as " + shown(what.target, 256) + (*put ? ", recorded" : ""),
          best.get(), "elevate", {{"JIT_PID", std::to_string(what.pid)}, {"JIT_SERVICE", what.service}});
  answer<Elevated>(reply, Elevated{id, *put});
}

void EngineImpl::remember(const std::string& grant, const Elevation& what) {
  auto& running = running_[grant];
  // Of an earlier process of that number: a scope is called by it.
  std::erase_if(running, [&](const Running& one) { return one.command.pid == what.pid; });
  auto words = wire::is_sudo(what.service) ? plain_command_of_sudo(what.argv) : std::nullopt;
  auto process = ports_.effector.name_of(what.pid);
  std::size_t size = 0;
  for (const std::string& word : words.value_or(std::vector<std::string>())) size += word.size() + 1;
  if (!words || !process || size > kMostWords) return;
  if (running.size() >= kMostPlain)
    std::erase_if(running, [&](const Running& one) { return !ports_.effector.runs(one.process); });
  if (running.size() < kMostPlain)
    running.push_back({std::move(*process), what.target, std::move(*words), {what.pid, what.service}});
}

std::vector<PlainCommand> EngineImpl::plain_commands(const std::string& grant) const {
  std::vector<PlainCommand> commands;
  if (const auto running = running_.find(grant); running != running_.end())
    for (const Running& one : running->second) commands.push_back(one.command);
  return commands;
}

EngineImpl::LifePtr EngineImpl::in_force_as(const std::string& grant) const {
  const auto life = std::find_if(lives_.begin(), lives_.end(), [&](const auto& entry) {
    return entitlement_id(entry.second->record) == grant && entry.second->record.state == GrantState::active;
  });
  return life == lives_.end() ? nullptr : life->second;
}

void EngineImpl::let_in(const std::string& grant, std::int32_t pid, Reply<std::string> reply) {
  const Turn turn(*this);
  const LifePtr life = in_force_as(grant);
  if (!life) return answer<std::string>(reply, fail(Errc::refused, "the grant has just ended"));
  if (Result<void> bound = bind_session(life, pid); !bound)
    return answer<std::string>(reply, tl::unexpected<Error>(bound.error()));
  if (!left_alone(life->record)) {
    // A login by a shut door is worse than one that somebody has to end by hand.
    if (Result<void> noted = ports_.effector.let_in(grant, pid); !noted)
      journal(3, "a login of " + life->record.user + " will not be ended with its grant: " + noted.error().message,
              life.get(), "login");
  }
  answer<std::string>(reply, std::string(grant));
}

void EngineImpl::let_out(std::int32_t pid) {
  const Turn turn(*this);
  ports_.effector.let_out(pid);
  session_closed(pid);
}

}  // namespace jit
