// SSH public keys: their wire form (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, PROTOCOL.u2f), which are accepted, and
// their names. What is refused is refused by name, so that whoever brought the key knows what to do.
#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include <array>

#include "policy/digest.hpp"
#include "policy/document/signature.hpp"
#include "policy/document/ssh_key.hpp"
#include "policy/document/ssh_wire.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

struct TypeName {
  KeyType type;
  std::string_view name;
};

constexpr std::array<TypeName, 6> kTypes = {{{KeyType::ed25519, "ssh-ed25519"},
                                             {KeyType::ecdsa_p256, "ecdsa-sha2-nistp256"},
                                             {KeyType::ecdsa_p384, "ecdsa-sha2-nistp384"},
                                             {KeyType::rsa, "ssh-rsa"},
                                             {KeyType::sk_ed25519, "sk-ssh-ed25519@openssh.com"},
                                             {KeyType::sk_ecdsa_p256, "sk-ecdsa-sha2-nistp256@openssh.com"}}};

constexpr std::size_t kLeastRsaBits = 3072;
constexpr std::size_t kMostRsaBits = 16384;  // OpenSSH's own limit; above it verifying costs too much
constexpr std::size_t kMaxKeyBlob = 8192;

constexpr std::string_view kAccepted =
    "use ssh-ed25519, ecdsa-sha2-nistp256 or nistp384, ssh-rsa from 3072 bits, or an sk- (FIDO2) key";

Result<KeyType> type_of(std::string_view name) {
  for (const TypeName& known : kTypes) {
    if (known.name == name) return known.type;
  }
  if (name.find("-cert-v0") != std::string_view::npos) {
    return fail(Errc::refused,
                fmt::format("{} is a certificate, which is not accepted: list the key itself", shown(name, 64)));
  }
  return fail(Errc::refused, fmt::format("keys of type \"{}\" are not accepted: {}", shown(name, 64), kAccepted));
}

std::size_t bits_of(std::string_view number) {
  if (number.empty()) return 0;
  std::size_t bits = (number.size() - 1) * 8;
  for (auto top = static_cast<std::uint8_t>(number.front()); top != 0; top = static_cast<std::uint8_t>(top >> 1))
    ++bits;
  return bits;
}

bool odd(std::string_view number) {
  return !number.empty() && (number.back() & 1) != 0;
}

tl::unexpected<Error> damaged(std::string_view name) {
  return fail(Errc::invalid, fmt::format("damaged {} key", name));
}

Result<void> check_rsa(const ssh::KeyParts& parts) {
  const std::size_t bits = bits_of(parts.modulus);
  if (bits < kLeastRsaBits) {
    return fail(Errc::refused, fmt::format("an RSA key of {} bits is too small: {} at least", bits, kLeastRsaBits));
  }
  if (bits > kMostRsaBits) {
    return fail(Errc::refused, fmt::format("an RSA key of {} bits is too large: {} at most", bits, kMostRsaBits));
  }
  const std::size_t exponent = bits_of(parts.exponent);
  if (!odd(parts.modulus) || !odd(parts.exponent) || exponent < 17 || exponent > 64) {
    return fail(Errc::refused,
                "an RSA key whose public exponent is even, below 65537 or over 64 bits, or whose modulus is even");
  }
  return {};
}

struct FreeParamBuild {
  void operator()(OSSL_PARAM_BLD* build) const noexcept { OSSL_PARAM_BLD_free(build); }
};
struct FreeParams {
  void operator()(OSSL_PARAM* params) const noexcept { OSSL_PARAM_free(params); }
};
struct FreeContext {
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
};
struct FreeNumber {
  void operator()(BIGNUM* number) const noexcept { BN_free(number); }
};
using Number = std::unique_ptr<BIGNUM, FreeNumber>;
using Context = std::unique_ptr<EVP_PKEY_CTX, FreeContext>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

ssh::EvpKey from_build(const char* algorithm, OSSL_PARAM_BLD* build) {
  const std::unique_ptr<OSSL_PARAM, FreeParams> params(OSSL_PARAM_BLD_to_param(build));
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return ssh::EvpKey(key);
}

ssh::EvpKey rsa_key(const ssh::KeyParts& parts) {
  const std::unique_ptr<OSSL_PARAM_BLD, FreeParamBuild> build(OSSL_PARAM_BLD_new());
  const Number n(BN_bin2bn(bytes_of(parts.modulus), static_cast<int>(parts.modulus.size()), nullptr));
  const Number e(BN_bin2bn(bytes_of(parts.exponent), static_cast<int>(parts.exponent.size()), nullptr));
  if (!build || !n || !e || OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  return from_build("RSA", build.get());
}

// Refuses points that are not on the curve: libcrypto decodes and checks the point when it makes the key.
ssh::EvpKey ec_key(std::string_view point, const char* group) {
  const std::unique_ptr<OSSL_PARAM_BLD, FreeParamBuild> build(OSSL_PARAM_BLD_new());
  if (!build || OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1) {
    return nullptr;
  }
  ssh::EvpKey key = from_build("EC", build.get());
  if (!key) return nullptr;
  const Context check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!check || EVP_PKEY_public_check_quick(check.get()) != 1) return nullptr;
  return key;
}

}  // namespace

