// From bytes to a verified document, in the one order that is safe: envelope, look the key up in the trust file that
// the signature's namespace picks, verify over raw bytes, and only then parse TOML.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/document/envelope.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/trust.hpp"

namespace jit {

// The trust files that a place has. A host has approvers, requesters and owners (and its own key for requests); an
// approver has hosts.
struct TrustSet {
  TrustFile approvers;   // jit-review, jit-grant, jit-revocation, jit-lock
  TrustFile requesters;  // jit-ask: principal = user name
  TrustFile owners;      // jit-policy, jit-trust
  TrustFile hosts;       // jit-request, jit-event: one line per host, principal = host name

  // The file that namespaces of this kind are looked up in; nullptr when this place has none for it.
  [[nodiscard]] const TrustFile* for_kind(Kind kind) const;
  [[nodiscard]] std::vector<const TrustFile*> all() const { return {&approvers, &requesters, &owners, &hosts}; }
};

// One verified signature by a key known here. Whether its line is valid at the time, and which person it is, is
// decided at activation (rules/people.hpp), since both may change.
struct Signer {
  std::string principal;
  PublicKey key;
  std::optional<WallTime> valid_after;
  std::optional<WallTime> valid_before;
};

struct Verified {
  Envelope envelope;  // with the signatures that counted: junk added on the way never crowds out a later consent
  Kind kind = Kind::request;
  Document document;
  Digest digest;
  std::vector<Signer> signers;  // at least one; a key listed under two principals gives two (people.hpp voids it)
  std::vector<std::string> ignored;  // signatures that did not count, and why, for people
};

// A request or event counts only with the signature of the host that it names, by the key that it names; an ask only
// with that of its user.
// Errors name what is wrong and what to do: no signature of a known key; namespaces that differ from each other or
// from the payload's kind; a damaged signature.
[[nodiscard]] Result<Verified> verify_document(Envelope envelope, const TrustSet& trust, std::string_view source);

}  // namespace jit
