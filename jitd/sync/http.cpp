#include "jitd/sync/http.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "jitd/sync/http_error.hpp"
#include "jitd/sync/source_files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMaxHeaderLines = 200;  // of one exchange, interim responses and trailers included
constexpr std::size_t kMaxHeaderLine = 8192;
constexpr std::size_t kMaxHeaders = std::size_t{64} << 10;
constexpr std::size_t kMaxExplanation = 4096;  // of an error's body
constexpr std::chrono::hours kLongestRead{24};
constexpr long kConnectionLife = 600;                       // seconds
constexpr long kIdleBeforeProbe = 30, kBetweenProbes = 10;  // seconds: a peer that is gone is noticed

struct Free {
  void operator()(CURL* easy) const noexcept { ::curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const noexcept { ::curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, Free>;
using Headers = std::unique_ptr<curl_slist, Free>;
// CURL and CURLM are both void.
struct FreeMulti {
  void operator()(CURLM* multi) const noexcept { ::curl_multi_cleanup(multi); }
};
using Multi = std::unique_ptr<CURLM, FreeMulti>;

// Once in a process, before there are threads.
CURLcode start_libcurl() noexcept {
  static const CURLcode started = [] {
    // libcurl would write the keys of every connection to the file that this names.
    (void)::unsetenv("SSLKEYLOGFILE");  // NOLINT(concurrency-mt-unsafe): see above
    return ::curl_global_init(CURL_GLOBAL_DEFAULT);
  }();
  return started;
}

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto from = text.find_first_not_of(kBlanks);
  return from == std::string_view::npos ? std::string_view()
                                        : text.substr(from, text.find_last_not_of(kBlanks) + 1 - from);
}

// A response while it comes in. libcurl calls the two functions below with it.
struct Incoming {
  CURL* easy = nullptr;
  std::size_t max_body = 0;
  bool lines = false;  // the body is taken away line by line: full, it waits
  HttpResponse response;
  bool begun = false;   // the headers of the response itself are there
  bool paused = false;  // body is full
  enum class Fault : std::uint8_t { none, headers, body, redirect, memory } fault = Fault::none;
  std::size_t header_lines = 0, header_bytes = 0;

  void header(std::string_view line);
};

void Incoming::header(std::string_view line) {
  ++header_lines;
  header_bytes += line.size();
  if (header_lines > kMaxHeaderLines || header_bytes > kMaxHeaders || line.size() > kMaxHeaderLine) {
    fault = Fault::headers;
    return;
  }
  if (begun) return;  // trailers
  if (line.starts_with("HTTP/")) {
    long status = 0;
    (void)::curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    response.headers.clear();
    return;
  }
  if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), lower);
    response.headers.insert_or_assign(std::move(name), std::string(trimmed(line.substr(colon + 1))));
    return;
  }
  // The empty line; that of a 1xx is followed by another response.
  if (!trimmed(line).empty() || response.status < 200) return;
  begun = true;
  if (response.status >= 300 && response.status < 400 && response.status != 304) fault = Fault::redirect;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* into) noexcept {
  auto& in = *static_cast<Incoming*>(into);
  try {
    in.header({data, size * count});
  } catch (const std::exception&) {
    in.fault = Incoming::Fault::memory;
  }
  return in.fault == Incoming::Fault::none ? size * count : 0;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* into) noexcept {
  auto& in = *static_cast<Incoming*>(into);
  const std::size_t bytes = size * count;
  auto& body = in.response.body;
  if (in.lines && in.response.status == 200) {
    if (body.size() > in.max_body) {
      in.paused = true;
      return CURL_WRITEFUNC_PAUSE;
    }
  } else if (bytes > in.max_body - std::min(body.size(), in.max_body)) {
    in.fault = Incoming::Fault::body;
    return 0;
  }
  try {
    body.append(data, bytes);
  } catch (const std::exception&) {
    in.fault = Incoming::Fault::memory;
    return 0;
  }
  return bytes;
}

