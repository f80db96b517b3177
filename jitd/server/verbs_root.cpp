// Verbs of local root: lift, audit, observed, health, accept_clock, enrol.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "jitd/server/dispatch.hpp"
#include "jitd/server/observed.hpp"
#include "jitd/server/rows.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using wire::Tag;

constexpr std::uint64_t kMaxEntries = 1000;
constexpr std::uint64_t kWeek = 7ULL * 24 * 3600;

void put_outcome(const Responder& reply, const Result<Outcome>& outcome) {
  if (!outcome) return reply.failure(outcome.error());
  reply.result(wire::Status::done, shown(outcome->message), [&](wire::Writer& row) {
    if (!outcome->id.empty()) row.text(Tag::id, outcome->id);
  });
}

// in: user
// out: result message, id?
void on_lift(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  const std::string user(frame.text(Tag::user).value_or(""));
  if (const auto fine = check_user_name(user); !fine)
    return reply.result(wire::Status::usage, shown(fine.error().message));
  ports.engine.lift(caller, user, [reply](const Result<Outcome>& outcome) { put_outcome(reply, outcome); });
}

// in: nothing
// out: result message
void on_accept_clock(const VerbPorts& ports, const Caller& caller, const wire::Frame&, Responder reply) {
  ports.engine.accept_clock(caller, [reply](const Result<Outcome>& outcome) { put_outcome(reply, outcome); });
}

// in: sequence? (first), count? (at most)
// out: items sequence, time, event, previous, hash, detail*; result count, sequence (of the head)
void on_audit(const VerbPorts& ports, const Caller&, const wire::Frame& frame, Responder reply) {
  const auto from = std::max<std::uint64_t>(frame.number(Tag::sequence).value_or(1), 1);
  const auto limit = std::clamp<std::uint64_t>(frame.number(Tag::count).value_or(kMaxEntries), 1, kMaxEntries);
  const auto entries = ports.engine.audit(from, static_cast<std::size_t>(limit));
  if (!entries) return reply.failure(entries.error());
  for (const ChainEntry& entry : *entries) {
    const bool fits = reply.item([&](wire::Writer& row) {
      row.number(Tag::sequence, entry.sequence).number(Tag::time, static_cast<std::uint64_t>(entry.time));
      row.text(Tag::event, entry.event);
      row.text(Tag::previous, to_hex(entry.previous.bytes)).text(Tag::hash, to_hex(entry.hash.bytes));
      for (const auto& [key, value] : entry.fields) row.text(Tag::detail, key + "=" + escape_word(value));
    });
    if (!fits)
      return reply.failure(
          Error{Errc::system, fmt::format("audit entry {} does not fit a message", entry.sequence), 0});
  }
  reply.result(wire::Status::done, "", [&](wire::Writer& row) {
    row.number(Tag::count, entries->size()).number(Tag::sequence, ports.engine.health().audit_sequence);
  });
}

// in: limit? (seconds back), service?
// out: items service, subject, gate, count, time; result count, message when the log was cut
void on_observed(const VerbPorts& ports, const Caller&, const wire::Frame& frame, Responder reply) {
  const auto seconds = frame.number(Tag::limit).value_or(kWeek);
  if (seconds > 400ULL * 24 * 3600) return reply.result(wire::Status::usage, "limit: more than 400 days");
  const auto found =
      observed_denials(ports.engine, ports.clock.now().wall_ms / 1000 - static_cast<std::int64_t>(seconds),
                       frame.text(Tag::service).value_or(""));
  if (!found) return reply.failure(found.error());
  for (const ObservedDenial& denial : found->denials)
    (void)reply.item([&](wire::Writer& row) {
      row.text(Tag::service, denial.service).text(Tag::subject, denial.subject).text(Tag::gate, denial.gate);
      row.number(Tag::count, denial.count).number(Tag::time, static_cast<std::uint64_t>(denial.last));
    });
  reply.result(wire::Status::done, found->cut ? "only the last 50000 audit entries were read" : "",
               [&](wire::Writer& row) { row.number(Tag::count, found->denials.size()); });
}

