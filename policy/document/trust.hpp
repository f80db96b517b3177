// Trust files: OpenSSH's ALLOWED SIGNERS format (ssh-keygen(1)), one literal principal a line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/document/signature.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit {

// One line: PRINCIPAL [namespaces="a,b",valid-after="...Z",valid-before="...Z"] KEYTYPE BASE64 [comment]
struct TrustLine {
  std::string principal;
  PublicKey key;
  std::vector<std::string>
      namespaces;  // empty: all; patterns with * are allowed by OpenSSH here and by us: '*' at the end only
  std::optional<WallTime> valid_after;
  std::optional<WallTime> valid_before;
  unsigned line = 0;  // 1-based
  std::string comment;
  std::string file = {};  // another than the TrustFile's own; empty: that one

  [[nodiscard]] bool allows_namespace(std::string_view name_space) const;
  // Within [valid_after, valid_before).
  [[nodiscard]] bool valid_at(WallTime now) const;
};

// What parses is the trust; a bad line drops that line only and stands in `bad` ("/etc/jit/trust/approvers:3: ...").
struct TrustFile {
  std::string path;
  std::vector<TrustLine> lines;
  std::vector<Error> bad;
};

inline constexpr std::size_t kMaxTrustFile = std::size_t{4} * 1024 * 1024;
inline constexpr std::size_t kMaxTrustLine = std::size_t{16} * 1024;

// Never fails. Errors of a line: patterns or lists as principal, cert-authority, unknown options, times without Z, a
// key that parse_public_key refuses, control characters. Blank lines and lines starting with # are skipped.
[[nodiscard]] TrustFile parse_trust(std::string path, std::string_view text);

// One such line by itself, where it stands in another file; without a number.
[[nodiscard]] Result<TrustLine> parse_trust_line(std::string_view text);

// The line as `jitctl trust add` writes it, with LF.
[[nodiscard]] std::string to_text(const TrustLine& line);

}  // namespace jit