// Options of one handle, the first failure of them kept.
class Options {
 public:
  explicit Options(CURL* easy) : easy_(easy) {}
  template <class T>
  void set(CURLoption option, T value) {
    const CURLcode code = ::curl_easy_setopt(easy_, option, value);
    if (first_ == CURLE_OK) first_ = code;
  }
  void set(CURLoption option, std::string& bytes) {  // a blob, copied
    curl_blob blob{bytes.data(), bytes.size(), CURL_BLOB_COPY};
    set(option, &blob);
  }
  [[nodiscard]] CURLcode first() const { return first_; }

 private:
  CURL* easy_;
  CURLcode first_ = CURLE_OK;
};

// What one exchange needs while it goes on.
struct Exchange {
  Incoming in;
  Headers headers;
  std::string body;
  std::array<char, CURL_ERROR_SIZE> words{};

  [[nodiscard]] Result<void> prepare(CURL* easy, const SourceSpec& spec, const HttpRequest& request);
  [[nodiscard]] Error error(CURLcode code, const HttpRequest& request, const SourceSpec& spec) const;

 private:
  [[nodiscard]] Result<void> add_headers(const HttpRequest& request);
};

Result<void> Exchange::add_headers(const HttpRequest& request) {
  const auto add = [&](const char* line) {
    curl_slist* longer = ::curl_slist_append(headers.get(), line);
    if (longer == nullptr) return false;
    (void)headers.release();
    headers.reset(longer);
    return true;
  };
  bool added = add("Expect:");  // no waiting for a 100
  for (const std::string& line : request.headers) {
    // Some hold what a server said (ETag): it may not begin lines of its own.
    if (std::any_of(line.begin(), line.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; }))
      return fail(Errc::invalid, "a header with a control character: " + shown(line, 200));
    added = added && add(line.c_str());
  }
  const auto is_type = [](const std::string& line) {
    std::string name = line.substr(0, line.find(':'));
    std::transform(name.begin(), name.end(), name.begin(), lower);
    return name == "content-type";
  };
  if (!request.body.empty() && std::none_of(request.headers.begin(), request.headers.end(), is_type))
    added = added && add("Content-Type: application/octet-stream");
  if (!added) return fail(Errc::system, "out of memory");
  return {};
}

