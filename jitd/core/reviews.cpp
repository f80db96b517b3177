// An approver's verdict on one request of this host. It may only narrow.
#include <algorithm>

#include "jitd/core/engine_impl.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {

void EngineImpl::on_review(const Caller* caller, const Verified& verified, const Review& review,
                           const Reply<Outcome>& reply) {
  const auto refuse = [&](Errc code, std::string why) { reply(fail(code, std::move(why))); };
  if (review.host != host_->config.host) {
    return refuse(Errc::refused,
                  "this review is for host " + shown(review.host, 256) + ", and this host is " + host_->config.host);
  }
  if (Result<void> fine = made_lately(review.created, true); !fine) return reply(tl::unexpected<Error>(fine.error()));
  const std::int64_t at = wall();
  if (review.expires.time_since_epoch().count() <= at) {
    return refuse(Errc::refused, "this review expired at " + format_utc(review.expires));
  }
  if (review.approve && !host_->machine.unknown.empty()) return refuse(Errc::unavailable, host_->machine.unknown);
  const std::string id = id_of(review.request);
  const auto found = lives_.find(review.request);
  if (found != lives_.end() && found->second->record.state == GrantState::refused && !review.approve) {
    return reply(in_force_now(outcome_of(*found->second)));  // a copy of the denial, before that is on disk
  }
  if (found == lives_.end() || found->second->over()) {
    Result<std::optional<GrantRecord>> ended = ports_.store.grant(review.request);
    if (found != lives_.end()) ended = found->second->record;  // newer than what the database knows
    if (!ended) return reply(tl::unexpected<Error>(ended.error()));
    if (!*ended || (*ended)->direct) return refuse(Errc::not_found, "there is no request " + id + " on this host");
    return refuse(Errc::refused, "request " + id + " is over: " + (*ended)->why);
  }
  const LifePtr life = found->second;
  const GrantRecord& record = life->record;
  if (record.direct) return refuse(Errc::not_found, "there is no request " + id + " on this host");

  std::string why;
  std::vector<PersonRef> persons = signed_by(verified, record.requesters, &why);
  std::erase_if(persons, [&](const PersonRef& person) { return !may_review(person, record); });
  if (persons.empty()) {
    if (!signed_by(verified, record.requesters, nullptr).empty())
      why = "its signer does not approve role " + record.role;
    return refuse(Errc::refused, "this review does not count: " + why);
  }
  const std::string by = names_of(persons);

  if (life->in_force()) {
    if (review.approve) return reply(outcome_of(*life));
    return refuse(Errc::refused,
                  "request " + id + " has been granted already; end it with 'jitctl revoke " + id + "'");
  }
  if (record.expires <= at) {
    return refuse(Errc::refused, "request " + id + " expired at " + format_utc(WallTime(Seconds(record.expires))));
  }

  const std::int64_t keep =
      std::max(record.expires, static_cast<std::int64_t>(review.expires.time_since_epoch().count())) +
      host_->config.clock_tolerance.count();
  Result<Merged> document = merged(verified, keep);
  if (!document) return reply(tl::unexpected<Error>(document.error()));
  const auto settled = [reply](const Result<Outcome>& outcome) { reply(outcome); };
  if (review.approve && !document->news) {  // a copy: nothing to keep, nothing to chain
    life->waiters.emplace_back(settled);
    return try_activate(life);
  }
  Fields fields = who_handed_in(caller);
  fields.emplace("verdict", review.approve ? "approve" : "deny");
  fields.emplace("signed_by", by);
  fields.emplace("comment", review.comment);
  fields.emplace("document", digest_text(verified.digest));
  if (review.duration) fields.emplace("duration", format_duration(*review.duration));
  std::vector<Write> writes{[stored = document->document](Store& store) { return store.put(stored); },
                            [request = record.digest, digest = verified.digest](Store& store) {
                              return store.link_review(request, digest);
                            }};
  const std::string verdict = review.approve ? "approved" : "denied";
  const Telling more{verified.digest, verdict + (review.comment.empty() ? "" : ": " + review.comment), by};
  journal(6,
          by + (review.approve ? " approves " : " denies ") + record.id + ", " + record.role + " for " + record.user +
              (review.comment.empty() ? "" : ": " + review.comment),
          life.get(), "review");
  changed();
  if (!review.approve) {
    audit_.note(tell(event_of("review", life.get(), std::move(fields)), "reviewed", life.get(), more));
    writes_.insert(writes_.end(), writes.begin(), writes.end());
    // A denial stands without a database.
    end(life, "denied", "denied by " + by + (review.comment.empty() ? "" : ": " + review.comment),
        {{"signed_by", by}});
    return reply(in_force_now(outcome_of(*life)));
  }
  Result<void> saved = save_or_drop(
      std::move(writes), {tell(event_of("review", life.get(), std::move(fields)), "reviewed", life.get(), more)});
  if (!saved) return reply(within("the review could not be stored, so it does not count", saved.error()));
  life->voices.reset();
  life->waiters.emplace_back(settled);
  try_activate(life);
}

}  // namespace jit
