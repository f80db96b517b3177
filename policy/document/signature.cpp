#include "policy/document/signature.hpp"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>

#include "policy/digest.hpp"
#include "policy/document/ssh_key.hpp"
#include "policy/document/ssh_wire.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kMagic = "SSHSIG";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kMaxNamespace = 64;
constexpr std::size_t kMaxPem = 4096;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

bool is_token(KeyType type) {
  return type == KeyType::sk_ed25519 || type == KeyType::sk_ecdsa_p256;
}
bool is_ecdsa(KeyType type) {
  return type == KeyType::ecdsa_p256 || type == KeyType::ecdsa_p384 || type == KeyType::sk_ecdsa_p256;
}

// The algorithm names a signature by this key may carry. RSA with SHA-1 ("ssh-rsa") is not among them.
bool algorithm_fits(KeyType type, std::string_view algorithm) {
  if (type == KeyType::rsa) return algorithm == "rsa-sha2-256" || algorithm == "rsa-sha2-512";
  return algorithm == key_type_name(type);
}

// The hash of the algorithm itself, or nullptr for ed25519, which has its own.
const char* digest_name(const Signature& signature) {
  switch (signature.key.type) {
    case KeyType::ecdsa_p256:
    case KeyType::sk_ecdsa_p256:
      return "SHA256";
    case KeyType::ecdsa_p384:
      return "SHA384";
    case KeyType::rsa:
      return signature.algorithm == "rsa-sha2-512" ? "SHA512" : "SHA256";
    case KeyType::ed25519:
    case KeyType::sk_ed25519:
      return nullptr;
  }
  return nullptr;
}

Result<std::string> hash_of(std::string_view message, std::string_view hash) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  std::size_t size = 0;
  const char* name = hash == "sha512" ? "SHA512" : "SHA256";
  if (EVP_Q_digest(nullptr, name, nullptr, message.data(), message.size(), out.data(), &size) != 1) {
    ERR_clear_error();
    return fail(Errc::unavailable, fmt::format("libcrypto has no {}", name));
  }
  return std::string(reinterpret_cast<const char*>(out.data()), size);
}

// The bytes that are really signed (PROTOCOL.sshsig, "Signed Data, of which the signature goes into the blob above").
Result<std::string> signed_bytes(std::string_view message, std::string_view name_space, std::string_view hash) {
  auto digest = hash_of(message, hash);
  if (!digest) return digest;
  std::string bytes(kMagic);
  ssh::put_string(bytes, name_space);
  ssh::put_string(bytes, "");
  ssh::put_string(bytes, hash);
  ssh::put_string(bytes, *digest);
  return bytes;
}

// What a FIDO2 token signs (PROTOCOL.u2f, "SSH U2F signatures"): SHA-256 of the application, flags, counter, SHA-256
// of the data.
std::string token_bytes(const Signature& signature, std::string_view application, std::string_view data) {
  const auto put_digest = [](std::string& out, std::string_view text) {
    const Digest digest = sha256(text);
    out.append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
  };
  std::string bytes;
  put_digest(bytes, application);
  bytes += static_cast<char>(signature.sk_flags);
  ssh::put_u32(bytes, signature.sk_counter);
  put_digest(bytes, data);
  return bytes;
}

