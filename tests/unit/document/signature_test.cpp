// Signatures, both ways with stock ssh-keygen: what it signs verifies here, what we sign verifies there.
#include "policy/document/signature.hpp"

#include <openssl/evp.h>

#include <memory>

#include "policy/digest.hpp"
#include "policy/document/envelope.hpp"
#include "policy/document/ssh_wire.hpp"
#include "policy/text.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/document/support.hpp"

using namespace jit;
using namespace jit::test;

namespace {

constexpr const char* kSkDummy = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";
const std::string kNamespace = "jit-grant";

Result<Signature> signature_of(std::string_view armored) {
  return parse_armor(armored).and_then([](const std::string& blob) { return parse_signature(blob); });
}

bool says(const Error& error, std::string_view part) {
  INFO(error.message);
  return error.message.find(part) != std::string::npos;
}

// A software FIDO2 token: signs what a token would, with the flags asked for.
std::string token_signature(std::string_view message, std::uint8_t flags) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"),
                                                                &EVP_PKEY_free);
  std::string raw(32, '\0');
  std::size_t size = raw.size();
  REQUIRE(EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(raw.data()), &size) == 1);
  const auto bytes = [](const Digest& digest) {
    return std::string(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
  };
  std::string blob;
  ssh::put_string(blob, "sk-ssh-ed25519@openssh.com");
  ssh::put_string(blob, raw);
  ssh::put_string(blob, "ssh:");
  std::string data = "SSHSIG";
  for (const std::string& part : {kNamespace, std::string(), std::string("sha256"), bytes(sha256(message))})
    ssh::put_string(data, part);
  std::string covered = bytes(sha256("ssh:"));
  covered += static_cast<char>(flags);
  ssh::put_u32(covered, 7);
  covered += bytes(sha256(data));
  std::string signed_raw(64, '\0');
  size = signed_raw.size();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  REQUIRE(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
  REQUIRE(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signed_raw.data()), &size,
                         reinterpret_cast<const unsigned char*>(covered.data()), covered.size()) == 1);
  std::string inner;
  ssh::put_string(inner, "sk-ssh-ed25519@openssh.com");
  ssh::put_string(inner, signed_raw);
  inner += static_cast<char>(flags);
  ssh::put_u32(inner, 7);
  std::string out = "SSHSIG";
  ssh::put_u32(out, 1);
  ssh::put_string(out, blob);
  ssh::put_string(out, kNamespace);
  ssh::put_string(out, "");
  ssh::put_string(out, "sha256");
  ssh::put_string(out, inner);
  return out;
}

// The fields of a signature blob, to put together again with one changed.
struct Parts {
  std::uint32_t version = 1;
  std::string key, name_space, reserved, hash, inner;

  static Parts of(std::string_view blob) {
    ssh::Reader reader(blob);
    REQUIRE(reader.take_literal("SSHSIG"));
    Parts parts;
    parts.version = reader.take_u32().value();
    for (std::string* field : {&parts.key, &parts.name_space, &parts.reserved, &parts.hash, &parts.inner}) {
      *field = reader.take_string().value();
    }
    return parts;
  }
  [[nodiscard]] std::string blob() const {
    std::string out = "SSHSIG";
    ssh::put_u32(out, version);
    for (const std::string* field : {&key, &name_space, &reserved, &hash, &inner}) ssh::put_string(out, *field);
    return out;
  }
};

}  // namespace

TEST_CASE("signatures by ssh-keygen verify, for each key type (vectors)", "[document][signature]") {
  const std::string message = vector_file("message");
  for (const std::string name : {"ed25519", "ecdsa256", "ecdsa384", "rsa3072", "ed25519-sk", "ecdsa-sk"}) {
    INFO(name);
    const auto key = parse_public_key_line(vector_file(name + ".pub"));
    REQUIRE(key.has_value());
    const auto signature = signature_of(vector_file(name + ".sig"));
    REQUIRE(signature.has_value());
    CHECK(signature->key == *key);
    CHECK(verify(*signature, message, kNamespace).has_value());
    CHECK_FALSE(verify(*signature, message + " ", kNamespace));
    CHECK_FALSE(verify(*signature, message.substr(1), kNamespace));
    CHECK(says(verify(*signature, message, "jit-review").error(), "signed in namespace"));
    CHECK_FALSE(verify(*signature, message, ""));
    const std::string line = public_key_line(*key);
    CHECK(vector_file(name + ".pub").substr(0, line.size()) == line);
  }
}

