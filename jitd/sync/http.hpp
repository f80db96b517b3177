// HTTP as sources need it, over libcurl: small bodies, TLS with a pinned CA and client certificates, deadlines for
// everything, no redirects, nothing taken from the environment. No exception and no signal leaves this.
//
// Files of the specification are read again for each exchange, so that renewed ones are taken; a connection lives for
// ten minutes at most (a stream as long as its reader wants), since nobody looks at its certificate again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"
#include "policy/sources.hpp"

namespace jit {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers = {};  // "Name: value"
  std::string body = {};
  std::size_t max_body = std::size_t{1} << 20;  // of the response; more is Errc::invalid
  std::chrono::milliseconds connect{5000};      // TLS included
  std::chrono::milliseconds total{15000};       // of the whole exchange; of a stream: until its headers are there
  bool accept_part = false;                     // what came of a body that broke off is a response too
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case; of several the last
  std::string body;
  std::optional<Error> broken = {};  // with accept_part: the body is not whole, and why
};

// A response that goes on until somebody closes it: this object's end does. It may not outlive its Http.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // Gives each line of it, without LF, to `line`, until that says false, `other` (-1: none) is readable or `at_most`
  // has passed; none of these is an error, and the next call goes on. Errc::unavailable: it has ended. Errc::invalid:
  // a line over the request's max_body.
  [[nodiscard]] virtual Result<void> read(const std::function<bool(std::string_view)>& line, int other,
                                          std::chrono::milliseconds at_most) = 0;
};

// Connections to the servers of one source, kept for the next call. Not for two threads at once.
class Http {
 public:
  // TLS, proxy and basic authentication as the specification says. Errors: a file of it cannot be read, or others may
  // read a key or password.
  [[nodiscard]] static Result<std::unique_ptr<Http>> make(const SourceSpec& spec);
  virtual ~Http() = default;

  // Any status is a response. Errc::unavailable: nobody answers in time; Errc::refused: the server is not who it
  // should be (certificate, name, revoked), or redirects; Errc::invalid: the response is too large or none.
  [[nodiscard]] virtual Result<HttpResponse> perform(const HttpRequest& request) = 0;

  // Begins a response that goes on for long. Any status but 200 is an error with what the body says: 429 and 5xx
  // Errc::unavailable, all others Errc::refused.
  [[nodiscard]] virtual Result<std::unique_ptr<HttpStream>> open(const HttpRequest& request) = 0;
};

// An HTTP date (RFC 9110, 5.6.7) in seconds since 1970.
[[nodiscard]] std::optional<std::int64_t> http_date(const std::string& text);

}  // namespace jit
