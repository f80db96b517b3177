// How rights end: effects first, then what is written about it. Nothing here waits for a database.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kReconcileRetryMs = 1000;
constexpr std::uint64_t kPoliteMs = 100;
constexpr std::size_t kMaxResidueLine = 1000;
constexpr std::size_t kMaxLeft = 20, kMaxNameShown = 100;
constexpr std::size_t kMaxCommandShown = 300;
constexpr std::size_t kMaxResidueLines = 20;  // in one audit entry

}  // namespace

void EngineImpl::end(std::vector<Ending> endings) {
  std::erase_if(endings, [](const Ending& ending) { return ending.life->over(); });
  if (endings.empty()) return;
  const Instant at = now();
  std::set<Digest> ending_now;
  for (const Ending& ending : endings) ending_now.insert(ending.life->record.digest);
  for (const auto& [digest, life] : lives_) {
    const std::vector<Digest>& extends = life->record.extends;
    if (life->over() || extends.empty() || !ending_now.contains(extends.front()) || ending_now.contains(digest))
      continue;
    endings.push_back({life, "policy", "the grant that it extends has ended; ask anew", {}});
  }
  std::vector<EndOrder> orders;
  std::vector<LifePtr> kept;  // an extension that came to nothing leaves what it was to extend, or what was quicker
  for (const Ending& ending : endings) {
    Life& life = *ending.life;
    ++life.attempt;  // late answers find nobody
    life.step = Life::Step::idle;
    life.retry_boot_ms = 0;
    resumed(life);
    if (!life.on_host) continue;
    if (const LifePtr other = shares_with(life); other && !ending_now.contains(other->record.digest)) {
      life.on_host = false;
      kept.push_back(other);
      continue;
    }
    Entitlement held = entitlement_of(life);
    auto plain = plain_commands(held.grant);
    orders.push_back({held.grant, held.user, held.uid, std::move(held.effects), ending.word, left_alone(life.record),
                      ending.word == "released", std::move(plain)});
  }
  bool published = false;
  for (const Ending& ending : endings) {
    GrantRecord& record = ending.life->record;
    const bool was_given = record.state == GrantState::active || ending.life->resumed;
    published = published || record.state == GrantState::active;
    record.state = was_given ? GrantState::ended : GrantState::refused;
    record.why = ending.why;
    record.ended = at.wall_ms / 1000;
  }
  Taken taken;
  if (!orders.empty()) taken = ports_.effector.take(orders);
  report(taken);
  for (const LifePtr& life : kept) keep_extended(life);
  for (const Taken::HeldBack& command : taken.held_back) {
    const auto of = std::ranges::find_if(
        endings, [&](const Ending& ending) { return entitlement_id(ending.life->record) == command.grant; });
    if (of != endings.end()) ask_about(of->life, command);
  }
  for (const EndOrder& order : orders) running_.erase(order.grant);
  published = published || !kept.empty();
  asking_->gifts_changed();
  if (published) publish();
  for (const Ending& ending : endings) {
    GrantRecord& record = ending.life->record;
    const bool was_given = record.state == GrantState::ended;
    Fields fields = ending.more;
    fields.emplace("why", ending.why);
    if (const auto ran = taken.ended.find(entitlement_id(record)); ran != taken.ended.end()) {
      fields.emplace("processes", std::to_string(ran->second));
      record.why +=
          "; " + std::to_string(ran->second) + (ran->second == 1 ? " process" : " processes") + " ended with it";
    }
    if (const auto left = taken.left.find(entitlement_id(record)); left != taken.left.end()) {
      std::vector<std::string> names;
      for (const std::string& one : left->second)
        if (names.size() < kMaxLeft) names.push_back(shown(one, kMaxNameShown));
      const std::size_t more = left->second.size() - names.size();
      std::string list = joined(names, ", ") + (more > 0 ? " and " + std::to_string(more) + " more" : "");
      record.why += "; goes on as policy says: " + list;
      fields.emplace("left", std::move(list));
    }
    fields.emplace("end", ending.word);
    Telling more{record.direct && !was_given ? std::optional(record.digest) : std::nullopt, record.why};
    if (const auto by = ending.more.find("signed_by"); by != ending.more.end()) more.by = by->second;
    audit_.note(tell(event_of(was_given ? "end" : "deny", ending.life.get(), std::move(fields)),
                     was_given ? "ended" : "refused", ending.life.get(), std::move(more)));
    journal(5, record.user + (was_given ? " has no longer " : " does not get ") + record.role + ": " + record.why,
            ending.life.get(), was_given ? "end" : "deny", {{"JIT_END", ending.word}});
    touch(ending.life);
    settle(*ending.life);
  }
  ++news_;
  save_or_queue();
  changed();
}