TEST_CASE("every bit of a signature counts, for each key type", "[document][signature]") {
  const std::string message = vector_file("message");
  for (const std::string name : {"ed25519", "ecdsa256", "ecdsa384", "rsa3072", "ed25519-sk", "ecdsa-sk"}) {
    INFO(name);
    const std::string blob = parse_armor(vector_file(name + ".sig")).value();
    const PublicKey key = parse_public_key_line(vector_file(name + ".pub")).value();
    std::size_t accepted = 0;
    for (std::size_t bit = 0; bit < blob.size() * 8; ++bit) {
      std::string changed = blob;
      changed[bit / 8] = static_cast<char>(static_cast<unsigned char>(changed[bit / 8]) ^ (1U << (bit % 8)));
      const auto signature = parse_signature(changed);
      if (signature && signature->key == key && verify(*signature, message, kNamespace)) ++accepted;
    }
    CHECK(accepted == 0);
    // Neither less nor more.
    for (std::size_t size = 0; size < blob.size(); ++size) CHECK_FALSE(parse_signature(blob.substr(0, size)));
    CHECK_FALSE(parse_signature(blob + '\0'));
  }
}

TEST_CASE("keys that are not accepted are refused by name", "[document][signature]") {
  const auto refused = [](const std::string& name) {
    const auto key = parse_public_key_line(vector_file(name + ".pub"));
    const auto signature = signature_of(vector_file(name + ".sig"));
    REQUIRE_FALSE(key.has_value());
    REQUIRE_FALSE(signature.has_value());
    CHECK(signature.error().code == Errc::refused);
    return key.error().message + " | " + signature.error().message;
  };
  CHECK(refused("rsa2048").find("RSA key of 2048 bits is too small") != std::string::npos);
  CHECK(refused("ecdsa521").find("ecdsa-sha2-nistp521") != std::string::npos);
  CHECK(refused("dsa").find("ssh-dss") != std::string::npos);
  CHECK(refused("cert").find("ssh-ed25519-cert-v01@openssh.com is a certificate") != std::string::npos);
}

TEST_CASE("a security key has to be touched", "[document][signature]") {
  const std::string message = vector_file("message");
  // ssh-keygen -Y verify calls this one good.
  const auto untouched = signature_of(vector_file("notouch.sig"));
  REQUIRE(untouched.has_value());
  CHECK((untouched->sk_flags & kSkUserPresent) == 0);
  CHECK(says(verify(*untouched, message, kNamespace).error(), "not touched"));

  const auto touched = parse_signature(token_signature(message, kSkUserPresent)).value();
  CHECK(verify(touched, message, kNamespace).has_value());
  const auto verified = parse_signature(token_signature(message, kSkUserPresent | kSkUserVerified)).value();
  CHECK(verify(verified, message, kNamespace).has_value());
  CHECK(verified.sk_flags == (kSkUserPresent | kSkUserVerified));
  CHECK(verified.sk_counter == 7);
  const auto without = parse_signature(token_signature(message, 0)).value();
  CHECK_FALSE(verify(without, message, kNamespace));
  // The flag cannot be put on afterwards: the token signed it.
  Signature forged = without;
  forged.sk_flags = kSkUserPresent;
  CHECK(says(verify(forged, message, kNamespace).error(), "does not fit"));
  Signature counted = touched;
  counted.sk_counter += 1;
  CHECK_FALSE(verify(counted, message, kNamespace));
}