// r and s as two mpints (RFC 5656 3.1.2) to the DER that libcrypto verifies. Empty: malformed.
std::string ecdsa_der(std::string_view raw) {
  ssh::Reader reader(raw);
  const auto r = reader.take_positive();
  const auto s = r ? reader.take_positive() : std::nullopt;
  if (!s || !reader.empty() || r->size() > 48 || s->size() > 48) return {};
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(ECDSA_SIG_new(), &ECDSA_SIG_free);
  BIGNUM* r_number = BN_bin2bn(bytes_of(*r), static_cast<int>(r->size()), nullptr);
  BIGNUM* s_number = BN_bin2bn(bytes_of(*s), static_cast<int>(s->size()), nullptr);
  if (!pair || r_number == nullptr || s_number == nullptr || ECDSA_SIG_set0(pair.get(), r_number, s_number) != 1) {
    BN_free(r_number);
    BN_free(s_number);
    return {};
  }
  const int size = i2d_ECDSA_SIG(pair.get(), nullptr);
  if (size <= 0) return {};
  std::string der(static_cast<std::size_t>(size), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  if (i2d_ECDSA_SIG(pair.get(), &out) != size) return {};
  return der;
}

tl::unexpected<Error> damaged(std::string_view what) {
  return fail(Errc::invalid, fmt::format("damaged signature: {}", what));
}

struct FreeDigestContext {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeDigestContext>;

struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;

EVP_PKEY* as_key(const std::shared_ptr<void>& key) {
  return static_cast<EVP_PKEY*>(key.get());
}

// libcrypto would ask on the terminal for the passphrase of an encrypted key; nobody sits there.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) noexcept {
  return -1;
}

// The public half of an ed25519 key of ours, or an error for any other type.
Result<PublicKey> public_half(EVP_PKEY* key) {
  std::array<unsigned char, 32> raw{};
  std::size_t size = raw.size();
  if (EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 || EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1 ||
      size != raw.size()) {
    ERR_clear_error();
    return fail(Errc::invalid, "the private key is not an ed25519 key");
  }
  std::string blob;
  ssh::put_string(blob, key_type_name(KeyType::ed25519));
  ssh::put_string(blob, std::string_view(reinterpret_cast<const char*>(raw.data()), raw.size()));
  return PublicKey{KeyType::ed25519, std::move(blob)};
}

}  // namespace

Result<Signature> parse_signature(std::string_view blob) {
  ssh::Reader reader(blob);
  if (!reader.take_literal(kMagic)) return damaged("it does not start with SSHSIG");
  const auto version = reader.take_u32();
  if (!version) return damaged("it is cut short");
  if (*version != kVersion)
    return fail(Errc::refused, fmt::format("signatures of version {} are not known here", *version));

  const auto key_blob = reader.take_string();
  const auto name_space = key_blob ? reader.take_string() : std::nullopt;
  const auto reserved = name_space ? reader.take_string() : std::nullopt;
  const auto hash = reserved ? reader.take_string() : std::nullopt;
  const auto inner_blob = hash ? reader.take_string() : std::nullopt;
  if (!inner_blob) return damaged("it is cut short");
  if (!reader.empty()) return damaged("there are bytes behind it");
  if (name_space->empty() || name_space->size() > kMaxNamespace) return damaged("its namespace is empty or too long");
  if (!reserved->empty()) return damaged("its reserved field is not empty");
  if (*hash != "sha256" && *hash != "sha512") {
    return fail(Errc::refused, fmt::format("signatures with hash \"{}\" are not accepted", shown(*hash, 32)));
  }

  Signature signature;
  // Its form alone: no arithmetic on a key that nobody here has listed.
  const auto parts = ssh::take_apart(*key_blob);
  if (!parts) return tl::unexpected(parts.error());
  signature.key = PublicKey{parts->type, std::string(*key_blob)};
  signature.name_space = *name_space;
  signature.hash = *hash;

  ssh::Reader inner(*inner_blob);
  const auto algorithm = inner.take_string();
  const auto raw = algorithm ? inner.take_string() : std::nullopt;
  if (!raw) return damaged("it is cut short");
  if (!algorithm_fits(signature.key.type, *algorithm)) {
    return fail(Errc::refused, fmt::format("algorithm \"{}\" is not accepted with a key of type {}",
                                           shown(*algorithm, 64), key_type_name(signature.key.type)));
  }
  signature.algorithm = *algorithm;
  signature.raw = *raw;
  if (is_token(signature.key.type)) {
    const auto flags = inner.take_byte();
    const auto counter = flags ? inner.take_u32() : std::nullopt;
    if (!counter) return damaged("the token's flags and counter are missing");
    signature.sk_flags = *flags;
    signature.sk_counter = *counter;
  }
  if (!inner.empty()) return damaged("there are bytes behind it");
  return signature;
}

