// Policy and trust that come signed by the owners of this host: parts wait until all of one number are here, each
// with enough signatures, and are then taken over at once, or not at all.
#include <algorithm>
#include <set>

#include "jitd/core/engine_impl.hpp"
#include "policy/delivered.hpp"
#include "policy/document/envelope.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMostParts = 4 * kMaxParts;  // of one kind, that wait

std::string value_name(Kind kind) {
  return "delivered_" + std::string(kind_name(kind));
}

std::string owners_in_words(unsigned count) {
  return std::to_string(count) + (count == 1 ? " more owner" : " more owners");
}

}  // namespace

const DeliveredState& EngineImpl::delivered_state(Kind kind) const {
  return kind == Kind::policy ? host_->delivered_policy : host_->delivered_trust;
}

std::uint64_t EngineImpl::last_delivered(Kind kind) const {
  const auto known = delivered_.find(kind);
  return std::max(known == delivered_.end() ? 0 : known->second, delivered_state(kind).number);
}

Result<void> EngineImpl::read_waiting_parts() {
  for (const Kind kind : {Kind::policy, Kind::trust}) {
    Result<std::optional<std::string>> value = ports_.store.value(value_name(kind));
    if (!value) return tl::unexpected<Error>(value.error());
    if (*value) {
      Result<std::uint64_t> number = parse_number(**value, INT64_MAX);
      if (!number) return within("the database's " + value_name(kind), number.error());
      delivered_[kind] = *number;
    }
    Result<std::vector<StoredDocument>> stored = ports_.store.documents_of(kind);
    if (!stored) return tl::unexpected<Error>(stored.error());
    for (StoredDocument& document : *stored) {
      const auto envelope = parse_envelope(document.text);
      const auto read = envelope ? parse_document(envelope->payload, "the database")
                                 : Result<Document>(tl::unexpected<Error>(envelope.error()));
      const Delivery* delivery = read ? delivery_of(*read) : nullptr;
      if (delivery == nullptr) continue;
      parts_[kind].push_back({std::move(document), delivery->number, delivery->part, delivery->parts});
    }
    // The last run was cut between the two: it lies on the host, and nobody was told.
    if (const auto& state = delivered_state(kind); state.number > delivered_[kind]) was_delivered(kind, state.number);
    drop_old_parts(kind);
  }
  return {};
}

void EngineImpl::drop_part(Kind kind, const Digest& digest) {
  std::erase_if(parts_[kind], [&](const WaitingPart& part) { return part.document.digest == digest; });
  writes_.emplace_back([digest](Store& store) { return store.drop(digest); });
}

void EngineImpl::drop_old_parts(Kind kind) {
  std::vector<Digest> old;
  for (const WaitingPart& part : parts_[kind])
    if (part.number <= last_delivered(kind) || part.document.keep_until < sure_ms() / 1000)
      old.push_back(part.document.digest);
  for (const Digest& digest : old) drop_part(kind, digest);
}

std::size_t EngineImpl::owners_of(Kind kind, const StoredDocument& document) {
  Result<Envelope> envelope = parse_envelope(document.text);
  if (!envelope) return 0;
  Result<Verified> verified = verify_document(std::move(*envelope), host_->trust, "the database");
  if (!verified || verified->kind != kind) return 0;
  std::erase_if(verified->signers, [&](const Signer& signer) {
    return std::ranges::find(document.void_keys, fingerprint(signer.key)) != document.void_keys.end();
  });
  return signed_by(*verified, {}, nullptr).size();
}

