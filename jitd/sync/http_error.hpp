// What libcurl says went wrong, as our errors.
#pragma once

#include <curl/curl.h>

#include <string>

#include "policy/result.hpp"
#include "policy/sources.hpp"

namespace jit {

// `words`: libcurl's error buffer, may be empty. `verify`: CURLINFO_SSL_VERIFYRESULT, what OpenSSL has against the
// server's certificate.
[[nodiscard]] Error http_error(CURLcode code, const std::string& url, const std::string& words, long verify,
                               const SourceSpec& spec);

}  // namespace jit