namespace ssh {

Result<KeyParts> take_apart(std::string_view blob) {
  if (blob.size() > kMaxKeyBlob) return fail(Errc::invalid, "the key is too large");
  Reader reader(blob);
  const auto name = reader.take_string();
  if (!name || name->empty()) return fail(Errc::invalid, "damaged key: it has no type");
  const auto type = type_of(*name);
  if (!type) return tl::unexpected(type.error());

  KeyParts parts;
  parts.type = *type;
  const bool token = *type == KeyType::sk_ed25519 || *type == KeyType::sk_ecdsa_p256;
  if (*type == KeyType::rsa) {
    const auto exponent = reader.take_positive();
    const auto modulus = exponent ? reader.take_positive() : std::nullopt;
    if (!modulus) return damaged(*name);
    parts.exponent = *exponent;
    parts.modulus = *modulus;
    if (auto ok = check_rsa(parts); !ok) return tl::unexpected(ok.error());
  } else {
    std::size_t size = 32;
    if (*type != KeyType::ed25519 && *type != KeyType::sk_ed25519) {
      const bool small = *type != KeyType::ecdsa_p384;
      const auto curve = reader.take_string();
      if (!curve || *curve != (small ? "nistp256" : "nistp384")) return damaged(*name);
      size = small ? 65 : 97;
    }
    const auto point = reader.take_string();
    if (!point || point->size() != size || (size > 32 && point->front() != 0x04)) return damaged(*name);
    parts.point = *point;
  }
  if (token) {
    const auto application = reader.take_string();
    if (!application || application->empty()) return damaged(*name);
    parts.application = *application;
  }
  if (!reader.empty()) return damaged(*name);
  return parts;
}

Result<EvpKey> to_evp(const KeyParts& parts) {
  EvpKey key;
  switch (parts.type) {
    case KeyType::ed25519:
    case KeyType::sk_ed25519:
      key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(parts.point), parts.point.size()));
      break;
    case KeyType::ecdsa_p256:
    case KeyType::sk_ecdsa_p256:
      key = ec_key(parts.point, "prime256v1");
      break;
    case KeyType::ecdsa_p384:
      key = ec_key(parts.point, "secp384r1");
      break;
    case KeyType::rsa:
      key = rsa_key(parts);
      break;
  }
  if (!key) {
    ERR_clear_error();
    return damaged(key_type_name(parts.type));
  }
  return key;
}

}  // namespace ssh

Result<PublicKey> parse_public_key(std::string_view blob) {
  const auto parts = ssh::take_apart(blob);
  if (!parts) return tl::unexpected(parts.error());
  if (const auto key = ssh::to_evp(*parts); !key) return tl::unexpected(key.error());
  return PublicKey{parts->type, std::string(blob)};
}

Result<PublicKey> parse_public_key_line(std::string_view line) {
  const auto form = [](std::string_view why) {
    return fail(Errc::invalid, fmt::format("not a public key line (\"ssh-ed25519 AAAA... comment\"): {}", why));
  };
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (line.size() > 2 * kMaxKeyBlob) return form("it is too long");
  const std::size_t blank = line.find(' ');
  if (blank == 0 || blank == std::string_view::npos) return form("it needs a key type and the key");
  const std::string_view name = line.substr(0, blank);
  const std::string_view rest = line.substr(blank + 1);
  if (const auto type = type_of(name); !type) return tl::unexpected(type.error());
  const auto blob = from_base64(rest.substr(0, rest.find(' ')));
  if (!blob) return form(blob.error().message);
  auto key = parse_public_key(*blob);
  if (key && key_type_name(key->type) != name) return form(fmt::format("the key is not of type {}", name));
  return key;
}

std::string public_key_line(const PublicKey& key) {
  return fmt::format("{} {}", key_type_name(key.type), to_base64(key.blob));
}

std::string_view key_type_name(KeyType type) {
  for (const TypeName& known : kTypes) {
    if (known.type == type) return known.name;
  }
  return "unknown";
}

std::string fingerprint(const PublicKey& key) {
  const Digest digest = sha256(key.blob);
  const std::string_view bytes(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
  return "SHA256:" + to_base64(bytes, false);
}

}  // namespace jit
