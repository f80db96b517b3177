// Which member of an etcd cluster is asked, and how we log in.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "jitd/sync/etcd_client.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sync/etcd_fake.hpp"

using namespace jit;
using namespace jit::etcd_test;
using etcd::Failure;
using std::chrono::milliseconds;

namespace {

// A password in a file of its own.
struct PasswordFile {
  std::string path = "/tmp/jit-etcd-test-XXXXXX";
  explicit PasswordFile(const std::string& password) {
    const int fd = ::mkstemp(path.data());
    REQUIRE(fd >= 0);
    (void)::fchmod(fd, 0600);
    (void)::close(fd);
    write(password);
  }
  void write(const std::string& password) const { std::ofstream(path) << password << "\n"; }
  ~PasswordFile() { (void)::unlink(path.c_str()); }
  PasswordFile(const PasswordFile&) = delete;
  PasswordFile& operator=(const PasswordFile&) = delete;
};

HttpResponse token(const std::string& text) {
  return good({{"token", text}});
}

std::string authorization(const HttpRequest& request) {
  for (const std::string& line : request.headers)
    if (line.starts_with("Authorization: ")) return line.substr(15);
  return {};
}

constexpr const char* kCluster = "etcd+https://a:1,b:1,c:1/jit";

}  // namespace

TEST_CASE("etcd: the member that works is kept, the next is asked when it does not", "[sync][etcd]") {
  World world;
  std::set<std::string> down = {"https://a:2379"};
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (down.count(server_of(request)) > 0) return fail(Errc::unavailable, server_of(request) + ": refused");
    return good({{"header", header(5)}});
  };
  const auto asked = [&] {
    std::string all;
    for (const auto& request : world.http->asked) all += server_of(request).substr(8, 1);
    world.http->asked.clear();
    return all;
  };
  REQUIRE(world.client->call("/v3/kv/range", "{}"));
  CHECK(asked() == "ab");
  REQUIRE(world.client->call("/v3/kv/range", "{}"));
  CHECK(asked() == "b");
  down.insert("https://b:2379");
  down.erase("https://a:2379");
  REQUIRE(world.client->call("/v3/kv/range", "{}"));
  CHECK(asked() == "bc");
  down = {"https://a:2379", "https://b:2379", "https://c:2379"};
  const auto nobody = world.client->call("/v3/kv/range", "{}");
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == Errc::unavailable);
  CHECK(nobody.error().message == "https://c:2379: refused; https://a:2379: refused; https://b:2379: refused");
  CHECK(asked() == "cab");
  down.clear();
  REQUIRE(world.client->call("/v3/kv/range", "{}"));
  CHECK(asked() == "c");  // the last good one first
}

TEST_CASE("etcd: a member without a leader, or too slow, is left for the next", "[sync][etcd]") {
  for (const auto& [status, code, message] :
       {std::tuple{503, 14, "etcdserver: no leader"}, std::tuple{503, 14, "etcdserver: request timed out"},
        std::tuple{500, 2, "context deadline exceeded"}, std::tuple{429, 8, "etcdserver: too many requests"}}) {
    World world;
    world.http->answer = [&, status = status, code = code, message = message](const HttpRequest& request) {
      return Result<HttpResponse>(server_of(request) == "https://a:2379" ? bad(status, code, message)
                                                                         : good({{"header", header(5)}}));
    };
    const auto reply = world.client->call("/v3/kv/range", "{}");
    REQUIRE(reply);
    CHECK(reply->good());
    CHECK(world.http->asked.size() == 2);
  }
}

TEST_CASE("etcd: a call takes no more than its time, however many members hang", "[sync][etcd]") {
  World world("etcd+https://a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1/jit");
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    world.clock.pass(request.total);
    return fail(Errc::unavailable, "timed out");
  };
  const auto from = world.clock.at.boot_ms;
  const auto reply = world.client->call("/v3/kv/range", "{}");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().message == "timed out");
  CHECK(milliseconds(world.clock.at.boot_ms - from) <= etcd::kCallBudget);
}

TEST_CASE("etcd: an answer without sense is told at once, and the next call asks another", "[sync][etcd]") {
  World world;
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (server_of(request) == "https://a:2379") return fail(Errc::invalid, "no HTTP");
    return good({{"header", header(5)}});
  };
  const auto reply = world.client->call("/v3/kv/range", "{}");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Errc::invalid);
  CHECK(world.http->asked.size() == 1);
  CHECK(world.client->call("/v3/kv/range", "{}"));
}

TEST_CASE("etcd: members that are not who they should be are a refusal", "[sync][etcd]") {
  World world;
  world.http->answer = [&](const HttpRequest&) { return Result<HttpResponse>(fail(Errc::refused, "certificate")); };
  const auto reply = world.client->call("/v3/kv/range", "{}");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Errc::refused);
  CHECK(world.http->asked.size() == 3);  // one of them may have been renewed
}

