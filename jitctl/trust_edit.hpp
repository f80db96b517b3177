// Edits of trust files, as text: comments and the lines of others stay byte for byte.
#pragma once

#include <string>
#include <string_view>

#include "jitctl/context.hpp"
#include "policy/document/trust.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// `text` with `line` behind it. Errors: the key stands there already (under whatever principal: a key under two
// persons is void), or the result would not read back as meant.
[[nodiscard]] Result<std::string> with_trust_line(const std::string& path, std::string_view text,
                                                  const TrustLine& line);

// `text` without the lines of this key (fingerprint) or principal. Error: there is none.
struct Removed {
  std::string text;
  unsigned lines = 0;
};
[[nodiscard]] Result<Removed> without_trust_lines(const std::string& path, std::string_view text,
                                                  std::string_view which);

// Adds one line to the file, made where it is not there yet, replaced whole. Owner and mode of the file are kept.
[[nodiscard]] Result<void> add_trust_line(const std::string& path, const TrustLine& line);

// Replaces the file's text.
[[nodiscard]] Result<void> write_trust(const std::string& path, std::string_view text);

// The namespaces that keys of approvers, hosts and requesters are for.
[[nodiscard]] std::vector<std::string> namespaces_of(std::string_view file);

// Reads a public key out of FILE, or out of the text itself ("ssh-ed25519 AAAA...").
[[nodiscard]] Result<PublicKey> read_public_key(const std::string& file_or_key);

}  // namespace jit::ctl