// in: nothing
// out: items name, value; result warning*
void on_health(const VerbPorts& ports, const Caller&, const wire::Frame&, Responder reply) {
  const auto health = ports.engine.health();
  const auto host = ports.host();
  auto rows = ports.vitals();
  rows.insert(rows.end(), {{"host", host->config.host},
                           {"host_key", host->host_key},
                           {"machine", digest_text(host->machine.digest)},
                           {"policy", host->last_good ? "last-good" : "current"},
                           {"policy_digest", digest_text(host->policy.digest)},
                           {"policy_error", host->policy_error},
                           {"active", std::to_string(health.active)},
                           {"pending", std::to_string(health.pending)},
                           {"clock", health.clock},
                           {"audit_sequence", std::to_string(health.audit_sequence)},
                           {"audit_head", health.audit_head}});
  const auto& view = health.view;
  if (view.number != 0) rows.emplace_back("view", std::to_string(view.number));
  if (view.age) rows.emplace_back("view_age", std::to_string(view.age->count()));
  if (view.created) rows.emplace_back("view_created", format_utc(*view.created));
  if (view.next_update) rows.emplace_back("view_next_update", format_utc(*view.next_update));
  for (const auto* state : {&host->delivered_policy, &host->delivered_trust})
    if (state->counts)
      rows.emplace_back("delivered_" + std::string(kind_name(state->counts->kind)),
                        fmt::format("{}, signed by {}", state->counts->number, joined(state->counts->owners)));
  for (const auto& row : rows)
    if (!row.second.empty())
      (void)reply.item([&](wire::Writer& frame) {
        frame.text(Tag::name, row.first).text(Tag::value, clipped(shown(row.second), 4096));
      });

  std::vector<std::string> warnings = health.warnings;  // the host's too
  for (auto& warning : ports.warnings()) warnings.push_back(std::move(warning));
  constexpr std::size_t kShown = 30;
  reply.result(wire::Status::done, "", [&](wire::Writer& row) {
    for (std::size_t i = 0; i < std::min(warnings.size(), kShown); ++i)
      row.text(Tag::warning, clipped(shown(warnings[i]), 1024));
    if (warnings.size() > kShown) row.text(Tag::warning, fmt::format("and {} more", warnings.size() - kShown));
  });
}

// in: kind? ("keep" or "new"; absent: only tell)
// out: result host, segment*, host_key, value (public key line), machine (digest), state, message
void on_enrol(const VerbPorts& ports, const Caller& caller, const wire::Frame& frame, Responder reply) {
  const auto kind = frame.text(Tag::kind).value_or("");
  if (!kind.empty() && kind != "keep" && kind != "new")
    return reply.result(wire::Status::usage, "kind: \"keep\" or \"new\"");
  if (!kind.empty()) {
    if (const auto done = ports.enrol(caller, kind == "new"); !done) return reply.failure(done.error());
  }
  const auto host = ports.host();
  const std::string said = kind == "keep"  ? "this machine is the one of the host key from now on"
                           : kind == "new" ? "this host has a new key; whoever trusts it needs the new line"
                                           : host->machine.unknown;
  reply.result(wire::Status::done, shown(said), [&](wire::Writer& row) { put_identity(row, *host); });
}

constexpr VerbEntry kTable[] = {
    {wire::Verb::lift, on_lift},
    {wire::Verb::audit, on_audit},
    {wire::Verb::observed, on_observed},
    {wire::Verb::health, on_health},
    {wire::Verb::accept_clock, on_accept_clock},
    {wire::Verb::enrol, on_enrol},
};

}  // namespace

std::span<const VerbEntry> root_verbs() {
  return kTable;
}

}  // namespace jit