TEST_CASE("etcd: it logs in before the first question, and again when the token is none any more", "[sync][etcd]") {
  const PasswordFile file("secret");
  World world(kCluster, "jit/host/db1", file.path);
  std::string good_token = "one";
  unsigned logins = 0;
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (path_of(request) == "/v3/auth/authenticate") {
      ++logins;
      CHECK(asked_of(request) == json{{"name", "jit/host/db1"}, {"password", "secret"}});
      CHECK(authorization(request).empty());
      return token(good_token);
    }
    if (authorization(request) != good_token) return bad(401, 16, "etcdserver: invalid auth token");
    return good({{"header", header(5)}});
  };
  REQUIRE(world.client->call("/v3/kv/range", "{}")->good());
  REQUIRE(world.client->call("/v3/kv/range", "{}")->good());
  CHECK(logins == 1);
  good_token = "two";  // as after a restart of etcd
  REQUIRE(world.client->call("/v3/kv/range", "{}")->good());
  CHECK(logins == 2);
  CHECK(world.client->open("{}", 100).error().code == Errc::unavailable);
  CHECK(authorization(world.http->opened.back()) == "two");
  CHECK(std::count(world.http->opened.back().headers.begin(), world.http->opened.back().headers.end(),
                   "Grpc-Metadata-hasleader: true") == 1);
}

TEST_CASE("etcd: a token that is refused when it is fresh is told, and not asked for again and again",
          "[sync][etcd]") {
  const PasswordFile file("secret");
  World world(kCluster, "u", file.path);
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (path_of(request) == "/v3/auth/authenticate") return token("t");
    return bad(401, 16, "etcdserver: invalid auth token");
  };
  const auto reply = world.client->call("/v3/kv/range", "{}");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Errc::refused);
  CHECK(reply.error().message.find("clocks") != std::string::npos);
  CHECK(world.http->asked.size() == 4);
}

TEST_CASE("etcd: the password is read again at each login, and a wrong one named with its file", "[sync][etcd]") {
  const PasswordFile file("old");
  World world(kCluster, "u", file.path);
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (path_of(request) != "/v3/auth/authenticate") return good({{"header", header(5)}});
    if (asked_of(request).at("password") == "new") return token("t");
    return bad(400, 3, "etcdserver: authentication failed, invalid user ID or password");
  };
  const auto reply = world.client->call("/v3/kv/range", "{}");
  REQUIRE(reply);
  CHECK(reply->failure.kind == Failure::Kind::password);
  const auto error = etcd::error_of(reply->failure, "read x", world.spec);
  CHECK(error.code == Errc::refused);
  CHECK(error.message.find(file.path) != std::string::npos);
  CHECK(world.http->asked.size() == 1);  // no other member knows another password
  file.write("new");
  CHECK(world.client->call("/v3/kv/range", "{}")->good());
  (void)::chmod(file.path.c_str(), 0604);
  World other(kCluster, "u", file.path);
  const auto readable = other.client->call("/v3/kv/range", "{}");
  REQUIRE_FALSE(readable);
  CHECK(readable.error().message.find(file.path) != std::string::npos);
  CHECK(other.http->asked.empty());
}

TEST_CASE("etcd: where nobody needs to log in it does not, until somebody must", "[sync][etcd]") {
  const PasswordFile file("secret");
  World world(kCluster, "u", file.path);
  bool on = false;
  unsigned logins = 0;
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (path_of(request) == "/v3/auth/authenticate") {
      ++logins;
      return on ? token("t") : bad(412, 9, "etcdserver: authentication is not enabled");
    }
    if (on && authorization(request) != "t") return bad(400, 3, "etcdserver: user name is empty");
    return good({{"header", header(5)}});
  };
  CHECK(world.client->call("/v3/kv/range", "{}")->good());
  CHECK(world.client->call("/v3/kv/range", "{}")->good());
  CHECK(logins == 1);
  on = true;
  CHECK(world.client->call("/v3/kv/range", "{}")->good());
  CHECK(logins == 2);
}

TEST_CASE("etcd: without a user, a cluster that wants one is told as that", "[sync][etcd]") {
  World world;
  world.http->answer = [&](const HttpRequest&) {
    return Result<HttpResponse>(bad(400, 3, "etcdserver: user name is empty"));
  };
  const auto reply = world.client->call("/v3/kv/range", "{}");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Errc::refused);
  CHECK(reply.error().message.find("password_file") != std::string::npos);
}

TEST_CASE("etcd: errors name what to do", "[sync][etcd]") {
  World world(kCluster, "jit/host/db1", "/f");
  const auto words = [&](Failure::Kind kind) {
    return etcd::error_of({kind, "said"}, "read jit/to/db2/", world.spec).message;
  };
  CHECK(words(Failure::Kind::denied).find("read jit/to/db2/ for user \"jit/host/db1\"") != std::string::npos);
  CHECK(words(Failure::Kind::certificate).find("CN") != std::string::npos);
  CHECK(words(Failure::Kind::not_etcd).find("3.4") != std::string::npos);
  CHECK(words(Failure::Kind::other) == "etcd cannot read jit/to/db2/: said");
}