void EngineImpl::on_delivery(const Caller* caller, const Verified& verified, const Delivery& delivery,
                             const Reply<Outcome>& reply) {
  const Kind kind = verified.kind;
  const std::string name = std::string(kind_name(kind)) + " " + std::to_string(delivery.number);
  const auto refuse = [&](std::string why) { reply(fail(Errc::refused, std::move(why))); };
  if (Result<void> ours = meant_for_us(delivery.hosts, delivery.segments); !ours)
    return reply(tl::unexpected<Error>(ours.error()));
  const std::string id = id_of(verified.digest);
  if (const auto& counts = delivered_state(kind).counts;
      counts && std::ranges::find(counts->documents, verified.digest) != counts->documents.end())
    return reply(Outcome{id, GrantState::active, name + " has been taken over before"});
  if (Result<void> fine = made_lately(delivery.created, true); !fine)
    return reply(tl::unexpected<Error>(fine.error()));
  if (delivery.number <= last_delivered(kind)) {
    return refuse(name + " is not above the last that was taken over, which is " +
                  std::to_string(last_delivered(kind)));
  }
  std::string why;
  const std::vector<PersonRef> persons = signed_by(verified, {}, &why);
  if (persons.empty()) return refuse("this " + std::string(kind_name(kind)) + " does not count: " + why);

  drop_old_parts(kind);
  const unsigned count = host_->config.owners.count;
  std::vector<Digest> displaced;
  for (const WaitingPart& other : parts_[kind]) {
    if (other.number != delivery.number || other.document.digest == verified.digest) continue;
    if (other.parts == delivery.parts && other.part != delivery.part) continue;
    // What not enough owners signed keeps no place from what they did.
    if (persons.size() < count || owners_of(kind, other.document) >= count) {
      return refuse("another document has that place in " + name + ", " + id_of(other.document.digest) +
                    ": sign this one with a higher number");
    }
    displaced.push_back(other.document.digest);
  }
  const auto is_this = [&](const WaitingPart& part) { return part.document.digest == verified.digest; };
  const bool known = std::ranges::any_of(parts_[kind], is_this);
  if (!known && parts_[kind].size() >= kMostParts + displaced.size()) {
    return reply(fail(Errc::busy, std::to_string(parts_[kind].size()) + " parts of " + std::string(kind_name(kind)) +
                                      " wait here for others, and no more are taken"));
  }
  const std::int64_t keep = delivery.created.time_since_epoch().count() +
                            (host_->config.absolute_ceiling + host_->config.clock_tolerance).count();
  Result<Merged> document = merged(verified, keep);
  if (!document) return reply(tl::unexpected<Error>(document.error()));
  if (!known || document->news) {
    Fields fields = who_handed_in(caller);
    fields.emplace("kind", std::string(kind_name(kind)));
    fields.emplace("number", std::to_string(delivery.number));
    fields.emplace("part", std::to_string(delivery.part) + " of " + std::to_string(delivery.parts));
    fields.emplace("signed_by", names_of(persons));
    fields.emplace("reason", delivery.reason);
    fields.emplace("document", digest_text(verified.digest));
    std::vector<Write> writes{[stored = document->document](Store& store) { return store.put(stored); }};
    for (const Digest& digest : displaced) writes.emplace_back([digest](Store& store) { return store.drop(digest); });
    if (Result<void> saved = save_or_drop(std::move(writes), {event_of("part", nullptr, std::move(fields))}); !saved)
      return reply(within("this part could not be stored, so it does not count", saved.error()));
    std::erase_if(parts_[kind], [&](const WaitingPart& part) {
      return is_this(part) || std::ranges::find(displaced, part.document.digest) != displaced.end();
    });
    parts_[kind].push_back({std::move(document->document), delivery.number, delivery.part, delivery.parts});
  }
  Result<std::string> said = deliver(kind, delivery.number, &verified.digest);
  if (!said) return reply(tl::unexpected<Error>(said.error()));
  const bool waits = last_delivered(kind) < delivery.number;
  reply(in_force_now({id, waits ? GrantState::pending : GrantState::active, *said}));
}

// What is missing of that number, in words; empty: nothing. `texts`: its parts, in order.
std::string EngineImpl::missing_of(Kind kind, std::uint64_t number, std::vector<std::string>& texts) {
  std::map<std::uint64_t, const WaitingPart*> here;
  for (const WaitingPart& part : parts_[kind])
    if (part.number == number) here.emplace(part.part, &part);
  std::vector<std::string> missing;
  const std::uint64_t parts = here.empty() ? 0 : here.begin()->second->parts;
  const unsigned count = host_->config.owners.count;
  for (std::uint64_t part = 1; part <= parts; ++part) {
    const auto found = here.find(part);
    if (found == here.end()) {
      missing.push_back("part " + std::to_string(part) + " of " + std::to_string(parts));
      continue;
    }
    texts.push_back(found->second->document.text);
    const std::size_t have = owners_of(kind, found->second->document);
    if (have < count) {
      missing.push_back(owners_in_words(count - static_cast<unsigned>(have)) + " to sign " +
                        (parts == 1 ? "it" : "part " + std::to_string(part)));
    }
  }
  return parts == 0 ? "all of it" : joined(missing);
}