Result<void> Exchange::prepare(CURL* easy, const SourceSpec& spec, const HttpRequest& request) {
  auto files = read_source_files(spec);
  if (!files) return tl::unexpected(files.error());
  if (auto added = add_headers(request); !added) return added;
  ::curl_easy_reset(easy);  // keeps connections
  in.easy = easy;
  in.max_body = request.max_body;
  body = request.body;

  Options options(easy);
  options.set(CURLOPT_URL, request.url.c_str());
  options.set(CURLOPT_PROTOCOLS_STR, "http,https");
  options.set(CURLOPT_FOLLOWLOCATION, 0L);
  options.set(CURLOPT_PATH_AS_IS, 1L);
  options.set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  options.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  options.set(CURLOPT_HTTP09_ALLOWED, 0L);
  options.set(CURLOPT_USERAGENT, "pam_jit");
  options.set(CURLOPT_HTTPHEADER, headers.get());

  options.set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.method == "HEAD") options.set(CURLOPT_NOBODY, 1L);
  if (!body.empty() || request.method == "PUT" || request.method == "POST") {
    options.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    options.set(CURLOPT_POSTFIELDS, body.c_str());
  }

  options.set(CURLOPT_NOSIGNAL, 1L);
  options.set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect.count()));
  options.set(CURLOPT_TIMEOUT_MS, in.lines ? 0L : static_cast<long>(request.total.count()));
  // A name service that hangs is asked by a thread of libcurl's, which nobody waits for past the deadline.
  options.set(CURLOPT_QUICK_EXIT, 1L);
  options.set(CURLOPT_MAXLIFETIME_CONN, kConnectionLife);
  options.set(CURLOPT_MAXCONNECTS, 4L);
  options.set(CURLOPT_TCP_KEEPALIVE, 1L);
  options.set(CURLOPT_TCP_KEEPIDLE, kIdleBeforeProbe);
  options.set(CURLOPT_TCP_KEEPINTVL, kBetweenProbes);

  options.set(CURLOPT_HEADERFUNCTION, &on_header);
  options.set(CURLOPT_HEADERDATA, &in);
  options.set(CURLOPT_WRITEFUNCTION, &on_body);
  options.set(CURLOPT_WRITEDATA, &in);
  options.set(CURLOPT_ERRORBUFFER, words.data());

  options.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  options.set(CURLOPT_SSL_VERIFYPEER, 1L);
  options.set(CURLOPT_SSL_VERIFYHOST, 2L);
  options.set(CURLOPT_SSL_SESSIONID_CACHE, 0L);  // a session taken up again verifies no certificate
  if (!files->ca.empty()) {
    options.set(CURLOPT_CAINFO, nullptr);
    options.set(CURLOPT_CAPATH, nullptr);
    options.set(CURLOPT_CAINFO_BLOB, files->ca);
  }
  if (!spec.crl.empty()) options.set(CURLOPT_CRLFILE, spec.crl.c_str());
  if (!files->certificate.empty()) {
    options.set(CURLOPT_SSLCERTTYPE, "PEM");
    options.set(CURLOPT_SSLCERT_BLOB, files->certificate);
    options.set(CURLOPT_SSLKEYTYPE, "PEM");
    options.set(CURLOPT_SSLKEY_BLOB, files->key);
    options.set(CURLOPT_KEYPASSWD, "");  // an encrypted key is an error, not a question on the terminal
  }

  options.set(CURLOPT_PROXY, spec.proxy.c_str());  // "": none, whatever the environment says
  options.set(CURLOPT_NOPROXY, "");
  options.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  options.set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  if (spec.type == SourceSpec::Type::https && !spec.user.empty()) {
    options.set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    options.set(CURLOPT_USERNAME, spec.user.c_str());
    options.set(CURLOPT_PASSWORD, files->password.c_str());
  }
  if (options.first() != CURLE_OK) return tl::unexpected(http_error(options.first(), request.url, {}, 0, spec));
  return {};
}

Error Exchange::error(CURLcode code, const HttpRequest& request, const SourceSpec& spec) const {
  const std::string where = shown(request.url, 400) + ": ";
  // libcurl has a bound of its own for a line.
  const bool long_line = code == CURLE_OUT_OF_MEMORY && in.header_lines > 0 && !in.begun;
  switch (long_line ? Incoming::Fault::headers : in.fault) {
    case Incoming::Fault::redirect: {
      const auto location = in.response.headers.find("location");
      const std::string to = location == in.response.headers.end() ? "" : " to " + shown(location->second, 400);
      return {Errc::refused,
              where + "it redirects (" + std::to_string(in.response.status) + to +
                  "), and redirects are not followed: give the URL where it really is",
              0};
    }
    case Incoming::Fault::headers:
      return {Errc::invalid, where + "its headers are too many or too large", 0};
    case Incoming::Fault::body:
      return {Errc::invalid, where + "its answer has more than " + std::to_string(in.max_body) + " bytes", 0};
    case Incoming::Fault::memory:
      return {Errc::system, where + "out of memory", 0};
    case Incoming::Fault::none:
      break;
  }
  long verify = 0;
  (void)::curl_easy_getinfo(in.easy, CURLINFO_SSL_VERIFYRESULT, &verify);
  return http_error(code, request.url, std::string(words.data()), verify, spec);
}

bool readable(int fd) noexcept {
  pollfd entry{fd, POLLIN, 0};
  return fd >= 0 && ::poll(&entry, 1, 0) > 0;
}