void EngineImpl::ask_about(const LifePtr& life, const Taken::HeldBack& command) {
  const auto to_end = [this, command] { (void)ports_.effector.end_command(command); };
  const std::vector<Running>& known = running_[command.grant];
  const auto one =
      std::ranges::find_if(known, [&](const Running& running) { return running.command.pid == command.pid; });
  if (one == known.end() || !onward(life, *one, command.through)) return to_end();
  ports_.questions.still_allowed(
      life->record.user, one->target, one->words,
      later<bool>([this, life, command, to_end, running = *one,
                   gives = gives_[life->record.uid]](const Result<bool>& allowed) {
        // Something that was given meanwhile may be what sudo spoke of.
        const auto onto = allowed && *allowed && gives == gives_[life->record.uid]
                              ? onward(life, running, command.through)
                              : std::nullopt;
        const bool goes_on = onto.has_value();
        const Result<void> spared =
            onto ? ports_.effector.spare_command({command.grant, command.pid, onto->grant}, onto->leave)
                 : Result<void>{};
        if (!goes_on) to_end();
        if (!spared && spared.error().code == Errc::not_found) return;
        const bool other = onto && !onto->grant.empty();
        const bool left = goes_on && spared;
        const std::string why =
            left      ? other ? "under grant " + onto->grant : "sudo lets its user run it without a grant"
            : goes_on ? spared.error().message
            : allowed ? "sudo does not let its user run it any more"
                      : allowed.error().message;
        if (left && other) running_[onto->grant].push_back(running);
        std::string what;
        for (const std::string& word : running.words) what += (what.empty() ? "" : " ") + word;
        what = shown(what, kMaxCommandShown) + " as " + shown(running.target, 256);
        const std::string said = what + (left ? " goes on: " : " was ended: ") + why;
        note(left ? "spared" : "end", *life, {{"command", what}, {"why", why}});
        journal(5, said, life.get(), left ? "spared" : "end", {{"JIT_PID", std::to_string(command.pid)}});
        life->record.why += "; " + said;
        touch(life);
        save_or_queue();
        changed();
      }));
}

void EngineImpl::end(const LifePtr& life, const std::string& word, const std::string& why, Fields more) {
  if (!life->deciding) return end(std::vector<Ending>{{life, word, why, std::move(more)}});
  ++life->attempt;
  to_end_.push_back({life, word, why, std::move(more)});
  decided(*life);
}

void EngineImpl::end_due(Instant at) {
  std::vector<Ending> endings;
  for (const auto& [digest, life] : lives_) {
    if (life->over()) continue;
    const GrantRecord& record = life->record;
    if (life->in_force()) {
      if (at.wall_ms >= record.not_after * 1000 || at.boot_ms >= record.boot_deadline_ms) {
        endings.push_back({life, "expired", "expired", {}});
      } else if (past_its_view(record, at)) {
        endings.push_back({life, "view", why_past_its_view(record), {}});
      }
    } else if (at.wall_ms >= record.expires * 1000) {
      endings.push_back(
          {life,
           "expired",
           life->starts != 0 ? "its start was not reached in time" : "nobody who may approve it did so in time",
           {}});
    }
  }
  end(std::move(endings));
}

