// SSH keys and SSHSIG signatures (PROTOCOL.sshsig, RFC 4253 6.6, RFC 5656, RFC 8709, PROTOCOL.u2f), verified with
// OpenSSL's libcrypto. The key inside a signature is never believed: callers look it up in a trust file first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "policy/result.hpp"

namespace jit {

enum class KeyType : std::uint8_t { ed25519, ecdsa_p256, ecdsa_p384, rsa, sk_ed25519, sk_ecdsa_p256 };

// A public key: its type and its SSH wire blob, which is its identity (compare blobs).
struct PublicKey {
  KeyType type = KeyType::ed25519;
  std::string blob;
  bool operator==(const PublicKey&) const = default;
};

// Reads the wire blob of a key, to its last byte. Refused by name: certificates, DSA, nistp521, RSA under 3072 bits
// (or over 16384) or with an even or small exponent, points not on the curve, anything unknown.
[[nodiscard]] Result<PublicKey> parse_public_key(std::string_view blob);

// "ssh-ed25519 AAAA... [comment]" (a .pub file, or the tail of an allowed signers line).
[[nodiscard]] Result<PublicKey> parse_public_key_line(std::string_view line);
[[nodiscard]] std::string public_key_line(const PublicKey& key);  // without comment

// The name on the wire ("sk-ssh-ed25519@openssh.com").
[[nodiscard]] std::string_view key_type_name(KeyType type);

// "SHA256:" and unpadded base64, as `ssh-keygen -l` prints it.
[[nodiscard]] std::string fingerprint(const PublicKey& key);

// A signature blob taken apart. Nothing in it is verified.
struct Signature {
  PublicKey key;
  std::string name_space;
  std::string hash;       // "sha256" or "sha512"
  std::string algorithm;  // "ssh-ed25519", "rsa-sha2-512", ...
  std::string raw;        // the algorithm's own signature bytes
  std::uint8_t sk_flags = 0;
  std::uint32_t sk_counter = 0;
};

// Parses PROTOCOL.sshsig's blob, version 1, reserved empty, no trailing byte anywhere, bounded by its own length.
[[nodiscard]] Result<Signature> parse_signature(std::string_view blob);

inline constexpr std::uint8_t kSkUserPresent = 0x01;   // the token was touched
inline constexpr std::uint8_t kSkUserVerified = 0x04;  // PIN or biometry

// Verifies `signature` over `message` in `name_space` (compared exactly). sk- keys without the touch flag are
// refused, although ssh-keygen accepts them. Success says: the holder of signature.key signed this; not who that is.
[[nodiscard]] Result<void> verify(const Signature& signature, std::string_view message, std::string_view name_space);

// An ed25519 private key of our own: the host key. Kept as PKCS#8 PEM.
class SigningKey {
 public:
  [[nodiscard]] static Result<SigningKey> generate();
  [[nodiscard]] static Result<SigningKey> from_pem(std::string_view pem);
  [[nodiscard]] Result<std::string> to_pem() const;
  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  // A signature blob as parse_signature reads it, with sha512.
  [[nodiscard]] Result<std::string> sign(std::string_view message, std::string_view name_space) const;

 private:
  SigningKey() = default;
  std::shared_ptr<void> key_;  // EVP_PKEY, immutable once made
  PublicKey public_key_;
};

}  // namespace jit
