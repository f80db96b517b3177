// What others are told, by event and by what lies in the outbox. Which words there are stands in jit-documents(5).
#include "jitd/core/engine_impl.hpp"
#include "policy/delivered.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kRemembered = 8192;  // documents that somebody was told about

}  // namespace

EventStamp EngineImpl::stamp() const {
  if (!lists_.known()) return {*host_};
  return {*host_, lists_.number(), lists_.created()};
}

AuditEvent EngineImpl::tell(AuditEvent event, const std::string& what, const Life* life, Telling more) {
  if (!events_.on()) return event;
  EventDocument told;
  told.what = what;
  told.user = std::move(more.user);
  told.role = std::move(more.role);
  if (life != nullptr) {
    const GrantRecord& record = life->record;
    told.grant = record.digest;
    told.ask = record.ask;
    told.user = record.user;
    told.role = record.role;
    told.state = to_text(record.state);
  }
  if (more.grant) told.grant = more.grant;
  if (more.ask) told.ask = more.ask;
  if (!more.state.empty()) told.state = std::move(more.state);
  told.document = more.document;
  told.why = std::move(more.why);
  told.by = std::move(more.by);
  told.until = more.until;
  if (told.document) {
    if (told_of_.size() >= kRemembered) told_of_.clear();
    told_of_.insert(*told.document);
  }
  event.told = std::move(told);
  return event;
}

std::string EngineImpl::word_of(GrantState state) {
  switch (state) {
    case GrantState::pending:
    case GrantState::activating:
      return "filed";
    case GrantState::active:
      return "active";
    case GrantState::ended:
      return "ended";
    case GrantState::refused:
      break;
  }
  return "refused";
}

EngineImpl::Telling EngineImpl::as_it_stands(const GrantRecord& record) {
  Telling more;
  more.grant = record.digest;
  more.ask = record.ask;
  more.user = record.user;
  more.role = record.role;
  more.state = to_text(record.state);
  more.why = record.why;
  if (record.state == GrantState::active) more.until = WallTime(Seconds(record.not_after));
  return more;
}

void EngineImpl::answer_for(const Fields& handed_in, const Verified& verified, const Outcome& outcome) {
  if (!events_.on() || told_of_.contains(verified.digest)) return;
  if (const Result<bool> answered = ports_.store.answered(verified.digest); !answered || *answered) return;
  std::optional<Digest> about;
  std::string what = verified.kind == Kind::lock ? "locked" : "revoked";
  if (const Review* review = std::get_if<Review>(&verified.document)) {
    about = review->request;
    what = "reviewed";
  } else if (std::holds_alternative<GrantDocument>(verified.document)) {
    about = verified.digest;
  } else if (std::holds_alternative<AskDocument>(verified.document)) {
    if (const auto request = ports_.store.request_of_ask(verified.digest)) about = *request;
  } else if (const Lock* lock = std::get_if<Lock>(&verified.document); lock != nullptr && !lock->lifts.empty()) {
    what = "unlocked";
  } else if (delivery_of(verified.document) != nullptr) {
    what = outcome.state == GrantState::active ? "delivered" : "filed";
  }
  Telling more;
  if (about) {
    std::optional<GrantRecord> record;
    if (const auto life = lives_.find(*about); life != lives_.end()) {
      record = life->second->record;
    } else if (const auto stored = ports_.store.grant(*about)) {
      record = *stored;
    }
    if (record) {
      more = as_it_stands(*record);
      if (what != "reviewed") what = word_of(record->state);
    }
  }
  if (more.why.empty()) more.why = outcome.message;
  more.document = verified.digest;
  Fields fields = handed_in;
  fields.emplace("document", digest_text(verified.digest));
  fields.emplace("kind", std::string(kind_name(verified.kind)));
  fields.emplace("id", outcome.id);
  audit_.note(tell(event_of("answer", nullptr, std::move(fields)), what, nullptr, std::move(more)));
  save_or_queue();
}

void EngineImpl::outbox(bool there, std::uint64_t told) {
  const Turn turn(*this);
  if (Result<void> done = events_.listen(there, told); !done)
    journal(4, "what happens here is not told to others: " + done.error().message, nullptr, "outbox");
  ++news_;
}

Engine::Outgoing EngineImpl::outgoing() const {
  Outgoing out;
  for (const auto& [digest, life] : lives_)
    if (life->record.state == GrantState::pending && !life->record.direct) out.waiting.push_back(digest);
  out.events = events_.range();
  return out;
}

Result<std::string> EngineImpl::waiting_text(const Digest& request) {
  Result<std::optional<StoredDocument>> stored = ports_.store.document(request);
  if (!stored) return tl::unexpected<Error>(stored.error());
  if (!*stored) return fail(Errc::not_found, "request " + id_of(request) + " is not in the database any more");
  return std::move((*stored)->text);
}

Result<std::vector<StoredEvent>> EngineImpl::events(std::uint64_t from, std::size_t limit) {
  return ports_.store.events(from, limit);
}

Result<std::string> EngineImpl::alive() {
  const Turn turn(*this);
  const std::uint64_t first = events_.range().first;
  if (Result<void> done = events_.forget(sure_ms() / 1000); !done) return tl::unexpected<Error>(done.error());
  if (events_.range().first != first) ++news_;
  return events_.alive(stamp(), wall(), audit_.sequence(), audit_.head());
}

void EngineImpl::enrolled(const Caller& caller, std::shared_ptr<const HostView> host, bool new_key) {
  const Turn turn(*this);
  host_ = std::move(host);
  Fields fields = who_handed_in(&caller);
  fields.emplace("key", new_key ? "new" : "kept");
  fields.emplace("host_key", host_->host_key);
  fields.emplace("machine", digest_text(host_->machine.digest));
  const std::string why = new_key ? "enrolled by root as a copy of another host, with a key of its own"
                                  : "enrolled by root on this machine, with the key that it had";
  journal(4, host_->config.host + " is " + why + ": " + host_->host_key, nullptr, "enrol");
  if (new_key) {
    // What was told before was told by another host, under its key.
    writes_.emplace_back(
        [](Store& store) { return store.forget_events(std::numeric_limits<std::uint64_t>::max(), 0); });
  }
  audit_.note(tell(event_of("enrol", nullptr, std::move(fields)), "started", nullptr, {std::nullopt, why}));
  if (new_key) {
    std::vector<Ending> endings;
    for (const auto& [digest, life] : lives_)
      endings.push_back(
          {life, "enrolled", "this host has a new key, and what was signed before was for another", {}});
    end(std::move(endings));
  }
  decide_again();
  save_or_queue();
  changed();
}

}  // namespace jit
