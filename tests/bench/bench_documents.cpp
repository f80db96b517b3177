// How many documents a second jitd can verify on one core: envelope, key look-up, SSHSIG verification, TOML; beside
// it OpenSSL's bare ed25519 verification in the same run, over a message of the same size as SSHSIG's own. Prints one
// table.
#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "policy/document/verify.hpp"

namespace {

using Steady = std::chrono::steady_clock;

constexpr int kRounds = 3000;

jit::Request sample_request(const std::string& host_key) {
  jit::Request request;
  request.host = "db1";
  request.host_key = host_key;
  request.user = "alice";
  request.uid = 1001;
  request.requesters = {{"alice", false}};
  request.role = "postgres-admin";
  request.duration = jit::Seconds(3600);
  request.reason = "vacuum stuck on orders";
  request.created = jit::WallTime(jit::Seconds(1700000000));
  request.expires = request.created + std::chrono::hours(24);
  request.origin = "local";
  request.effects = "group postgres gid 113\nsudo as postgres uid 106: /usr/bin/psql [record]\n";
  request.policy = jit::digest_text(jit::sha256("policy"));
  request.nonce = jit::make_nonce();
  return request;
}

// Median and worst of a hundredth, in microseconds.
void report(const char* name, std::vector<double>& us, double baseline) {
  std::sort(us.begin(), us.end());
  const double p50 = us[us.size() / 2];
  const double p99 = us[us.size() * 99 / 100];
  std::printf("%-34s p50 %8.1f us   p99 %8.1f us   %8.0f/s   %5.1f%% of bare ed25519\n", name, p50, p99, 1e6 / p50,
              baseline > 0 ? 100 * baseline / p50 : 100.0);
}

template <class Work>
std::vector<double> measure(Work&& work) {
  std::vector<double> us;
  us.reserve(kRounds);
  for (int i = 0; i < kRounds; ++i) {
    const auto start = Steady::now();
    work();
    us.push_back(std::chrono::duration<double, std::micro>(Steady::now() - start).count());
  }
  return us;
}

}  // namespace

int main() {
  auto key = jit::SigningKey::generate();
  if (!key) return 1;
  const std::string payload = jit::to_payload(sample_request(jit::fingerprint(key->public_key())));
  auto blob = key->sign(payload, "jit-request");
  if (!blob) return 1;
  const std::string file = jit::to_text(jit::Envelope{payload, {*blob}});

  jit::TrustSet trust;
  trust.hosts = jit::parse_trust("hosts", "db1 " + jit::public_key_line(key->public_key()) + "\n");

  // The same sum as OpenSSL does for us, without anything of ours around it.
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  const Key bare(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  const std::string message(110, 'x');
  std::string signature(64, '\0');
  std::size_t size = signature.size();
  {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, bare.get()) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       reinterpret_cast<const unsigned char*>(message.data()), message.size()) != 1)
      return 1;
  }
  bool good = true;
  auto openssl = measure([&] {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    good = good && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, bare.get()) == 1 &&
           EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                            reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
  });
  auto ours = measure([&] {
    auto envelope = jit::parse_envelope(file);
    good = good && envelope && jit::verify_document(std::move(*envelope), trust, "bench").has_value();
  });
  if (!good) {
    std::fprintf(stderr, "bench_documents: a good document did not verify\n");
    return 1;
  }
  std::sort(openssl.begin(), openssl.end());
  const double baseline = openssl[openssl.size() / 2];
  report("OpenSSL ed25519 verify, bare", openssl, 0);
  report("document, bytes to verified value", ours, baseline);
  return 0;
}