void EngineImpl::report(const Taken& taken) {
  for (const std::string& note : taken.notes) journal(4, note, nullptr, "effect");
  if (taken.more_soon) reconcile_boot_ms_ = now().boot_ms + kPoliteMs;
  if (taken.failures.empty()) return;
  for (const std::string& failure : taken.failures) journal(3, failure, nullptr, "effect");
  reconcile_boot_ms_ = now().boot_ms + kReconcileRetryMs;
}

void EngineImpl::publish() {
  if (Result<void> done = ports_.effector.publish(entitlements(Which::on_board)); !done) {
    Taken said;
    said.failures.push_back("the board could not be written: " + done.error().message);
    report(said);
  }
}

void EngineImpl::residue_found() {
  const Turn turn(*this);
  auto reports = ports_.effector.residue();
  if (reports.empty()) return;
  std::vector<LifePtr> ended = ended_lives();
  for (const auto& [digest, life] : lives_) ended.push_back(life);
  for (const LifePtr& life : ended) {
    const auto report = reports.find(entitlement_id(life->record));
    if (report == reports.end()) continue;
    const auto lines = split(report->second, '\n');
    const std::string first = shown(lines[0], kMaxResidueLine);
    std::vector<std::string> left;
    for (const std::string_view line : lines)
      if (!line.empty() && line.data() != lines[0].data()) left.push_back(shown(line, kMaxResidueLine));
    const bool whole = first.find("not at all") == std::string::npos;
    if (left.empty() && whole) continue;
    Fields fields{{"looked", first}};
    for (std::size_t i = 0; i < left.size() && i < kMaxResidueLines; ++i)
      fields.emplace("file" + std::to_string(i + 1), left[i]);
    if (left.size() > kMaxResidueLines) fields.emplace("more", std::to_string(left.size() - kMaxResidueLines));
    std::string said = left.empty() ? std::string() : "; left in files: " + left[0];
    if (left.size() > 1) said += ", and " + std::to_string(left.size() - 1) + " more";
    if (!whole) said += "; files: " + first;
    audit_.note(tell(event_of("residue", life.get(), std::move(fields)), "residue", life.get(),
                     {std::nullopt, said.substr(said.find_first_not_of("; "))}));
    life->record.why += said;
    journal(4, life->record.user + " had " + life->record.role + said, life.get(), "residue");
    touch(life);
  }
  save_or_queue();
  changed();
}

void EngineImpl::release(const Caller& caller, const std::string& id_prefix, bool all,
                         Reply<std::vector<Outcome>> reply) {
  const Turn turn(*this);
  viewer(caller, [this, caller, id_prefix, all, reply](const Viewer& who) {
    std::vector<LifePtr> chosen;
    if (all) {
      for (const auto& [digest, life] : lives_) {
        if (!life->over() && (who.root || own(who, life->record))) chosen.push_back(life);
      }
    } else {
      Result<LifePtr> found = find_own(who, id_prefix, "release");
      if (!found) return answer<std::vector<Outcome>>(reply, tl::unexpected<Error>(found.error()));
      chosen.push_back(*found);
    }
    std::vector<Ending> endings;
    for (const LifePtr& life : chosen) {
      const bool by_root = who.root && life->record.uid != 0;
      const std::string by = by_root ? "local root" : shown(life->record.user, 256);
      const std::string did = life->in_force() ? "released by " : "withdrawn by ";
      endings.push_back({life, by_root ? "root" : "released", did + by, who_handed_in(&caller)});
    }
    end(std::move(endings));
    std::vector<Outcome> outcomes;
    outcomes.reserve(chosen.size());
    for (const LifePtr& life : chosen) outcomes.push_back(outcome_of(*life));
    answer<std::vector<Outcome>>(reply, std::move(outcomes));
  });
}

}  // namespace jit
