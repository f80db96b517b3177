// Numbered revocation lists: what this host knows of revocations, since when, and what ends when that is too long
// ago.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/rules/people.hpp"
#include "policy/rules/view.hpp"
#include "policy/text.hpp"

namespace jit {

void EngineImpl::read_lists(const std::vector<ListRecord>& stored) {
  lists_ = RevocationView(stored, now(), guard_.mark_ms(), ports_.clock.boot_id());
}

std::optional<Seconds> EngineImpl::view_age() const {
  return lists_.age(ports_.clock.now(), guard_.mark_ms());
}

Result<void> EngineImpl::may_sign_list(const RevocationRecord& record) const {
  if (record.revoker) return {};
  const Policy& policy = host_->policy;
  bool every = !policy.approvers.contains("revokers") && !record.roles.empty();
  for (const auto& [name, role] : policy.roles) {
    const std::vector<std::string>& ours = host_->config.segments;
    const bool here = role.segments.empty() || std::ranges::any_of(role.segments, [&](const std::string& segment) {
                        return std::ranges::find(ours, segment) != ours.end();
                      });
    if (here && std::ranges::find(record.roles, name) == record.roles.end()) every = false;
  }
  if (every) return {};
  return fail(Errc::refused,
              record.by + " is no revoker" +
                  (policy.approvers.contains("revokers") ? "" : " and does not approve every role here") +
                  ", and only such a person signs numbered lists: sign it without a number");
}

bool EngineImpl::take_list(const Digest& digest, const Revocation& list, Fields& fields) {
  // What comes from the files of a database that was lost is remembered, but is no view: what came since is not
  // known.
  const bool moved = lists_.add(*list.number, digest, list.created, list.next_update.value_or(list.created), now(),
                                guard_.mark_ms(), sure_ms() / 1000, !reading_again_);
  writes_.emplace_back([records = lists_.records()](Store& store) { return store.set_lists(records); });
  fields.emplace("number", std::to_string(*list.number));
  fields.emplace("view", std::to_string(lists_.number()));
  return moved;
}

std::string EngineImpl::said_of_view() const {
  if (!lists_.known()) return "the view of revocations begins with the next list";
  const std::string view = "the view of revocations is list " + std::to_string(lists_.number());
  return lists_.missing() == 0 ? view : view + ", since list " + std::to_string(lists_.missing()) + " is missing";
}

std::optional<RevocationView::Deadline> EngineImpl::view_end(const GrantRecord& record) const {
  const Role* role = host_->policy.role(record.role);
  const auto bound = role == nullptr ? std::nullopt : view_bound(*role, host_->config.max_view_age);
  if (!bound || !bound->end) return std::nullopt;
  const auto end = lists_.reaches(bound->most);
  // Where something is given past that age too, what was given then has its own end alone.
  const bool given_past = bound->past != PastView::refuse;
  if (!end) return given_past ? std::nullopt : std::optional(RevocationView::Deadline{record.activated, 0});
  if (given_past && end->wall_s <= record.activated) return std::nullopt;
  return end;
}

bool EngineImpl::ends_with_view(const GrantRecord& record) const {
  const Role* role = host_->policy.role(record.role);
  return role != nullptr && role->view && role->view->end;
}

bool EngineImpl::past_its_view(const GrantRecord& record, Instant at) const {
  const auto end = view_end(record);
  return end && (at.wall_ms >= end->wall_s * 1000 || at.boot_ms >= end->boot_ms);
}

std::string EngineImpl::why_past_its_view(const GrantRecord& record) const {
  const Role* role = host_->policy.role(record.role);
  if (!lists_.known() || role == nullptr || !role->view) return "this host has no list of revocations to go by";
  return "the view of revocations is older than " + format_duration(role->view->most);
}

void EngineImpl::move_ends() {
  const std::vector<Entitlement> given = entitlements(Which::given);
  // Those that ended with the view until now may have their own ends back: also where none does any longer.
  if (given.empty()) return;
  if (Result<void> moved = ports_.effector.move_ends(given); !moved) {
    Taken said;  // the earlier end stays until the next reconcile
    said.failures.push_back("the ends of grants could not be moved: " + moved.error().message);
    report(said);
  }
}

void EngineImpl::view_changed() {
  move_ends();
  publish();
  for (const LifePtr& life : lives_where([](const Life& one) { return one.record.state == GrantState::pending; }))
    try_activate(life);
  changed();
}

void EngineImpl::pass_gap() {
  if (!lists_.pass_gap(sure_ms() / 1000, host_->config.absolute_ceiling)) return;
  writes_.emplace_back([records = lists_.records()](Store& store) { return store.set_lists(records); });
  note("view", {{"view", std::to_string(lists_.number())},
                {"why", "what the lists that never came could have ended cannot come into force any more"}});
  view_changed();
  save_or_queue();
}

void EngineImpl::view_health(Health& health) const {
  health.view.newest = lists_.highest();
  health.view.age = view_age();
  if (!lists_.known()) {
    const auto wants = [&](const auto& entry) {
      return view_bound(entry.second, host_->config.max_view_age).has_value();
    };
    if (std::ranges::any_of(host_->policy.roles, wants))
      health.warnings.emplace_back("no list of revocations has come, and roles here go by how old the newest is");
    return;
  }
  health.view.number = lists_.number();
  health.view.created = lists_.created();
  health.view.next_update = lists_.next_update();
  const std::string list = "list " + std::to_string(lists_.number()) + " of revocations";
  if (*health.view.next_update < WallTime(Seconds(std::max(ports_.clock.now().wall_ms, guard_.mark_ms()) / 1000)))
    health.warnings.push_back("the list after " + list + " was due at " + format_utc(*health.view.next_update) +
                              " and has not come");
  if (lists_.missing() != 0)
    health.warnings.push_back("list " + std::to_string(lists_.missing()) + " of revocations is missing, although " +
                              std::to_string(lists_.highest()) + " is here: the view stays at list " +
                              std::to_string(lists_.number()));
}

}  // namespace jit
