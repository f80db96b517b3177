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

// In this order for ever: databases have the number.
enum class Kind : std::uint8_t { request, review, grant, revocation, lock, ask, event, policy, trust };

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
  std::string origin;             // "local", "pam", "ask"; others are refused
  std::optional<Digest> ask;      // of the document that asked for it from elsewhere; with origin "ask"
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
  // Both or neither: a list with a known age. Its targets may be none: "nothing more as of now".
  std::optional<std::uint64_t> number;  // one more than that of the list before it
  std::optional<WallTime> next_update;  // when the next one is to be there
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

// A user's signed wish from another machine. Each host that it names makes a request of it, or says why not.
struct AskDocument {
  std::vector<std::string> hosts;
  std::vector<std::string> segments;
  std::string user;
  std::string role;
  std::optional<Seconds> duration;  // absent: what the host takes for it
  std::string reason;
  std::string ticket;             // empty: none
  std::optional<WallTime> start;  // as in a request
  WallTime created{};
  WallTime expires{};
  std::string nonce;
  bool operator==(const AskDocument&) const = default;
};

// One thing that happened on a host, as the host itself says.
struct EventDocument {
  std::string host;
  std::string host_key;
  std::uint64_t sequence = 0;  // of this host's events, from 1 and without gaps; "alive": of the last before it
  WallTime created{};
  std::uint64_t entry = 0;         // of the audit chain
  Digest head;                     // that entry's hash
  std::string policy;              // digest text of the policy files
  std::string machine;             // digest text of what tells this machine from a copy of it
  std::string what;                // one word of kEventWords
  std::optional<Digest> document;  // that this answers: a review, ask, grant, lock, revocation
  std::optional<Digest> grant;     // the request or direct grant whose life it is about
  std::optional<Digest> ask;       // that the request was made of
  std::string user, role, state, why, by;
  std::optional<WallTime> until;
  std::optional<std::uint64_t> view;  // number of the newest revocation list whose predecessors are all here
  std::optional<WallTime> viewed;     // when that was made
  std::string nonce;
  bool operator==(const EventDocument&) const = default;
};

// What `what` may be: alive (the heartbeat: nothing happened), filed (a request waits), reviewed, active, ended,
// refused, revoked, locked, unlocked, delivered (policy or trust was taken over), residue, started (jitd was).
[[nodiscard]] bool event_word(std::string_view word);

// Configuration that comes signed by the host's owners, in one or more parts: all of a number or nothing.
struct Delivery {
  struct File {
    std::string name;  // without a folder
    std::string text;
    bool operator==(const File&) const = default;
  };
  std::vector<std::string> hosts;
  std::vector<std::string> segments;
  std::uint64_t number = 0;  // above that of the one before
  std::uint64_t part = 1, parts = 1;
  WallTime created{};
  std::string reason;
  std::vector<File> files;
  std::string nonce;
  bool operator==(const Delivery&) const = default;
};
struct PolicyDocument : Delivery {  // files of policy.d
  bool operator==(const PolicyDocument&) const = default;
};
struct TrustDocument : Delivery {  // "approvers", "requesters"
  bool operator==(const TrustDocument&) const = default;
};

inline constexpr std::uint64_t kMaxParts = 64;

using Document = std::variant<Request, Review, GrantDocument, Revocation, Lock, AskDocument, EventDocument,
                              PolicyDocument, TrustDocument>;

[[nodiscard]] Kind kind_of(const Document& document);

// What parse_document demands of a value beyond the types of its keys: names, sizes, which keys go together, the
// order of times, canonical `effects`. Makers of documents call it before they sign, so that nobody signs what nobody
// will read.
[[nodiscard]] Result<void> check_document(const Document& document);

// TOML to value, strict: `jit = 1`, `kind`, every key known and of its type, times with Z in whole seconds,
// durations, names and sizes checked, required keys there, and keys that this release cannot enforce yet (from,
// commands, risk) refused by name. `source` names the file in errors.
[[nodiscard]] Result<Document> parse_document(std::string_view payload, std::string_view source);

// Value to TOML payload, keys in the fixed order of jit-documents(5), LF at the end; parse_document reads it back.
[[nodiscard]] std::string to_payload(const Document& document);

// 128 random bits in hex, for `nonce`.
[[nodiscard]] std::string make_nonce();

}  // namespace jit