class CurlStream final : public HttpStream {
 public:
  CurlStream(const SourceSpec& spec, HttpRequest request) : spec_(spec), request_(std::move(request)) {}
  ~CurlStream() override {
    if (multi_ && easy_) (void)::curl_multi_remove_handle(multi_.get(), easy_.get());
  }
  CurlStream(const CurlStream&) = delete;
  CurlStream& operator=(const CurlStream&) = delete;

  // Until the headers are there.
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Result<void> read(const std::function<bool(std::string_view)>& line, int other,
                                  milliseconds at_most) override;

 private:
  // Takes what is there; waits for more when that was nothing.
  [[nodiscard]] Result<void> turn(int other, Clock::time_point until);
  // False: `line` wants no more for now.
  [[nodiscard]] bool deliver(const std::function<bool(std::string_view)>& line);
  [[nodiscard]] Error ended() const;

  const SourceSpec& spec_;
  HttpRequest request_;
  Exchange exchange_;
  Easy easy_;  // before multi_, and so freed after it
  Multi multi_;
  std::optional<CURLcode> over_;
};

Result<void> CurlStream::begin() {
  easy_.reset(::curl_easy_init());
  multi_.reset(::curl_multi_init());
  if (!easy_ || !multi_) return fail(Errc::system, "out of memory");
  exchange_.in.lines = true;
  if (auto prepared = exchange_.prepare(easy_.get(), spec_, request_); !prepared) return prepared;
  if (::curl_multi_add_handle(multi_.get(), easy_.get()) != CURLM_OK) return fail(Errc::system, "out of memory");
  const auto until = Clock::now() + request_.total;
  const auto& response = exchange_.in.response;
  while (!over_ && !exchange_.in.begun) {
    if (Clock::now() >= until)
      return fail(Errc::unavailable,
                  shown(request_.url, 400) + ": no answer within " + std::to_string(request_.total.count()) + " ms");
    if (auto turned = turn(-1, until); !turned) return turned;
  }
  if (!exchange_.in.begun) return tl::unexpected(ended());
  if (response.status == 200) return {};
  while (!over_ && response.body.size() < kMaxExplanation && Clock::now() < until) {
    if (auto turned = turn(-1, until); !turned) return turned;
  }
  if (exchange_.in.fault == Incoming::Fault::redirect) return tl::unexpected(ended());
  const bool passing = response.status == 429 || response.status >= 500;
  return fail(passing ? Errc::unavailable : Errc::refused,
              shown(request_.url, 400) + ": status " + std::to_string(response.status) + ": " +
                  shown(std::string_view(response.body).substr(0, kMaxExplanation), 400));
}

Result<void> CurlStream::turn(int other, Clock::time_point until) {
  const std::size_t before = exchange_.in.response.body.size();
  int running = 0;
  if (exchange_.in.paused) {
    exchange_.in.paused = false;
    (void)::curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
  }
  if (::curl_multi_perform(multi_.get(), &running) != CURLM_OK) return fail(Errc::system, "libcurl cannot go on");
  for (int left = 0; const CURLMsg* message = ::curl_multi_info_read(multi_.get(), &left);) {
    if (message->msg == CURLMSG_DONE) over_ = message->data.result;
  }
  if (over_ || exchange_.in.response.body.size() != before) return {};
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
  if (left <= milliseconds(0)) return {};
  curl_waitfd extra{other, CURL_WAIT_POLLIN, 0};
  const int wait = static_cast<int>(std::min(left, milliseconds(60000)).count());
  const CURLMcode polled =
      ::curl_multi_poll(multi_.get(), other >= 0 ? &extra : nullptr, other >= 0 ? 1U : 0U, wait, nullptr);
  if (polled != CURLM_OK) return fail(Errc::system, "libcurl cannot wait");
  return {};
}

bool CurlStream::deliver(const std::function<bool(std::string_view)>& line) {
  auto& body = exchange_.in.response.body;
  std::size_t at = 0;
  bool more = true;
  for (std::size_t end = 0; more && (end = body.find('\n', at)) != std::string::npos; at = end + 1)
    more = line(std::string_view(body).substr(at, end - at));
  body.erase(0, at);
  return more;
}

