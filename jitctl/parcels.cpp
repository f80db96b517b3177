#include "jitctl/parcels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <type_traits>

#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxPayload =
    kMaxDocument - std::size_t{6} * 1024;  // room for a signature of the largest RSA key

template <class T>
constexpr bool kTells = std::is_same_v<T, Request> || std::is_same_v<T, EventDocument>;

std::vector<std::string> each_once(const std::vector<std::string>& names) {
  std::set<std::string> seen;
  std::vector<std::string> once;
  for (const auto& name : names) {
    if (seen.insert(name).second) once.push_back(name);
  }
  return once;
}

Result<void> split_into(const Document& document, const Destination& destination, std::vector<Document>& into) {
  auto one = document;
  if (auto set = set_destination(one, destination); !set) return set;
  std::visit([](auto& value) { value.nonce = make_nonce(); }, one);
  const auto& hosts = destination.hosts;
  if ((hosts.size() <= kMaxHostsNamed && to_payload(one).size() <= kMaxPayload) || hosts.size() < 2) {
    into.push_back(std::move(one));
    return {};
  }
  const auto half = hosts.begin() + static_cast<std::ptrdiff_t>(hosts.size() / 2);
  // Segments once.
  if (auto done = split_into(document, {{hosts.begin(), half}, destination.segments}, into); !done) return done;
  return split_into(document, {{half, hosts.end()}, {}}, into);
}

}  // namespace

Destination destination_of(const Document& document) {
  return std::visit(
      [](const auto& value) -> Destination {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, Review>) {
          return {{value.host}, {}};
        } else if constexpr (kTells<T>) {
          return {};
        } else {
          return {value.hosts, value.segments};
        }
      },
      document);
}

Result<void> set_destination(Document& document, Destination destination) {
  return std::visit(
      [&](auto& value) -> Result<void> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, Review> || kTells<T>) {
          return fail(Errc::invalid, "it is about one host, and cannot be sent to others");
        } else {
          value.hosts = std::move(destination.hosts);
          value.segments = std::move(destination.segments);
          return {};
        }
      },
      document);
}

WallTime made_at(const Document& document) {
  return std::visit([](const auto& value) { return value.created; }, document);
}

WallTime needed_until(const Document& document) {
  const auto ceiling = made_at(document) + kAbsoluteCeiling;
  return std::visit(
      [&](const auto& value) -> WallTime {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, Request> || std::is_same_v<T, Review> || std::is_same_v<T, AskDocument>) {
          return value.expires;
        } else if constexpr (std::is_same_v<T, GrantDocument>) {
          return value.not_after ? *value.not_after : value.activate_by.value_or(ceiling);
        } else if constexpr (std::is_same_v<T, Lock>) {
          return value.until ? std::min(*value.until, ceiling) : ceiling;
        } else {
          return ceiling;
        }
      },
      document);
}

Result<std::vector<Document>> documents_for(const Document& document, const Destination& destination) {
  std::vector<Document> documents;
  const Destination once{each_once(destination.hosts), each_once(destination.segments)};
  if (auto done = split_into(document, once, documents); !done) return tl::unexpected(done.error());
  return documents;
}

Result<Parcel> parcel_of(std::string text, const std::string& source) {
  const auto envelope = parse_envelope(text);
  if (!envelope) return within(source, envelope.error());
  auto document = parse_document(envelope->payload, source);
  if (!document) return tl::unexpected(document.error());
  return Parcel{std::move(text), std::move(*document), sha256(envelope->payload)};
}

}  // namespace jit::ctl
