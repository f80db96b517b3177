// Verbs with which anybody changes something: request, release, submit; and wait.
#include <fmt/format.h>

#include "jitd/server/dispatch.hpp"
#include "jitd/server/rows.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using wire::Tag;

constexpr std::uint64_t kMaxDuration = 366ULL * 24 * 3600;  // seconds, as parse_duration has it
constexpr std::uint64_t kLastSecond = 253402300799;         // of the year 9999
constexpr std::uint64_t kMaxWait = 3600, kDefaultWait = 60;

// A text field that must not carry what a document cannot. Empty when it is missing.
Result<std::string> clean_text(const wire::Frame& frame, Tag tag, std::string_view what) {
  const auto text = frame.text(tag).value_or("");
  if (const auto bad = unclean(text)) return fail(Errc::invalid, fmt::format("{}: {}", what, *bad));
  return std::string(text);
}

void usage(const Responder& reply, std::string_view message) {
  reply.result(wire::Status::usage, message);
}

void put_outcome(wire::Writer& frame, const Outcome& outcome) {
  if (!outcome.id.empty()) frame.text(Tag::id, outcome.id);
  frame.text(Tag::state, to_text(outcome.state));
}

// in: role, duration?, reason, ticket?, start?; or extends (id, prefix) instead of role and start
// out: result status by state, message, id, state, document (the signed request, while it is pending)
void on_request(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  const auto role = clean_text(frame, Tag::role, "role");
  const auto reason = clean_text(frame, Tag::reason, "reason");
  const auto ticket = clean_text(frame, Tag::ticket, "ticket");
  for (const auto* field : {&role, &reason, &ticket})
    if (!*field) return usage(reply, field->error().message);
  const std::string extends(frame.text(Tag::extends).value_or(""));
  if (role->empty() == extends.empty())
    return usage(reply, "which role, or which grant to extend? See: jitctl roles");
  if (reason->empty()) return usage(reply, "a request needs a reason: -m WHY");
  WishInput wish{*role, std::nullopt, *reason, *ticket, std::nullopt, extends};
  if (const auto seconds = frame.number(Tag::duration)) {
    if (*seconds == 0 || *seconds > kMaxDuration) return usage(reply, "duration: not between 1s and 366d");
    wish.duration = Seconds(*seconds);
  }
  if (const auto start = frame.number(Tag::start)) {
    if (*start == 0 || *start > kLastSecond) return usage(reply, "start: not in the years 1970-9999");
    wish.start = WallTime(Seconds(static_cast<std::int64_t>(*start)));
  }
  ports.engine.request(caller, wish, [&engine = ports.engine, caller, reply](Result<Outcome> outcome) {
    if (!outcome) return reply.failure(outcome.error());
    if (outcome->state != GrantState::pending) {
      reply.result(status_of(outcome->state), shown(outcome->message),
                   [&](wire::Writer& row) { put_outcome(row, *outcome); });
      return;
    }
    engine.document(caller, outcome->id, [outcome = *outcome, reply](Result<std::string> document) {
      reply.result(status_of(outcome.state), shown(outcome.message), [&](wire::Writer& row) {
        put_outcome(row, outcome);
        if (document) row.text(Tag::document, *document);
      });
    });
  });
}

// in: id (prefix), or all = 1
// out: items id, state, note; result count
void on_release(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  const bool all = frame.number(Tag::all).value_or(0) == 1;
  const std::string id(frame.text(Tag::id).value_or(""));
  if (all == !id.empty()) return usage(reply, "release one by its id, or all");
  ports.engine.release(caller, id, all, [reply](Result<std::vector<Outcome>> outcomes) {
    if (!outcomes) return reply.failure(outcomes.error());
    for (const Outcome& outcome : *outcomes)
      (void)reply.item([&](wire::Writer& row) {
        put_outcome(row, outcome);
        row.text(Tag::note, shown(outcome.message));
      });
    reply.result(wire::Status::done, outcomes->empty() ? "nothing to release" : "",
                 [&](wire::Writer& row) { row.number(Tag::count, outcomes->size()); });
  });
}

// in: document
// out: result id, state, message
void on_submit(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  const auto document = frame.text(Tag::document);
  if (!document || document->empty()) return usage(reply, "no document came");
  if (document->size() > kMaxDocument) return usage(reply, "the document is larger than 32 KiB");
  ports.engine.submit(&caller, std::string(*document), [reply](Result<Outcome> outcome) {
    if (!outcome) return reply.failure(outcome.error());
    reply.result(wire::Status::done, shown(outcome->message), [&](wire::Writer& row) { put_outcome(row, *outcome); });
  });
}

// in: id, state (known), note? (known), limit? (seconds)
// out: result a grant row, once it is news or the time is over
void on_wait(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  const auto id = frame.text(Tag::id);
  const auto state = frame.text(Tag::state);
  const auto limit = frame.number(Tag::limit).value_or(kDefaultWait);
  if (!id || id->empty() || !state || state->size() > 32) return usage(reply, "wait needs an id and the known state");
  if (limit == 0 || limit > kMaxWait) return usage(reply, "limit: not between 1 s and 1 h");
  const auto note = frame.text(Tag::note);
  ports.waiters.wait(ports.engine,
                     Waiter{caller, std::string(*id), std::string(*state), note.has_value(),
                            std::string(note.value_or("")), Loop::now_usec(CLOCK_BOOTTIME) + limit * 1000000, reply});
}

constexpr VerbEntry kTable[] = {
    {wire::Verb::request, on_request},
    {wire::Verb::release, on_release},
    {wire::Verb::submit, on_submit},
    {wire::Verb::wait, on_wait},
};

}  // namespace

std::span<const VerbEntry> user_verbs() {
  return kTable;
}

}  // namespace jit