Result<std::string> EngineImpl::deliver(Kind kind, std::uint64_t number, const Digest* last_part) {
  const std::string name = std::string(kind_name(kind)) + " " + std::to_string(number);
  std::vector<std::string> texts;
  if (const std::string missing = missing_of(kind, number, texts); !missing.empty())
    return name + " waits for " + missing;
  if (!ports_.take_over) return fail(Errc::refused, "nothing is delivered to this host");
  if (Result<void> taken = ports_.take_over(kind, texts); !taken) {
    const Errc code = taken.error().code;
    const std::string why = name + " is not taken over: " + taken.error().message;
    if (code == Errc::system || code == Errc::busy || code == Errc::unavailable) return fail(code, why);
    // Whole: its number is free for a better one.
    std::vector<Digest> refused;
    for (const WaitingPart& part : parts_[kind])
      if (part.number == number) refused.push_back(part.document.digest);
    for (const Digest& digest : refused) drop_part(kind, digest);
    save_or_queue();
    return fail(Errc::refused, why);
  }
  Fields fields;
  if (last_part != nullptr) fields.emplace("document", digest_text(*last_part));
  const auto delivered = put_together(texts, kind, host_->config.owners);
  if (delivered) {
    fields.emplace("signed_by", joined(delivered->owners));
    fields.emplace("reason", delivered->reason);
    std::vector<std::string> documents, files;
    for (const Digest& one : delivered->documents) documents.push_back(digest_text(one));
    for (const Delivery::File& file : delivered->files) files.push_back(file.name);
    fields.emplace("documents", joined(documents, " "));
    fields.emplace("files", joined(files, " "));
  }
  was_delivered(kind, number, std::move(fields), last_part);
  drop_old_parts(kind);
  save_or_queue();
  changed();
  if (ports_.reload) after_.push_back(ports_.reload);
  return name + " is taken over";
}

void EngineImpl::was_delivered(Kind kind, std::uint64_t number, Fields fields, const Digest* last_part) {
  delivered_[kind] = number;
  writes_.emplace_back(
      [kind, number](Store& store) { return store.set_value(value_name(kind), std::to_string(number)); });
  const std::string name = std::string(kind_name(kind)) + " " + std::to_string(number);
  fields.emplace("kind", std::string(kind_name(kind)));
  fields.emplace("number", std::to_string(number));
  fields.emplace("why", name);
  const auto by = fields.find("signed_by");
  journal(5, name + " is taken over" + (by == fields.end() ? "" : ", signed by " + by->second), nullptr, "delivered");
  Telling more{last_part == nullptr ? std::nullopt : std::optional(*last_part), name};
  if (by != fields.end()) more.by = by->second;
  audit_.note(tell(event_of("delivered", nullptr, std::move(fields)), "delivered", nullptr, std::move(more)));
}

void EngineImpl::deliver_what_waits() {
  for (const Kind kind : {Kind::policy, Kind::trust}) {
    drop_old_parts(kind);
    std::set<std::uint64_t> numbers;
    for (const WaitingPart& part : parts_[kind]) numbers.insert(part.number);
    for (const std::uint64_t number : numbers) {
      if (number <= last_delivered(kind)) continue;
      std::optional<Digest> one;  // of those who sent it, for the answer
      for (const WaitingPart& part : parts_[kind])
        if (part.number == number) one = part.document.digest;
      const Result<std::string> said = deliver(kind, number, nullptr);
      if (said) continue;
      if (said.error().code == Errc::refused) {
        Fields fields{{"kind", std::string(kind_name(kind))}, {"why", said.error().message}};
        audit_.note(
            tell(event_of("refuse", nullptr, std::move(fields)), "refused", nullptr, {one, said.error().message}));
      }
      journal(4, said.error().message, nullptr, "refuse");
    }
  }
}

}  // namespace jit
