#include "policy/digest.hpp"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <cstdlib>

#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kPrefix = "sha256:";
constexpr std::string_view kCrockford = "0123456789abcdefghjkmnpqrstvwxyz";

}  // namespace

Digest sha256(std::string_view bytes) {
  Digest digest;
  // Fails only where libcrypto has no SHA-256 at all (a broken openssl.cnf); going on with a wrong digest would let
  // one document stand for another.
  if (SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.bytes.data()) == nullptr) {
    std::abort();
  }
  return digest;
}

std::string digest_text(const Digest& digest) {
  return std::string(kPrefix) + to_hex(digest.bytes);
}

Result<Digest> parse_digest(std::string_view text) {
  Digest digest;
  const bool form =
      text.substr(0, kPrefix.size()) == kPrefix && text.size() == kPrefix.size() + 2 * digest.bytes.size();
  const auto bytes = form ? from_hex(text.substr(kPrefix.size())) : Result<std::string>(fail(Errc::invalid, ""));
  if (!bytes) {
    return fail(Errc::invalid,
                fmt::format("\"{}\" is not a digest: sha256: and 64 lower-case hex digits", shown(text, 80)));
  }
  std::size_t at = 0;
  for (auto& byte : digest.bytes) byte = static_cast<std::uint8_t>((*bytes)[at++]);
  return digest;
}

std::string id_of(const Digest& digest) {
  std::string id;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (std::size_t i = 0; i < 10; ++i) {  // 80 bits are 16 characters of 5 bits
    bits = (bits << 8) | digest.bytes[i];
    held += 8;
    while (held >= 5) {
      held -= 5;
      id += kCrockford[(bits >> held) & 0x1fU];
    }
  }
  return id;
}

Result<std::string> parse_id_prefix(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::invalid, fmt::format("\"{}\" is not an id: {}", shown(text, 40), why));
  };
  if (text.size() < 4 || text.size() > 16) return wrong("write 4 to 16 of its characters");
  std::string id;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == 'i' || c == 'l') c = '1';
    if (c == 'o') c = '0';
    if (kCrockford.find(c) == std::string_view::npos) return wrong("ids have digits and letters (no u) only");
    id += c;
  }
  return id;
}

}  // namespace jit
