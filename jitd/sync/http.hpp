// HTTP as sources need it, over libcurl: small bodies, TLS with a pinned CA and client certificates, deadlines for
// everything, no redirects, nothing taken from the environment. No exception and no signal leaves this.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
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
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case; of several the last
  std::string body;
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

  // Begins a response that goes on for long. Any status but 200 is Errc::refused, with what the body says.
  [[nodiscard]] virtual Result<std::unique_ptr<HttpStream>> open(const HttpRequest& request) = 0;
};

}  // namespace jit
