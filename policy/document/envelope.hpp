// The envelope: one .jit file = payload bytes, then one or more armored SSH signatures over exactly those bytes.
// The first of the two parsers that bytes from strangers reach (P11): bounded, and nothing is believed yet.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "policy/digest.hpp"
#include "policy/result.hpp"

namespace jit {

inline constexpr std::size_t kMaxDocument = std::size_t{32} * 1024;  // bytes of a whole file
inline constexpr std::size_t kMaxSignatures = 16;

// Payload and signature blobs (the base64 between the armor lines, decoded: PROTOCOL.sshsig "Blob format").
struct Envelope {
  std::string payload;
  std::vector<std::string> signatures;
};

// Splits a file. Errors: too large, no signature, too many, damaged armor, text after a signature, CR line ends
// ("Line endings were changed on the way"), a payload that is empty, does not end with LF, or has a byte that
// `unclean` names.
[[nodiscard]] Result<Envelope> parse_envelope(std::string_view file);

// A payload alone (no signature yet), as `jitctl sign` takes it; same checks on the payload.
[[nodiscard]] Result<std::string> parse_payload_text(std::string_view file);

// The file: payload, then each signature armored in 70-character lines, as ssh-keygen writes them.
[[nodiscard]] std::string to_text(const Envelope& envelope);

// One armored signature ("-----BEGIN SSH SIGNATURE-----" ... ) to its blob and back.
[[nodiscard]] Result<std::string> parse_armor(std::string_view armored);
[[nodiscard]] std::string to_armor(std::string_view blob);

// The union of both signature sets, each blob once, over the same payload; error when payloads differ or more than
// kMaxSignatures come together.
[[nodiscard]] Result<Envelope> merge(const Envelope& a, const Envelope& b);

}  // namespace jit
