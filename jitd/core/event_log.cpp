#include "jitd/core/event_log.hpp"

#include <algorithm>

#include "policy/document/envelope.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr const char* kSequence = "events_told";   // value in the database: the last one, also when none is kept
constexpr std::size_t kMaxLine = kMaxReason - 24;  // what is cut has a mark behind it

// An event is read by others' parsers: what they would refuse in it is left out, never the event.
void fit(EventDocument& event) {
  event.why = shown(event.why, kMaxLine);
  event.by = shown(event.by, kMaxLine);
  if (!check_user_name(event.user)) event.user.clear();
  if (!check_policy_name(event.role, "role")) event.role.clear();
}

void fill_in(EventDocument& event, const EventStamp& stamp) {
  const HostView& host = stamp.host;
  event.host = host.config.host;
  event.host_key = host.host_key;
  event.policy = digest_text(host.policy.digest);
  event.machine = digest_text(host.machine.digest);
  event.view = stamp.view;
  event.viewed = stamp.viewed;
  event.nonce = make_nonce();
}

Result<std::string> sign(const EventDocument& event, const SigningKey& key) {
  const std::string payload = to_payload(event);
  Result<std::string> signature = key.sign(payload, kind_namespace(Kind::event));
  if (!signature) return within("the host key", signature.error());
  return to_text(Envelope{payload, {*signature}});
}

}  // namespace

Result<void> EventLog::load() {
  const Result<std::optional<EventRange>> kept = store_.event_range();
  if (!kept) return tl::unexpected<Error>(kept.error());
  Result<std::optional<std::string>> told = store_.value(kSequence);
  if (!told) return tl::unexpected<Error>(told.error());
  const Result<std::uint64_t> last = *told ? parse_number(**told, INT64_MAX) : Result<std::uint64_t>(0);
  if (!last) return within("the database's events", last.error());
  told_ = writing_ = {*kept ? (*kept)->first : *last + 1, *last};
  return {};
}

Result<void> EventLog::listen(bool there, std::uint64_t told) {
  on_ = there;
  if (!there) return {};
  if (Result<void> loaded = load(); !loaded) return loaded;
  if (told > told_.last) told_ = writing_ = {told + 1, told};
  return {};
}

Result<void> EventLog::write(const std::vector<Told>& told, const EventStamp& stamp, std::int64_t now) {
  writing_ = told_;
  if (told.empty()) return {};
  const Seconds kept = stamp.host.config.absolute_ceiling;
  for (const Told& one : told) {
    EventDocument event = one.event;
    fit(event);
    event.sequence = writing_.last + 1;
    event.created = WallTime(Seconds(one.time));
    event.entry = one.sequence;
    event.head = one.hash;
    fill_in(event, stamp);
    // Such as of a time that cannot be written. Nobody would read it, and nothing else may depend on it.
    if (!check_document(event)) continue;
    Result<std::string> text = sign(event, *stamp.host.key);
    if (!text) return tl::unexpected<Error>(text.error());
    const StoredEvent stored{event.sequence, one.time, one.time + kept.count(), event.document, std::move(*text)};
    if (Result<void> done = store_.put(stored); !done) return done;
    writing_.last = event.sequence;
  }
  if (Result<void> done = store_.set_value(kSequence, std::to_string(writing_.last)); !done) return done;
  const std::uint64_t first = writing_.last < kKept ? 1 : writing_.last - kKept + 1;
  return drop(std::max(first, told_.first), now);
}

Result<void> EventLog::drop(std::uint64_t below, std::int64_t now) {
  if (Result<void> done = store_.forget_events(below, now); !done) return done;
  const Result<std::optional<EventRange>> left = store_.event_range();
  if (!left) return tl::unexpected<Error>(left.error());
  writing_.first = *left ? (*left)->first : writing_.last + 1;
  return {};
}

Result<void> EventLog::forget(std::int64_t now) {
  writing_ = told_;
  Result<void> done = drop(told_.first, now);
  if (done) committed();
  return done;
}

Result<std::string> EventLog::alive(const EventStamp& stamp, std::int64_t now, std::uint64_t entry,
                                    const Digest& head) const {
  EventDocument event;
  event.what = "alive";
  event.sequence = told_.last;
  event.created = WallTime(Seconds(now));
  event.entry = entry;
  event.head = head;
  fill_in(event, stamp);
  if (Result<void> fine = check_document(event); !fine) return tl::unexpected<Error>(fine.error());
  return sign(event, *stamp.host.key);
}

}  // namespace jit