Error CurlStream::ended() const {
  if (over_ && *over_ == CURLE_OK)
    return {Errc::unavailable, shown(request_.url, 400) + ": the server has ended its answer", 0};
  return exchange_.error(over_.value_or(CURLE_OK), request_, spec_);
}

Result<void> CurlStream::read(const std::function<bool(std::string_view)>& line, int other, milliseconds at_most) {
  const auto until = Clock::now() + std::clamp(at_most, milliseconds(0), milliseconds(kLongestRead));
  while (deliver(line)) {
    if (exchange_.in.response.body.size() > request_.max_body)
      return fail(Errc::invalid,
                  shown(request_.url, 400) + ": a line of more than " + std::to_string(request_.max_body) + " bytes");
    if (over_) return tl::unexpected(ended());
    if (Clock::now() >= until || readable(other)) return {};
    if (auto turned = turn(other, until); !turned) return turned;
  }
  return {};
}

class CurlHttp final : public Http {
 public:
  CurlHttp(SourceSpec spec, Easy easy) : spec_(std::move(spec)), easy_(std::move(easy)) {}
  [[nodiscard]] Result<HttpResponse> perform(const HttpRequest& request) override;
  [[nodiscard]] Result<std::unique_ptr<HttpStream>> open(const HttpRequest& request) override;

 private:
  SourceSpec spec_;
  Easy easy_;
};

Result<HttpResponse> CurlHttp::perform(const HttpRequest& request) {
  Exchange exchange;
  if (auto prepared = exchange.prepare(easy_.get(), spec_, request); !prepared)
    return tl::unexpected(prepared.error());
  const CURLcode code = ::curl_easy_perform(easy_.get());
  Error error;
  if (code != CURLE_OK) error = exchange.error(code, request, spec_);
  ::curl_easy_reset(easy_.get());  // it points into `exchange`
  if (code == CURLE_OK) return std::move(exchange.in.response);
  if (!request.accept_part || !exchange.in.begun || exchange.in.fault != Incoming::Fault::none)
    return tl::unexpected(std::move(error));
  exchange.in.response.broken = std::move(error);
  return std::move(exchange.in.response);
}

Result<std::unique_ptr<HttpStream>> CurlHttp::open(const HttpRequest& request) {
  auto stream = std::make_unique<CurlStream>(spec_, request);
  if (auto begun = stream->begin(); !begun) return tl::unexpected(begun.error());
  return stream;
}

// A password goes in the clear where there is no TLS.
bool in_the_clear(const SourceSpec& spec) {
  if (spec.user.empty()) return false;
  return std::any_of(spec.servers.begin(), spec.servers.end(), [](std::string_view server) {
    if (!server.starts_with("http://")) return false;
    server = server.substr(7, server.find('/', 7) - 7);
    const std::string host(server.substr(0, server.starts_with('[') ? server.find(']') + 1 : server.find(':')));
    in_addr address{};
    const bool v4 =
        ::inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == IN_LOOPBACKNET;
    return !v4 && host != "[::1]" && host != "localhost";
  });
}

}  // namespace

Result<std::unique_ptr<Http>> Http::make(const SourceSpec& spec) {
  if (const CURLcode started = start_libcurl(); started != CURLE_OK)
    return fail(Errc::system, std::string("libcurl does not start: ") + ::curl_easy_strerror(started));
  if (in_the_clear(spec))
    return fail(Errc::invalid, "a user and password need https: over http anybody could read them");
  if (auto files = read_source_files(spec); !files) return tl::unexpected(files.error());
  Easy easy(::curl_easy_init());
  if (!easy) return fail(Errc::system, "out of memory");
  return std::make_unique<CurlHttp>(spec, std::move(easy));
}

std::optional<std::int64_t> http_date(const std::string& text) {
  const auto time = static_cast<std::int64_t>(::curl_getdate(text.c_str(), nullptr));
  if (time < 0) return std::nullopt;
  return time;
}

}  // namespace jit
