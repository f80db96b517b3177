#include "jitd/sync/http_error.hpp"

#include <openssl/x509_vfy.h>

#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kShown = 400;

// What to do about a certificate that is refused; " (...)" or nothing where libcurl's words say it all.
std::string advice(long verify, const SourceSpec& spec) {
  switch (verify) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return " (renew it there, and look at the clock here)";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return " (look at the clock here)";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return spec.ca.empty() ? " (no CA of this system signed it; \"ca\" may name another)"
                             : " (no CA in " + shown(spec.ca) + " signed it)";
    case X509_V_ERR_UNABLE_TO_GET_CRL:
      return " (" + shown(spec.crl) + " must have a list of every CA in its chain)";
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return " (renew " + shown(spec.crl) + ")";
    default:
      return {};
  }
}

// Which of our files it is that cannot be used; each was readable a moment ago.
std::string bad_file(CURLcode code, const SourceSpec& spec) {
  if (code == CURLE_SSL_CRL_BADFILE) return shown(spec.crl) + " has no revocation list in PEM: ";
  if (code == CURLE_SSL_CERTPROBLEM)
    return shown(spec.certificate) + " and " + shown(spec.key) + " are no certificate and its key in PEM: ";
  return spec.ca.empty() ? "this system's CAs cannot be used: " : shown(spec.ca) + " has no certificate in PEM: ";
}

}  // namespace

Error http_error(CURLcode code, const std::string& url, const std::string& words, long verify,
                 const SourceSpec& spec) {
  std::string_view said = words.empty() ? std::string_view(curl_easy_strerror(code)) : std::string_view(words);
  const std::string where = shown(url, kShown) + ": ";
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION: {
      constexpr std::string_view kPrefix = "SSL certificate problem: ";
      if (said.starts_with(kPrefix)) said.remove_prefix(kPrefix.size());
      return {Errc::refused,
              where + "the server's certificate is refused: " + shown(said, kShown) + advice(verify, spec), 0};
    }
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return {Errc::invalid, bad_file(code, spec) + shown(said, kShown), 0};
    case CURLE_OUT_OF_MEMORY:
      return {Errc::system, where + "out of memory", 0};
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:  // also an answer without a status line
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return {Errc::invalid, where + "no HTTP: " + shown(said, kShown), 0};
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_RECV_ERROR: {
      // An alert (RFC 8446, 6) is the server's no: to our certificate, to the want of one, to our TLS.
      const bool alert = said.find(" alert ") != std::string_view::npos;
      return {alert ? Errc::refused : Errc::unavailable,
              where + (alert ? "the server refuses us: " : "") + shown(said, kShown), 0};
    }
    default:
      return {Errc::unavailable, where + shown(said, kShown), 0};
  }
}

}  // namespace jit
