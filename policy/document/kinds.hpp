// The kinds of signed documents and their TOML payloads. Only verified payloads come here (document/verify.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/digest.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit {

enum class Kind : std::uint8_t { request, review, grant, revocation, lock };

[[nodiscard]] std::string_view kind_name(Kind kind);       // "request"
[[nodiscard]] std::string_view kind_namespace(Kind kind);  // "jit-request"
[[nodiscard]] Result<Kind> kind_of_namespace(std::string_view name_space);

inline constexpr Seconds kAbsoluteCeiling = std::chrono::days(14);  // older revocations and locks are refused
inline constexpr std::size_t kMaxReason = 1024;                     // bytes of reason, comment; ticket 128

// Somebody behind a request: a person of [people], or a user of no person. Never a free text.
struct PersonRef {
  std::string name;
  bool listed = false;  // true: a person of [people]; false: the user of this name
  auto operator<=>(const PersonRef&) const = default;
};
[[nodiscard]] std::string to_text(const PersonRef& person);  // "person:carol" or "user:alice", as payloads have it
[[nodiscard]] Result<PersonRef> parse_person_ref(std::string_view text);

// The host's signed account of a wish: all that an approver needs to judge it.
struct Request {
  std::string host;
  std::string host_key;  // "SHA256:..."
  std::string user;
  std::uint32_t uid = 0;
  std::vector<PersonRef> requesters;  // everybody behind it: peer uid, audit loginuid
  std::string role;
  Seconds duration{0};
  std::string reason;
  std::string ticket;             // empty: none
  std::optional<WallTime> start;  // approved ahead, and not activated before
  WallTime created{};
  WallTime expires{};
  std::string origin;             // "local", "pam"; others are refused
  std::optional<Digest> extends;  // of the document whose grant it takes over, without a gap
  std::string effects;
  std::string policy;  // digest text of the policy files, information only
  std::string nonce;
  bool operator==(const Request&) const = default;
};

struct Review {
  std::string host;
  Digest request;
  bool approve = false;
  std::optional<Seconds> duration;  // only ever shorter
  std::optional<WallTime> start;    // only ever later
  std::string comment;
  WallTime created{};
  WallTime expires{};
  std::string nonce;
  bool operator==(const Review&) const = default;
};

// A direct grant, issued by approvers without a request.
struct GrantDocument {
  std::vector<std::string> hosts;
  std::optional<std::string> host_key;
  std::vector<std::string> segments;
  std::string user;
  std::string role;
  std::string reason;
  std::string ticket;
  WallTime created{};
  std::optional<WallTime> not_before;
  std::optional<WallTime> not_after;  // either this
  std::optional<Seconds> duration;    // or these two
  std::optional<WallTime> activate_by;
  bool once = false;  // for one session
  std::string nonce;
  bool operator==(const GrantDocument&) const = default;
};

struct Revocation {
  std::vector<std::string> hosts;
  std::vector<std::string> segments;
  WallTime created{};
  std::string reason;
  std::vector<Digest> grants;
  std::vector<Digest> requests;
  std::vector<std::string> users;
  std::vector<std::string> approvers;
  bool all = false;
  std::string nonce;
  bool operator==(const Revocation&) const = default;
};

struct Lock {
  std::vector<std::string> hosts;
  std::vector<std::string> segments;
  WallTime created{};
  std::string reason;
  std::vector<std::string> users;
  std::vector<std::string> keys;  // fingerprints
  std::vector<std::string> approvers;
  std::optional<WallTime> until;
  std::vector<Digest> lifts;  // instead of targets: an unlock
  std::string nonce;
  bool operator==(const Lock&) const = default;
};

using Document = std::variant<Request, Review, GrantDocument, Revocation, Lock>;

[[nodiscard]] Kind kind_of(const Document& document);

// What parse_document demands of a value beyond the types of its keys: names, sizes, which keys go together, the
// order of times, canonical `effects`. Makers of documents call it before they sign, so that nobody signs what nobody
// will read.
[[nodiscard]] Result<void> check_document(const Document& document);

// TOML to value, strict: `jit = 1`, `kind`, every key known and of its type, times with Z in whole seconds,
// durations, names and sizes checked, required keys there, and keys that this release cannot enforce yet (from,
// commands, risk, ask, number, next_update) refused by name. `source` names the file in errors.
[[nodiscard]] Result<Document> parse_document(std::string_view payload, std::string_view source);

// Value to TOML payload, keys in the fixed order of jit-documents(5), LF at the end; parse_document reads it back.
[[nodiscard]] std::string to_payload(const Document& document);

// 128 random bits in hex, for `nonce`.
[[nodiscard]] std::string make_nonce();

}  // namespace jit