TEST_CASE("the blob is read strictly: version, reserved, namespace, hash, algorithm", "[document][signature]") {
  const std::string blob = parse_armor(vector_file("rsa3072.sig")).value();
  const Parts good = Parts::of(blob);
  REQUIRE(good.blob() == blob);
  const auto refused = [](Parts parts, std::string_view part) {
    const auto parsed = parse_signature(parts.blob());
    REQUIRE_FALSE(parsed.has_value());
    CHECK(says(parsed.error(), part));
  };
  Parts parts = good;
  parts.version = 2;
  refused(parts, "version 2");
  parts = good, parts.version = 0;
  refused(parts, "version 0");
  parts = good, parts.reserved = "x";
  refused(parts, "reserved");
  parts = good, parts.name_space = "";
  refused(parts, "namespace");
  parts = good, parts.name_space = std::string(65, 'a');
  refused(parts, "namespace");
  parts = good, parts.hash = "sha1";
  refused(parts, "hash \"sha1\"");
  parts = good, parts.key += '\0';
  refused(parts, "damaged ssh-rsa key");
  parts = good, parts.inner += '\0';
  refused(parts, "bytes behind it");
  ssh::Reader inner(good.inner);
  REQUIRE(inner.take_string().value() == "rsa-sha2-512");
  const std::string raw(inner.take_string().value());
  for (const std::string algorithm : {"ssh-rsa", "ssh-ed25519", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com", ""}) {
    parts = good;
    parts.inner.clear();
    ssh::put_string(parts.inner, algorithm);
    ssh::put_string(parts.inner, raw);
    refused(parts, "algorithm \"" + algorithm + "\"");
  }
  // rsa-sha2-512's numbers under the name of rsa-sha2-256 parse, and do not verify.
  parts = good;
  parts.inner.clear();
  ssh::put_string(parts.inner, "rsa-sha2-256");
  ssh::put_string(parts.inner, raw);
  CHECK_FALSE(verify(parse_signature(parts.blob()).value(), vector_file("message"), kNamespace));
  // Lengths that claim more than there is.
  std::string claims = "SSHSIG";
  ssh::put_u32(claims, 1);
  ssh::put_u32(claims, 0xffffffff);
  CHECK_FALSE(parse_signature(claims));
}

TEST_CASE("keys are read to their last byte", "[document][signature]") {
  const PublicKey ec = parse_public_key_line(vector_file("ecdsa256.pub")).value();
  CHECK_FALSE(parse_public_key(ec.blob + '\0'));
  CHECK_FALSE(parse_public_key(ec.blob.substr(0, ec.blob.size() - 1)));
  CHECK_FALSE(parse_public_key(""));
  std::string off_curve = ec.blob;
  off_curve.back() = static_cast<char>(off_curve.back() ^ 1);
  CHECK_FALSE(parse_public_key(off_curve));
  std::string infinity;
  ssh::put_string(infinity, "ecdsa-sha2-nistp256");
  ssh::put_string(infinity, "nistp256");
  ssh::put_string(infinity, std::string(1, '\0'));
  CHECK_FALSE(parse_public_key(infinity));

  const auto rsa = [](std::string e, std::string n) {
    std::string blob;
    ssh::put_string(blob, "ssh-rsa");
    ssh::put_string(blob, e);
    ssh::put_string(blob, n);
    return parse_public_key(blob);
  };
  const std::string e("\x01\x00\x01", 3);
  const std::string n = std::string(1, '\0') + std::string(384, '\xfd');
  CHECK(rsa(e, n).has_value());
  CHECK_FALSE(rsa(std::string(1, '\x03'), n));                            // small exponent
  CHECK_FALSE(rsa(std::string("\x01\x00\x00", 3), n));                    // even
  CHECK_FALSE(rsa(std::string(1, '\0') + e, n));                          // not the one form of the number
  CHECK_FALSE(rsa(e, std::string(384, '\xfd')));                          // negative
  CHECK_FALSE(rsa(e, std::string("\x7f") + std::string(382, '\xfd')));    // 3063 bits
  CHECK_FALSE(rsa(e, std::string(1, '\0') + std::string(384, '\xfe')));   // even modulus
  CHECK_FALSE(rsa(e, std::string(1, '\0') + std::string(2049, '\xfd')));  // over 16384 bits
  CHECK_FALSE(rsa(e, ""));

  const std::string line = vector_file("ed25519.pub");
  CHECK(parse_public_key_line(line).has_value());
  CHECK_FALSE(parse_public_key_line(""));
  CHECK_FALSE(parse_public_key_line("ssh-ed25519"));
  CHECK_FALSE(parse_public_key_line("ssh-ed25519 AAAA"));
  CHECK_FALSE(parse_public_key_line("ssh-rsa" + line.substr(11)));  // another type than the key's own
  CHECK_FALSE(parse_public_key_line(" " + line));
}

TEST_CASE("our own key signs, is kept as PEM, and asks nobody for a passphrase", "[document][signature]") {
  const SigningKey key = new_key();
  const std::string pem = key.to_pem().value();
  CHECK(pem.rfind("-----BEGIN PRIVATE KEY-----\n", 0) == 0);
  const SigningKey again = SigningKey::from_pem(pem).value();
  CHECK(again.public_key() == key.public_key());
  const auto signature = parse_signature(again.sign("text", "jit-request").value()).value();
  CHECK(signature.key == key.public_key());
  CHECK(verify(signature, "text", "jit-request").has_value());
  CHECK_FALSE(key.sign("text", ""));
  CHECK_FALSE(SigningKey::from_pem(""));
  CHECK_FALSE(SigningKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
  const TempDir dir;
  const std::string rsa = run({"openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}).out;
  CHECK(says(SigningKey::from_pem(rsa).error(), "not an ed25519 key"));
  const std::string locked = run({"openssl", "pkcs8", "-topk8", "-passout", "pass:x"}, pem).out;
  REQUIRE(locked.find("ENCRYPTED") != std::string::npos);
  CHECK(says(SigningKey::from_pem(locked).error(), "not an unencrypted private key"));
}

TEST_CASE("ssh-keygen and we agree, live, for each key type", "[document][signature]") {
  const TempDir dir;
  const std::string message = dir.file("message", "a payload\nof two lines\n");
  struct Kind {
    const char* type;
    const char* bits;
  };
  for (const Kind kind : {Kind{"ed25519", "0"}, Kind{"ecdsa", "256"}, Kind{"ecdsa", "384"}, Kind{"rsa", "3072"},
                          Kind{"ed25519-sk", "0"}, Kind{"ecdsa-sk", "0"}}) {
    INFO(kind.type << ' ' << kind.bits);
    const std::string key = (dir.path() / (std::string(kind.type) + kind.bits)).string();
    const std::vector<std::string> token = {std::string("SSH_SK_PROVIDER=") + kSkDummy};
    const bool sk = std::string_view(kind.type).find("-sk") != std::string_view::npos;
    if (sk && !std::filesystem::exists(kSkDummy)) {
      WARN("package openssh-tests is not installed: live sk- keys were not tried");
      continue;
    }
    std::vector<std::string> make = {"ssh-keygen", "-q", "-t", kind.type, "-N", "", "-f", key};
    if (std::string_view(kind.bits) != "0") make.insert(make.end(), {"-b", kind.bits});
    REQUIRE(run(make, "", token).status == 0);
    const Ran theirs =
        run({"ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "jit-review"}, read_file(message), token);
    REQUIRE(theirs.status == 0);
    const auto signature = signature_of(theirs.out);
    REQUIRE(signature.has_value());
    CHECK(verify(*signature, read_file(message), "jit-review").has_value());
    CHECK(signature->key == parse_public_key_line(read_file(key + ".pub")).value());
    // The fingerprint that people compare is the one ssh-keygen prints.
    const Ran listed = run({"ssh-keygen", "-l", "-f", key + ".pub"});
    CHECK(listed.out.find(fingerprint(signature->key) + " ") != std::string::npos);
  }

  const SigningKey ours = new_key();
  const std::string allowed = dir.file("allowed", "db1.example.org " + public_key_line(ours.public_key()) + "\n");
  const std::string armor = dir.file("armor", to_armor(ours.sign(read_file(message), "jit-request").value()));
  const std::vector<std::string> check = {"ssh-keygen",      "-Y", "verify",      "-f", allowed, "-I",
                                          "db1.example.org", "-n", "jit-request", "-s", armor};
  CHECK(run(check, read_file(message)).status == 0);
  CHECK(run(check, read_file(message) + "x").status != 0);
}