Result<void> verify(const Signature& signature, std::string_view message, std::string_view name_space) {
  if (signature.name_space != name_space) {
    return fail(Errc::refused,
                fmt::format("signed in namespace \"{}\", not \"{}\"", shown(signature.name_space, 64), name_space));
  }
  const auto parts = ssh::take_apart(signature.key.blob);
  if (!parts) return tl::unexpected(parts.error());
  if (parts->type != signature.key.type || !algorithm_fits(parts->type, signature.algorithm)) {
    return damaged("its key and its algorithm do not fit");
  }
  const auto key = ssh::to_evp(*parts);
  if (!key) return tl::unexpected(key.error());
  auto data = signed_bytes(message, name_space, signature.hash);
  if (!data) return tl::unexpected(data.error());
  if (is_token(parts->type)) {
    if ((signature.sk_flags & kSkUserPresent) == 0) {
      return fail(Errc::refused, "the security key was not touched for this signature (no user presence)");
    }
    *data = token_bytes(signature, parts->application, *data);
  }
  std::string raw = is_ecdsa(parts->type) ? ecdsa_der(signature.raw) : signature.raw;
  if (raw.empty()) return damaged("its numbers are malformed");

  const DigestContext context(EVP_MD_CTX_new());
  const bool good = context &&
                    EVP_DigestVerifyInit_ex(context.get(), nullptr, digest_name(signature), nullptr, nullptr,
                                            key->get(), nullptr) == 1 &&
                    EVP_DigestVerify(context.get(), bytes_of(raw), raw.size(), bytes_of(*data), data->size()) == 1;
  if (!good) {
    ERR_clear_error();
    return fail(Errc::refused, "the signature does not fit the text: one of them was changed");
  }
  return {};
}

Result<SigningKey> SigningKey::generate() {
  SigningKey made;
  made.key_ = std::shared_ptr<void>(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"),
                                    [](void* key) noexcept { EVP_PKEY_free(static_cast<EVP_PKEY*>(key)); });
  if (!made.key_) {
    ERR_clear_error();
    return fail(Errc::unavailable, "libcrypto made no ed25519 key");
  }
  auto half = public_half(as_key(made.key_));
  if (!half) return tl::unexpected(half.error());
  made.public_key_ = std::move(*half);
  return made;
}

Result<SigningKey> SigningKey::from_pem(std::string_view pem) {
  if (pem.size() > kMaxPem) return fail(Errc::invalid, "the private key is too large");
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  SigningKey read;
  if (bio) {
    read.key_ = std::shared_ptr<void>(PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_passphrase, nullptr),
                                      [](void* key) noexcept { EVP_PKEY_free(static_cast<EVP_PKEY*>(key)); });
  }
  if (!read.key_) {
    ERR_clear_error();
    return fail(Errc::invalid, "not an unencrypted private key in PEM form");
  }
  auto half = public_half(as_key(read.key_));
  if (!half) return tl::unexpected(half.error());
  read.public_key_ = std::move(*half);
  return read;
}

Result<std::string> SigningKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_secmem()));
  char* text = nullptr;
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), as_key(key_), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    ERR_clear_error();
    return fail(Errc::unavailable, "libcrypto did not write the private key");
  }
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

Result<std::string> SigningKey::sign(std::string_view message, std::string_view name_space) const {
  if (name_space.empty() || name_space.size() > kMaxNamespace)
    return fail(Errc::invalid, "a signature needs a namespace");
  constexpr std::string_view kHash = "sha512";
  auto data = signed_bytes(message, name_space, kHash);
  if (!data) return data;
  std::array<unsigned char, 64> raw{};
  std::size_t size = raw.size();
  const DigestContext context(EVP_MD_CTX_new());
  if (!context ||
      EVP_DigestSignInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, as_key(key_), nullptr) != 1 ||
      EVP_DigestSign(context.get(), raw.data(), &size, bytes_of(*data), data->size()) != 1 || size != raw.size()) {
    ERR_clear_error();
    return fail(Errc::unavailable, "libcrypto did not sign");
  }
  std::string inner;
  ssh::put_string(inner, key_type_name(KeyType::ed25519));
  ssh::put_string(inner, std::string_view(reinterpret_cast<const char*>(raw.data()), raw.size()));
  std::string blob(kMagic);
  ssh::put_u32(blob, kVersion);
  ssh::put_string(blob, public_key_.blob);
  ssh::put_string(blob, name_space);
  ssh::put_string(blob, "");
  ssh::put_string(blob, kHash);
  ssh::put_string(blob, inner);
  return blob;
}

}  // namespace jit
