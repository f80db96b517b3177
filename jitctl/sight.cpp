#include "jitctl/sight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "jitctl/output.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

bool valid_now(const Signer& signer, WallTime now) {
  TrustLine line;
  line.valid_after = signer.valid_after;
  line.valid_before = signer.valid_before;
  return line.valid_at(now);
}

// The words that are about the life of a request or grant, as the states that they bring. A review or revocation that
// was refused names the request too, and changes nothing about it.
std::string state_after(const EventDocument& event) {
  if (event.what == "filed" || event.what == "reviewed") return event.state.empty() ? "pending" : event.state;
  if (event.what == "active" || event.what == "ended") return event.what;
  if (event.what != "refused") return {};
  const bool of_another = event.document && event.document != event.grant;
  return of_another && event.state.empty() ? "" : event.what;
}

Standing standing_by(const HostSight& sight, const SeenEvent& seen, WallTime now) {
  const auto& event = seen.event;
  Standing standing{state_after(event), event.why,   event.by,      event.user,
                    event.role,         event.until, event.created, true};
  if (standing.state == "active" && event.until && *event.until <= now) {
    standing.state = "ended";  // no host lets it live longer, whatever it could say of it
    standing.why = "its time is over";
  }
  if (!standing.over()) standing.sure = event.sequence >= sight.whole_from();
  return standing;
}

}  // namespace

std::variant<SeenRequest, SeenEvent, Unseen> see(std::string_view bytes, const TrustFile& hosts, WallTime now) {
  auto envelope = parse_envelope(bytes);
  if (!envelope) return Unseen{Unseen::Why::no_document, envelope.error().message};
  const auto known = [&](const std::string& blob) {
    const auto signature = parse_signature(blob);
    return signature && std::any_of(hosts.lines.begin(), hosts.lines.end(),
                                    [&](const TrustLine& line) { return line.key == signature->key; });
  };
  if (std::none_of(envelope->signatures.begin(), envelope->signatures.end(), known)) {
    const auto first = parse_signature(envelope->signatures.front());
    if (!first) return Unseen{Unseen::Why::no_document, first.error().message};
    return Unseen{Unseen::Why::unknown_key, "signed by " + fingerprint(first->key)};
  }
  TrustSet trust;
  trust.hosts = hosts;
  auto verified = verify_document(std::move(*envelope), trust, "it");
  if (!verified) return Unseen{Unseen::Why::no_document, verified.error().message};
  const auto counts = [&](const Signer& signer) { return valid_now(signer, now); };
  if (std::none_of(verified->signers.begin(), verified->signers.end(), counts)) {
    return Unseen{Unseen::Why::unknown_key, "signed by a key that is not valid now"};
  }
  if (auto* request = std::get_if<Request>(&verified->document)) {
    return SeenRequest{std::move(verified->envelope), std::move(*request), verified->digest};
  }
  if (auto* event = std::get_if<EventDocument>(&verified->document)) {
    return SeenEvent{std::move(*event), verified->digest};
  }
  return Unseen{Unseen::Why::no_document, "neither a request nor an event"};
}

void HostSight::add(const SeenEvent& seen) {
  if (seen.event.what != "alive") {
    events.emplace(std::pair(seen.event.sequence, seen.digest), seen);
    return;
  }
  const auto order = [](const SeenEvent& one) {
    return std::tuple(one.event.created, one.event.sequence, one.digest);
  };
  if (!alive || order(*alive) < order(seen)) alive = seen;
}

const SeenEvent* HostSight::last() const {
  const SeenEvent* last = alive ? &*alive : nullptr;
  for (const auto& [key, seen] : events) {
    if (last == nullptr || seen.event.created > last->event.created) last = &seen;
  }
  return last;
}

std::uint64_t HostSight::top() const {
  const std::uint64_t said = events.empty() ? 0 : events.begin()->first.first;
  return std::max(said, alive ? alive->event.sequence : 0);
}

std::uint64_t HostSight::whole_from() const {
  std::uint64_t from = top() + 1;
  for (const auto& [key, seen] : events) {
    if (key.first + 1 < from) break;
    from = key.first;
  }
  return from;
}

Standing standing_of(const HostSight& sight, const Digest& grant, WallTime now) {
  for (const auto& [key, seen] : sight.events) {
    if (seen.event.grant == grant && !state_after(seen.event).empty()) return standing_by(sight, seen, now);
  }
  return {};
}

std::vector<Standing> held_by(const HostSight& sight, std::string_view user, WallTime now) {
  std::vector<Standing> held;
  std::set<Digest> done;
  for (const auto& [key, seen] : sight.events) {
    if (!seen.event.grant || state_after(seen.event).empty() || !done.insert(*seen.event.grant).second) continue;
    auto standing = standing_by(sight, seen, now);
    if (standing.state == "active" && standing.user == user) held.push_back(std::move(standing));
  }
  return held;
}

std::vector<const SeenRequest*> waiting_in(const HostSight& sight, WallTime now) {
  std::vector<const SeenRequest*> waiting;
  for (const auto& [digest, seen] : sight.requests) {
    if (seen.request.expires <= now) continue;
    const auto standing = standing_of(sight, digest, now);
    if (standing.state.empty() || standing.state == "pending") waiting.push_back(&seen);
  }
  return waiting;
}

std::string standing_text(const Standing& standing) {
  if (standing.state.empty()) return "not known";
  auto text = standing.state;
  if (standing.state == "active" && standing.until) {
    text += " until " + time_text(seconds_of(*standing.until));
  }
  if (!standing.why.empty()) text += ": " + standing.why;
  if (!standing.sure) {
    text += fmt::format(" (as of {}; what came after it is not all here)", time_text(seconds_of(standing.as_of)));
  }
  return text;
}

}  // namespace jit::ctl
