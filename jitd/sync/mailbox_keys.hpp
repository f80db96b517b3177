// Whom a host's mailbox is for: people with a key in the trust files of that host, and what each may see of it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "policy/document/kinds.hpp"
#include "policy/document/verify.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit {

// Where the trust files of this host are: the one list of them, for whoever is let in and for what is taken.
struct TrustPlaces {
  std::string folder = "/etc/jit/trust";
};

// The trust files as they stand. A file that is not there, or that others than root could have written, has no line;
// why stands in its `bad`. No host's documents are taken here: `hosts` stays without a path. With `only`, nothing but
// the lines of that key, found without parsing the others.
[[nodiscard]] TrustSet read_trust_set(const TrustPlaces& places, const PublicKey* only = nullptr);

// Somebody whose key sshd has seen proven.
struct Visitor {
  PublicKey key;
  bool approver = false;                   // sees all that the host says
  std::set<std::string> users;             // of who is none: sees what is about these alone
  [[nodiscard]] std::string name() const;  // for the journal: principals and fingerprint
  std::set<std::string> principals;
};

// Nobody: the key stands in no file in whose namespaces it could sign something for us, or not at this time.
[[nodiscard]] std::optional<Visitor> visitor_of(const TrustSet& trust, const PublicKey& key, WallTime now);

// Whether what the host says with these bytes is for the visitor (P8): for an approver everything; for others the
// requests and events of their own users. Only what parses is.
[[nodiscard]] bool may_see(const Visitor& visitor, std::string_view file);

// The key out of the file that sshd names in SSH_USER_AUTH (ExposeAuthInfo of sshd_config(5)): one line,
// "publickey TYPE BASE64". Any other method, or more than one, is an error.
[[nodiscard]] Result<PublicKey> key_of_login(std::string_view text);

// What sshd's AuthorizedKeysCommand prints: the line of authorized_keys(5) for a key of that type and base64 that may
// log in as `user`, or nothing.
[[nodiscard]] std::string authorized_line(const TrustPlaces& places, std::string_view user, std::string_view type,
                                          std::string_view base64, WallTime now);

inline constexpr std::string_view kMailboxUser = "jit";
inline constexpr std::string_view kUnknownKey = "your key stands in none of this host's trust files, or not now";

}  // namespace jit
