#include "policy/delivered.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "policy/document/verify.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kHeader = "jit-delivered 1\n";
constexpr std::string_view kDocument = "document ";

tl::unexpected<Error> damaged() {
  return fail(Errc::invalid, "what was delivered is damaged");
}

struct Part {
  Delivery delivery;
  Digest digest;
  std::set<std::string> owners;
};

Result<Part> read_part(const std::string& text, Kind kind, const Owners& owners) {
  const std::string what = std::string(kind_name(kind));
  auto envelope = parse_envelope(text);
  if (!envelope) return tl::unexpected(envelope.error());
  TrustSet trust;
  trust.owners = owners.keys;
  const auto verified = verify_document(std::move(*envelope), trust, "a part of " + what);
  if (!verified) return tl::unexpected(verified.error());
  const Delivery* delivery = delivery_of(verified->document);
  if (verified->kind != kind || delivery == nullptr) return fail(Errc::invalid, "a part is no " + what);
  Part part{*delivery, verified->digest, {}};
  for (const Signer& signer : verified->signers) part.owners.insert(signer.principal);
  if (part.owners.size() < owners.count) {
    return fail(Errc::refused, what + " " + std::to_string(delivery->number) + " is signed by " +
                                   shown(joined({part.owners.begin(), part.owners.end()}), 512) + ", and " +
                                   owners.keys.path + " wants " + std::to_string(owners.count) +
                                   " owners for each part");
  }
  return part;
}

}  // namespace

const Delivery* delivery_of(const Document& document) {
  if (const auto* policy = std::get_if<PolicyDocument>(&document)) return policy;
  return std::get_if<TrustDocument>(&document);
}

std::string encode_delivered(const std::vector<std::string>& documents) {
  std::string text(kHeader);
  for (const std::string& document : documents)
    text += std::string(kDocument) + std::to_string(document.size()) + "\n" + document;
  return text;
}

Result<std::vector<std::string>> decode_delivered(std::string_view text) {
  if (!text.starts_with(kHeader)) return damaged();
  text.remove_prefix(kHeader.size());
  std::vector<std::string> documents;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (!text.starts_with(kDocument) || end == std::string_view::npos) return damaged();
    const auto size = parse_number(text.substr(kDocument.size(), end - kDocument.size()), kMaxDocument);
    text.remove_prefix(end + 1);
    if (!size || text.size() < *size) return damaged();
    documents.emplace_back(text.substr(0, *size));
    text.remove_prefix(*size);
  }
  if (documents.empty() || documents.size() > kMaxParts) return damaged();
  return documents;
}

std::string name_of(const Delivered& delivered) {
  return std::string(kind_name(delivered.kind)) + " " + std::to_string(delivered.number);
}

Result<Delivered> put_together(const std::vector<std::string>& documents, Kind kind, const Owners& owners) {
  std::map<std::uint64_t, Part> parts;
  for (const std::string& text : documents) {
    auto part = read_part(text, kind, owners);
    if (!part) return tl::unexpected(part.error());
    const std::uint64_t which = part->delivery.part;
    if (!parts.emplace(which, std::move(*part)).second)
      return fail(Errc::invalid, "part " + std::to_string(which) + " stands there twice");
  }
  if (parts.empty()) return damaged();
  const Delivery& first = parts.begin()->second.delivery;
  Delivered delivered{kind, first.number, first.created, first.reason, {}, {}, {}};
  std::set<std::string> signers;
  std::map<std::string, std::string> files;
  for (const auto& [which, part] : parts) {
    if (part.delivery.number != first.number || part.delivery.parts != parts.size())
      return fail(Errc::invalid, "these are not the parts of one delivery");
    delivered.created = std::max(delivered.created, part.delivery.created);
    delivered.documents.push_back(part.digest);
    signers.insert(part.owners.begin(), part.owners.end());
    for (const Delivery::File& file : part.delivery.files) files[file.name] += file.text;
  }
  delivered.owners.assign(signers.begin(), signers.end());
  for (auto& [name, text] : files) delivered.files.push_back({name, std::move(text)});
  return delivered;
}

std::uint64_t number_of(const std::vector<std::string>& documents) {
  std::uint64_t number = 0;
  for (const std::string& text : documents) {
    const auto envelope = parse_envelope(text);
    const auto document = envelope ? parse_document(envelope->payload, "") : tl::unexpected(envelope.error());
    const Delivery* delivery = document ? delivery_of(*document) : nullptr;
    if (delivery != nullptr) number = std::max(number, delivery->number);
  }
  return number;
}

}  // namespace jit
