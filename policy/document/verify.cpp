#include "policy/document/verify.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "policy/text.hpp"

namespace jit {
namespace {

// A signature that was taken apart, beside its blob.
struct Candidate {
  const std::string* blob = nullptr;
  Signature signature;
};

// The persons' lines for this key in this namespace; the error says why there are none.
Result<std::vector<const TrustLine*>> lines_for(const TrustFile& trust, const Signature& signature) {
  std::vector<const TrustLine*> lines;
  bool listed = false;
  for (const TrustLine& line : trust.lines) {
    if (line.key != signature.key) continue;
    listed = true;
    if (line.allows_namespace(signature.name_space)) lines.push_back(&line);
  }
  if (!lines.empty()) return lines;
  return fail(Errc::refused,
              fmt::format("key {} is {} in {}", fingerprint(signature.key),
                          listed ? fmt::format("not listed for namespace {}", signature.name_space) : "not listed",
                          trust.path));
}

std::string no_signature_counts(const std::vector<std::string>& why) {
  return fmt::format("no signature of a known key: {}", why.empty() ? "there is none" : joined(why, "; "));
}

// Takes what parses out of the envelope; all of it must be in one namespace, or the file mixes kinds.
Result<std::vector<Candidate>> candidates(const Envelope& envelope, std::vector<std::string>& ignored) {
  std::vector<Candidate> found;
  for (const std::string& blob : envelope.signatures) {
    auto signature = parse_signature(blob);
    if (!signature) {
      ignored.push_back(signature.error().message);
      continue;
    }
    if (!found.empty() && found.front().signature.name_space != signature->name_space) {
      return fail(Errc::refused,
                  fmt::format("its signatures are in different namespaces, {} and {}",
                              shown(found.front().signature.name_space, 64), shown(signature->name_space, 64)));
    }
    found.push_back({&blob, std::move(*signature)});
  }
  if (found.empty()) return fail(Errc::refused, no_signature_counts(ignored));
  return found;
}

// A request or event is a host's word about itself: only that host's own key counts for it (P7).
void keep_own_host(const std::string& host, const std::string& host_key, Verified& verified) {
  std::erase_if(verified.signers, [&](const Signer& signer) {
    if (signer.principal == host && fingerprint(signer.key) == host_key) return false;
    verified.ignored.push_back(fmt::format("signed by {} ({}), but the {} is of {} ({})",
                                           shown(signer.principal, 256), fingerprint(signer.key),
                                           kind_name(verified.kind), host, host_key));
    return true;
  });
}

// Nobody asks for somebody else.
void keep_own_user(const std::string& user, Verified& verified) {
  std::erase_if(verified.signers, [&](const Signer& signer) {
    if (signer.principal == user) return false;
    verified.ignored.push_back(
        fmt::format("signed by {}, who cannot ask for {}", shown(signer.principal, 256), shown(user, 256)));
    return true;
  });
}

}  // namespace

const TrustFile* TrustSet::for_kind(Kind kind) const {
  const TrustFile* file = &approvers;
  if (kind == Kind::request || kind == Kind::event) file = &hosts;
  if (kind == Kind::ask) file = &requesters;
  if (kind == Kind::policy || kind == Kind::trust) file = &owners;
  return file->path.empty() ? nullptr : file;
}

Result<Verified> verify_document(Envelope envelope, const TrustSet& trust, std::string_view source) {
  const std::string where = shown(source, 256);
  Verified verified;
  const auto found = candidates(envelope, verified.ignored);
  if (!found) return within(where, found.error());
  const std::string& name_space = found->front().signature.name_space;
  const auto kind = kind_of_namespace(name_space);
  if (!kind) return within(where, kind.error());
  const TrustFile* file = trust.for_kind(*kind);
  if (file == nullptr) {
    const bool owned = *kind == Kind::policy || *kind == Kind::trust;
    return within(where, {Errc::refused,
                          fmt::format("a document of kind {} is not taken here: {}", kind_name(*kind),
                                      owned ? "no [owners] are named" : "there is no trust file for it"),
                          0});
  }

  std::vector<std::string> counted;
  for (const Candidate& candidate : *found) {
    const auto lines = lines_for(*file, candidate.signature);
    if (!lines) {
      verified.ignored.push_back(lines.error().message);
      continue;
    }
    if (auto ok = verify(candidate.signature, envelope.payload, name_space); !ok) {
      verified.ignored.push_back(fmt::format("{}: {}", lines->front()->principal, ok.error().message));
      continue;
    }
    counted.push_back(*candidate.blob);
    for (const TrustLine* line : *lines) {
      verified.signers.push_back({line->principal, line->key, line->valid_after, line->valid_before});
    }
  }
  if (verified.signers.empty()) return within(where, {Errc::refused, no_signature_counts(verified.ignored), 0});

  auto document = parse_document(envelope.payload, source);
  if (!document) return tl::unexpected(document.error());
  if (kind_of(*document) != *kind) {
    return within(where, {Errc::refused,
                          fmt::format("it says that it is a {}, but it was signed as a {}",
                                      kind_name(kind_of(*document)), kind_name(*kind)),
                          0});
  }
  verified.kind = *kind;
  if (const auto* request = std::get_if<Request>(&*document))
    keep_own_host(request->host, request->host_key, verified);
  if (const auto* event = std::get_if<EventDocument>(&*document))
    keep_own_host(event->host, event->host_key, verified);
  if (const auto* ask = std::get_if<AskDocument>(&*document)) keep_own_user(ask->user, verified);
  if (verified.signers.empty()) return within(where, {Errc::refused, no_signature_counts(verified.ignored), 0});
  verified.document = std::move(*document);
  verified.digest = sha256(envelope.payload);
  verified.envelope = Envelope{std::move(envelope.payload), std::move(counted)};
  return verified;
}

}  // namespace jit
