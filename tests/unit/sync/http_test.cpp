// HTTP against servers that do what they should not: every exchange ends in time and in bounds, with an error that
// says why.
#include "jitd/sync/http.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <cstdlib>

#include "jitd/sync/source_files.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sync/loopback.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::synctest;
using hosttest::TempDir;
using std::chrono::milliseconds;
using Connection = Loopback::Connection;

namespace {

SourceSpec spec_of(const std::string& url) {
  auto spec = parse_source_url(url);
  REQUIRE(spec.has_value());
  return *spec;
}

std::unique_ptr<Http> client(const SourceSpec& spec) {
  auto http = Http::make(spec);
  INFO((http ? "" : http.error().message));
  REQUIRE(http.has_value());
  return std::move(*http);
}

HttpRequest get(const Loopback& server, std::string_view path = "/x", milliseconds total = milliseconds(5000)) {
  HttpRequest request;
  request.url = server.url(path);
  request.total = total;
  return request;
}

// What comes of one request of a server with this answer or script.
template <class Script>
Result<HttpResponse> of(Script script, milliseconds total = milliseconds(5000), std::size_t max_body = 1000) {
  const Loopback server(std::move(script));
  auto request = get(server, "/x", total);
  request.max_body = max_body;
  return client(spec_of(server.url()))->perform(request);
}

milliseconds since(std::chrono::steady_clock::time_point from) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - from);
}

bool says(const Result<HttpResponse>& result, Errc code, std::string_view part) {
  if (result) {
    UNSCOPED_INFO("status " << result->status << ": " << result->body);
    return false;
  }
  UNSCOPED_INFO(result.error().message);
  return result.error().code == code && result.error().message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an answer comes with its status, headers and body", "[http]") {
  const auto got = of(answer("200 OK", "ETag: \"a\"\r\nX-Two: 1\r\nx-two:  2 \r\n", "body"));
  REQUIRE(got.has_value());
  CHECK(got->status == 200);
  CHECK(got->body == "body");
  CHECK(got->headers.at("etag") == "\"a\"");
  CHECK(got->headers.at("x-two") == "2");
  CHECK(of(answer("404 Not Found", "", "no"))->status == 404);
  CHECK(of(std::string("HTTP/1.1 304 Not Modified\r\n\r\n"))->status == 304);
  CHECK(
      of("HTTP/1.1 103 Early Hints\r\nETag: \"early\"\r\n\r\n" + answer("200 OK", "", "b"))->headers.count("etag") ==
      0);
}

