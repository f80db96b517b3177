// Public keys as libcrypto has them: between public_key.cpp, which knows their wire form, and signature.cpp, which
// verifies.
#pragma once

#include <openssl/evp.h>

#include <memory>

#include "policy/document/signature.hpp"

namespace jit::ssh {

struct FreeKey {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using EvpKey = std::unique_ptr<EVP_PKEY, FreeKey>;

// The numbers of a public key as they stand in its blob; the views point into that blob.
struct KeyParts {
  KeyType type = KeyType::ed25519;
  std::string_view point;        // ed25519: 32 bytes; ecdsa: 0x04 X Y
  std::string_view modulus;      // rsa, big-endian
  std::string_view exponent;     // rsa, big-endian
  std::string_view application;  // sk keys: what the token binds its signatures to ("ssh:")
};

// Takes a blob apart, to its last byte, with the refusals that parse_public_key names.
[[nodiscard]] Result<KeyParts> take_apart(std::string_view blob);

// The key for libcrypto; for sk- types the token's own key. Error: a point that is not on the curve.
[[nodiscard]] Result<EvpKey> to_evp(const KeyParts& parts);

}  // namespace jit::ssh