TEST_CASE("what is sent is what was asked for, and nothing of the environment", "[http]") {
  const Loopback proxy(answer("200 OK", "", "proxy"));
  const Loopback server(answer("201 Created", "", ""));
  const TempDir home;
  hosttest::put(home / ".netrc", "machine 127.0.0.1 login netrc password netrc\n", 0600);
  const std::string before = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "/";
  ::setenv("HOME", home.path().c_str(), 1);
  for (const char* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"})
    ::setenv(name, proxy.url().c_str(), 1);
  auto request = get(server, "/a/b%20c.jit");
  request.method = "PUT";
  request.body = std::string("x\0y", 3);
  request.headers = {"If-Match: \"1\""};
  const auto put = client(spec_of(server.url()))->perform(request);
  for (const char* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
  ::setenv("HOME", before.c_str(), 1);
  REQUIRE(put.has_value());
  CHECK(put->status == 201);
  CHECK(proxy.connections() == 0);
  REQUIRE(server.requests().size() == 1);
  const std::string sent = server.requests().front();
  INFO(sent);
  CHECK(sent.starts_with("PUT /a/b%20c.jit HTTP/1.1\r\n"));
  CHECK(sent.ends_with(std::string("\r\n\r\nx\0y", 7)));
  CHECK(sent.find("If-Match: \"1\"\r\n") != std::string::npos);
  CHECK(sent.find("Content-Type: application/octet-stream\r\n") != std::string::npos);
  CHECK(sent.find("Expect:") == std::string::npos);
  CHECK(sent.find("Authorization") == std::string::npos);
}

TEST_CASE("a proxy of the specification is used, whatever no_proxy says", "[http]") {
  const Loopback proxy(answer("200 OK", "", "by the proxy"));
  auto spec = spec_of("http://jit.invalid/box");
  spec.proxy = proxy.url();
  ::setenv("no_proxy", "*", 1);
  HttpRequest request;
  request.url = "http://jit.invalid/box/index";
  const auto got = client(spec)->perform(request);
  ::unsetenv("no_proxy");
  REQUIRE(got.has_value());
  CHECK(got->body == "by the proxy");
  CHECK(proxy.requests().front().starts_with("GET http://jit.invalid/box/index HTTP/1.1\r\n"));
}

TEST_CASE("connections are kept", "[http]") {
  const Loopback server(answer("200 OK", "", "x"));
  const auto http = client(spec_of(server.url()));
  for (int i = 0; i < 3; ++i) REQUIRE(http->perform(get(server)).has_value());
  CHECK(server.connections() == 1);
  CHECK(server.requests().size() == 3);
}

TEST_CASE("a redirect is refused and says where it points, as text", "[http]") {
  CHECK(says(of(answer("302 Found", "Location: https://elsewhere/\x1b[2J\r\n", "")), Errc::refused,
             "it redirects (302 to https://elsewhere/\\x1b[2J)"));
  CHECK(says(of(answer("301 Moved", "", "")), Errc::refused, "it redirects (301)"));
  // Its body is not waited for.
  const auto from = std::chrono::steady_clock::now();
  CHECK(says(of([](Connection& one) {
               (void)one.request();
               (void)one.send("HTTP/1.1 307 Go\r\nLocation: /y\r\nContent-Length: 100\r\n\r\n");
               one.pause(4000);
             }),
             Errc::refused, "it redirects (307 to /y)"));
  CHECK(since(from) < milliseconds(3000));
}

TEST_CASE("a body over its limit is refused while it comes, whatever length it claims", "[http]") {
  CHECK(of(answer("200 OK", "", std::string(1000, 'x')))->body.size() == 1000);
  CHECK(says(of(answer("200 OK", "", std::string(1001, 'x'))), Errc::invalid, "more than 1000 bytes"));
  const auto endless = [](const char* head, const char* piece) {
    return [=](Connection& one) {
      (void)one.request();
      bool going = one.send(head);
      while (going && !one.stopping()) going = one.send(piece);
    };
  };
  CHECK(says(of(endless("HTTP/1.1 200 OK\r\n\r\n", "xxxxxxxx")), Errc::invalid, "more than 1000 bytes"));
  CHECK(says(of(endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nxxxx\r\n")), Errc::invalid,
             "more than 1000 bytes"));
}

TEST_CASE("headers are bounded in number and size", "[http]") {
  const auto endless = [](const char* head, const std::string& piece) {
    return [=](Connection& one) {
      (void)one.request();
      bool going = one.send(head);
      while (going && !one.stopping()) going = one.send(piece);
    };
  };
  CHECK(says(of(endless("HTTP/1.1 200 OK\r\n", "A: b\r\n")), Errc::invalid, "headers"));
  CHECK(says(of(endless("", "HTTP/1.1 100 Continue\r\n\r\n")), Errc::invalid, "headers"));
  CHECK(says(of(endless("HTTP/1.1 200 OK\r\n", "A: " + std::string(9000, 'b') + "\r\n")), Errc::invalid, "headers"));
  CHECK_FALSE(of(endless("HTTP/1.1 200 OK\r\nA: ", std::string(1000, 'b'))).has_value());
  // Trailers are headers too.
  CHECK(says(of(endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n")), Errc::invalid,
             "headers"));
  CHECK(of(std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nETag: x\r\n\r\n"))
            ->headers.count("etag") == 0);
}

TEST_CASE("slow and silent servers are over at the deadline", "[http]") {
  const auto from = std::chrono::steady_clock::now();
  CHECK(says(of([](Connection& one) { one.pause(4000); }, milliseconds(300)), Errc::unavailable, "timed out"));
  CHECK(says(of(
                 [](Connection& one) {
                   (void)one.request();
                   bool going = one.send("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n");
                   for (int i = 0; going && i < 800 && !one.stopping(); ++i) {
                     going = one.send("x");
                     one.pause(5);
                   }
                 },
                 milliseconds(300)),
             Errc::unavailable, "timed out"));
  CHECK(says(of(
                 [](Connection& one) {
                   (void)one.request();
                   bool going = one.send("HTTP/1.1 200 OK\r\nA: ");
                   for (int i = 0; going && i < 800 && !one.stopping(); ++i) {
                     going = one.send("b");
                     one.pause(5);
                   }
                 },
                 milliseconds(300)),
             Errc::unavailable, "timed out"));
  CHECK(since(from) < milliseconds(3500));
}

TEST_CASE("what breaks off is unavailable, and its part is there for whoever asked for it", "[http]") {
  const std::string half = "HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: 10\r\n\r\n12345";
  const auto script = [half](bool reset) {
    return [=](Connection& one) {
      (void)one.request();
      (void)one.send(half);
      one.pause(50);
      if (reset) one.reset();
    };
  };
  for (const bool reset : {false, true}) {
    const Loopback server(script(reset));
    auto request = get(server);
    const auto http = client(spec_of(server.url()));
    const auto lost = http->perform(request);
    REQUIRE_FALSE(lost.has_value());
    CHECK(lost.error().code == Errc::unavailable);
    request.accept_part = true;
    const auto part = http->perform(request);
    REQUIRE(part.has_value());
    CHECK(part->body == "12345");
    CHECK(part->headers.at("etag") == "\"v\"");
    REQUIRE(part->broken.has_value());
    CHECK(part->broken->code == Errc::unavailable);
  }
  const auto nothing = of([](Connection& one) {
    (void)one.request();
    one.reset();
  });
  CHECK(says(nothing, Errc::unavailable, ""));
  CHECK(says(of([](Connection&) {}), Errc::unavailable, ""));
}

TEST_CASE("what is no HTTP is said to be none", "[http]") {
  CHECK_FALSE(of(std::string("SSH-2.0-OpenSSH_9.2\r\n")).has_value());
  CHECK_FALSE(of(std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\njunk\r\n")).has_value());
  CHECK_FALSE(
      of(std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx")).has_value());
  CHECK_FALSE(of(std::string("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")).has_value());
}

TEST_CASE("times of HTTP are read", "[http]") {
  CHECK(http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  for (const std::string bad : {"", "yesterday", "Sun, 99 Nov 1994 08:49:37 GMT"}) CHECK_FALSE(http_date(bad));
}

TEST_CASE("nobody there is unavailable at once", "[http]") {
  const int port = [] {
    const Loopback gone(std::string{});
    return std::stoi(gone.url().substr(17));
  }();
  HttpRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(port) + "/";
  CHECK(says(client(spec_of(request.url))->perform(request), Errc::unavailable, "connect"));
}

TEST_CASE("only HTTP goes out, and no header that a server made up of several", "[http]") {
  const auto http = client(spec_of("http://127.0.0.1:1"));
  HttpRequest request;
  request.url = "file:///etc/passwd";
  CHECK(says(http->perform(request), Errc::invalid, ""));
  request.url = "http://user:word@127.0.0.1:1/";
  CHECK_FALSE(http->perform(request).has_value());
  request.url = "http://127.0.0.1:1/";
  request.headers = {"If-Match: \"a\r\nHost: b\""};
  CHECK(says(http->perform(request), Errc::invalid, "control character"));
}

TEST_CASE("a server that closes while much is sent to it ends no process", "[http]") {
  const auto got = [] {
    const Loopback server([](Connection& one) { one.reset(); });
    auto request = get(server);
    request.method = "PUT";
    request.body.assign(std::size_t{4} << 20, 'x');
    return client(spec_of(server.url()))->perform(request);
  }();
  CHECK(says(got, Errc::unavailable, ""));
}

TEST_CASE("secrets that others can read are refused, and none goes out in the clear", "[http]") {
  const TempDir dir;
  hosttest::put(dir / "password", "word\nsecond line\n", 0640);
  CHECK(read_password_file(dir / "password") == "word");
  for (const mode_t mode : {0644U, 0642U, 0641U}) {
    hosttest::put(dir / "open", "word\n", mode);
    const auto refused = read_password_file(dir / "open");
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::refused);
    CHECK(refused.error().message.find("chmod o=") != std::string::npos);
  }
  hosttest::put(dir / "ca", "x", 0646);
  CHECK_FALSE(read_source_file(dir / "ca", Secrecy::open).has_value());
  hosttest::put(dir / "empty", "\n", 0600);
  CHECK_FALSE(read_password_file(dir / "empty").has_value());
  hosttest::put(dir / "control", "a\x1b\n", 0600);
  CHECK_FALSE(read_password_file(dir / "control").has_value());
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  CHECK_FALSE(read_source_file(dir / "fifo", Secrecy::secret).has_value());

  auto spec = spec_of("http://127.0.0.1:1");
  spec.user = "u";
  spec.password_file = dir / "open";
  CHECK_FALSE(Http::make(spec).has_value());
  spec.password_file = dir / "password";
  CHECK(Http::make(spec).has_value());
  for (const auto* server : {"http://jit.example.org", "http://127.example.org/x", "http://10.0.0.1:80"}) {
    spec.servers = {server};
    const auto made = Http::make(spec);
    REQUIRE_FALSE(made.has_value());
    CHECK(made.error().message.find("https") != std::string::npos);
    spec.type = SourceSpec::Type::etcd;  // asks for a token with it
    CHECK_FALSE(Http::make(spec).has_value());
    spec.type = SourceSpec::Type::https;
  }
}

TEST_CASE("basic authentication is sent where the specification says so, not to etcd", "[http]") {
  const TempDir dir;
  hosttest::put(dir / "password", "word\n", 0600);
  const Loopback server(answer("200 OK", "", ""));
  auto spec = spec_of(server.url());
  spec.user = "jit";
  spec.password_file = dir / "password";
  REQUIRE(client(spec)->perform(get(server)).has_value());
  CHECK(server.requests().back().find("Authorization: Basic aml0OndvcmQ=\r\n") != std::string::npos);
  spec.type = SourceSpec::Type::etcd;
  REQUIRE(client(spec)->perform(get(server)).has_value());
  CHECK(server.requests().back().find("Authorization") == std::string::npos);
}

// --- streams ------------------------------------------------------------------------------------------------------

namespace {

struct Lines {
  std::vector<std::string> all;
  std::size_t stop_at = 1000000;
  [[nodiscard]] std::function<bool(std::string_view)> take() {
    return [this](std::string_view line) {
      all.emplace_back(line);
      return all.size() < stop_at;
    };
  }
};

}  // namespace

TEST_CASE("a stream gives lines as they come, and returns for a descriptor or in time", "[http]") {
  const Loopback server([](Connection& one) {
    (void)one.request();
    (void)one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n");
    one.pause(100);
    (void)one.send("4\r\nc\nd\n\r\n");
    one.pause(1000000);
  });
  const auto http = client(spec_of(server.url()));
  auto stream = http->open(get(server));
  REQUIRE(stream.has_value());
  Lines lines;
  lines.stop_at = 2;
  REQUIRE((*stream)->read(lines.take(), -1, milliseconds(5000)).has_value());
  CHECK(lines.all == std::vector<std::string>{"a", "bc"});
  REQUIRE((*stream)->read(lines.take(), -1, milliseconds(5000)).has_value());
  CHECK(lines.all == std::vector<std::string>{"a", "bc", "d"});

  const auto from = std::chrono::steady_clock::now();
  REQUIRE((*stream)->read(lines.take(), -1, milliseconds(100)).has_value());
  CHECK(since(from) >= milliseconds(100));
  const UniqueFd other(::eventfd(1, EFD_CLOEXEC));
  REQUIRE((*stream)->read(lines.take(), other.get(), milliseconds(60000)).has_value());
  CHECK(since(from) < milliseconds(5000));
  CHECK(lines.all.size() == 3);

  // Another exchange goes on beside it.
  const Loopback second(answer("200 OK", "", "x"));
  CHECK(http->perform(get(second)).has_value());
}

TEST_CASE("a descriptor whose other end is gone is readable, too", "[http]") {
  const Loopback server([](Connection& one) {
    (void)one.request();
    (void)one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    one.pause(1000000);
  });
  const auto http = client(spec_of(server.url()));
  auto stream = http->open(get(server));
  REQUIRE(stream.has_value());
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd read_end(ends[0]);
  ::close(ends[1]);
  const auto from = std::chrono::steady_clock::now();
  CHECK((*stream)->read([](std::string_view) { return true; }, read_end.get(), milliseconds(60000)).has_value());
  CHECK(since(from) < milliseconds(5000));
}

TEST_CASE("a stream that ends gives its last lines first", "[http]") {
  const Loopback server([](Connection& one) {
    (void)one.request();
    (void)one.send(answer("200 OK", "", "a\nb\nrest"));
  });
  const auto http = client(spec_of(server.url()));
  auto stream = http->open(get(server));
  REQUIRE(stream.has_value());
  Lines lines;
  const auto end = (*stream)->read(lines.take(), -1, milliseconds(5000));
  REQUIRE_FALSE(end.has_value());
  CHECK(end.error().code == Errc::unavailable);
  CHECK(lines.all == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a stream is bounded, also where nobody takes its lines", "[http]") {
  std::atomic<std::size_t> sent{0};
  const Loopback server([&sent](Connection& one) {
    (void)one.request();
    bool going = one.send("HTTP/1.1 200 OK\r\n\r\n");
    const std::string piece(64, 'x');
    while (going && !one.stopping()) {
      going = one.send(piece + "\n");
      sent += going ? 65 : 0;
    }
  });
  const auto http = client(spec_of(server.url()));
  auto request = get(server);
  request.max_body = 1000;
  auto stream = http->open(request);
  REQUIRE(stream.has_value());
  std::size_t taken = 0;
  for (int i = 0; i < 50; ++i) {
    // One line a call.
    const auto read = (*stream)->read(
        [&](std::string_view line) {
          ++taken;
          return line.size() != 64;
        },
        -1, milliseconds(5000));
    REQUIRE(read.has_value());
  }
  CHECK(taken == 50);
  // What goes on for a while is what the sockets' buffers take.
  bool stuck = false;
  for (int i = 0; i < 50 && !stuck; ++i) {
    const std::size_t before = sent;
    (void)::poll(nullptr, 0, 200);
    stuck = sent == before;
  }
  CHECK(stuck);

  const Loopback long_line([](Connection& one) {
    (void)one.request();
    bool going = one.send("HTTP/1.1 200 OK\r\n\r\n");
    while (going && !one.stopping()) going = one.send(std::string(100, 'y'));
  });
  request.url = long_line.url();
  auto other = http->open(request);
  REQUIRE(other.has_value());
  const auto refused = (*other)->read([](std::string_view) { return true; }, -1, milliseconds(5000));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Errc::invalid);
}

TEST_CASE("of a flood of lines none is lost", "[http]") {
  constexpr unsigned kLines = 200000;
  const Loopback server([](Connection& one) {
    (void)one.request();
    bool going = one.send("HTTP/1.1 200 OK\r\n\r\n");
    std::string piece;
    for (unsigned i = 0; going && i < kLines; ++i) {
      piece += std::to_string(i) + "\n";
      if (piece.size() < 60000 && i + 1 < kLines) continue;
      going = one.send(piece);
      piece.clear();
    }
  });
  const auto http = client(spec_of(server.url()));
  auto request = get(server);
  request.max_body = 1000;
  auto stream = http->open(request);
  REQUIRE(stream.has_value());
  unsigned next = 0, wrong = 0;
  const auto end = (*stream)->read(
      [&](std::string_view line) {
        wrong += line == std::to_string(next++) ? 0U : 1U;
        return true;
      },
      -1, milliseconds(60000));
  CHECK_FALSE(end.has_value());
  CHECK(next == kLines);
  CHECK(wrong == 0);
}

TEST_CASE("a stream that does not begin says why", "[http]") {
  const auto open = [](auto script, milliseconds total = milliseconds(5000)) {
    const Loopback server(std::move(script));
    const auto http = client(spec_of(server.url()));
    auto stream = http->open(get(server, "/x", total));
    REQUIRE_FALSE(stream.has_value());
    UNSCOPED_INFO(stream.error().message);
    return stream.error();
  };
  const auto denied = open(answer("403 Forbidden", "", "etcdserver: permission denied\x1b"));
  CHECK(denied.code == Errc::refused);
  CHECK(denied.message.find("status 403: etcdserver: permission denied\\x1b") != std::string::npos);
  CHECK(open(answer("503 No", "", "no leader")).code == Errc::unavailable);
  CHECK(open(answer("302 Found", "Location: http://y/\r\n", "")).message.find("redirects") != std::string::npos);
  const auto from = std::chrono::steady_clock::now();
  CHECK(open([](Connection& one) { one.pause(4000); }, milliseconds(200)).code == Errc::unavailable);
  CHECK(open(
            [](Connection& one) {
              (void)one.request();
              (void)one.send("HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nhalf");
              one.pause(4000);
            },
            milliseconds(200))
            .message.find("status 500: half") != std::string::npos);
  CHECK(since(from) < milliseconds(3500));
  CHECK(open([](Connection&) {}).code == Errc::unavailable);
}
