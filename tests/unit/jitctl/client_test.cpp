// The control socket from the client's side: what a reply may look like, and what a broken or false server gets.
#include "jitctl/client.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <thread>

#include "tests/unit/catch.hpp"

using namespace jit;
using namespace jit::ctl;
using wire::Tag;
using wire::Verb;

namespace {

using Bytes = std::vector<std::byte>;

Bytes frame(Verb verb, std::uint32_t id, const Row& row) {
  Bytes buffer(wire::kMaxFrame);
  wire::Writer writer(buffer, verb, id);
  put(writer, row);
  const auto used = writer.finish();
  return {used.begin(), used.end()};
}

// A server on a socket of its own, which plays one connection: it gets each request's id and says which frames to
// send.
class Server {
 public:
  using Script = std::function<std::vector<Bytes>(const wire::Frame&)>;
  explicit Server(Script script) {
    char name[] = "/tmp/jitctl-client.XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    directory_ = name;
    path = directory_ + "/control.sock";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 4) == 0);
    thread_ = std::thread([this, script = std::move(script)] {
      const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      Bytes buffer(wire::kMaxFrame);
      for (;;) {
        const auto got = ::recv(peer.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) return;
        const auto request = wire::Frame::parse(std::span(buffer.data(), static_cast<std::size_t>(got)));
        if (!request) return;
        const auto replies = script(*request);
        if (replies.empty()) return;  // hangs up
        for (const auto& reply : replies) (void)::send(peer.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
      }
    });
  }
  ~Server() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    std::filesystem::remove_all(directory_);
  }
  std::string path;

 private:
  std::string directory_;
  UniqueFd listener_;
  std::thread thread_;
};

constexpr auto kSoon = std::chrono::milliseconds(2000);

}  // namespace

TEST_CASE("no socket: unavailable, and what to do", "[jitctl]") {
  SocketDaemon daemon("/nonexistent/control.sock");
  const auto reply = daemon.call(Verb::status, {}, kSoon);
  REQUIRE_FALSE(reply.has_value());
  CHECK(reply.error().code == Errc::unavailable);
  CHECK(reply.error().message.find("systemctl status jitd") != std::string::npos);
}

TEST_CASE("replies of a server that is root", "[jitctl]") {
  if (::geteuid() != 0) return;  // the client believes nobody else, so nothing can be played
  SECTION("items, then the result; the connection is used again") {
    Server server([](const wire::Frame& request) -> std::vector<Bytes> {
      return {frame(Verb::item, request.id(), Row().text(Tag::id, "a")),
              frame(Verb::item, request.id(), Row().text(Tag::id, "b")),
              frame(Verb::result, request.id(), Row().number(Tag::status, 3).text(Tag::message, "waits"))};
    });
    SocketDaemon daemon(server.path);
    for (int round = 0; round < 3; ++round) {
      const auto reply = daemon.call(Verb::pending, Row().text(Tag::id, "x"), kSoon);
      REQUIRE(reply.has_value());
      CHECK(reply->status == wire::Status::pending);
      CHECK(reply->message == "waits");
      REQUIRE(reply->items.size() == 2);
      CHECK(reply->items[1].text(Tag::id) == "b");
    }
  }
  SECTION("a status that is none of the known ones is a failure") {
    for (const std::uint64_t status : {std::uint64_t{6}, std::uint64_t{1} << 32, UINT64_MAX}) {
      Server server([status](const wire::Frame& request) -> std::vector<Bytes> {
        return {frame(Verb::result, request.id(), Row().number(Tag::status, status))};
      });
      SocketDaemon daemon(server.path);
      const auto reply = daemon.call(Verb::release, {}, kSoon);
      REQUIRE(reply.has_value());
      CHECK(reply->status == wire::Status::failed);
    }
    Server server(
        [](const wire::Frame& request) -> std::vector<Bytes> { return {frame(Verb::result, request.id(), {})}; });
    SocketDaemon daemon(server.path);
    const auto reply = daemon.call(Verb::release, {}, kSoon);
    REQUIRE(reply.has_value());
    CHECK(reply->status == wire::Status::failed);
  }
  SECTION("the answer to another question, garbage, another verb, silence and a hang-up are no answers") {
    const std::vector<std::function<std::vector<Bytes>(const wire::Frame&)>> bad = {
        [](const wire::Frame& request) -> std::vector<Bytes> {
          return {frame(Verb::result, request.id() + 1, Row().number(Tag::status, 0))};
        },
        [](const wire::Frame&) -> std::vector<Bytes> { return {Bytes(20, std::byte{0x41})}; },
        [](const wire::Frame& request) -> std::vector<Bytes> {
          return {frame(Verb::status, request.id(), Row().number(Tag::status, 0))};
        },
        [](const wire::Frame& request) -> std::vector<Bytes> { return {frame(Verb::item, request.id(), {})}; },
        [](const wire::Frame&) -> std::vector<Bytes> { return {}; },
    };
    for (const auto& script : bad) {
      Server server(script);
      SocketDaemon daemon(server.path);
      const auto reply = daemon.call(Verb::status, {}, std::chrono::milliseconds(300));
      REQUIRE_FALSE(reply.has_value());
      CHECK(reply.error().code == Errc::unavailable);
    }
  }
}

TEST_CASE("a server that is not root is not believed", "[jitctl]") {
  if (::geteuid() != 0) return;
  // The kernel tells the client who listens: the credentials of whoever called listen().
  char name[] = "/tmp/jitctl-false.XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  REQUIRE(::chmod(name, 0777) == 0);
  const auto path = std::string(name) + "/control.sock";
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const auto child = ::fork();
  if (child == 0) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::setuid(12345) != 0) ::_exit(1);
    const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 1) != 0)
      ::_exit(1);
    (void)!::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  SocketDaemon daemon(path);
  const auto reply = daemon.call(Verb::status, {}, kSoon);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  std::filesystem::remove_all(name);
  REQUIRE_FALSE(reply.has_value());
  CHECK(reply.error().code == Errc::unavailable);
  CHECK(reply.error().message.find("uid 12345, not by root") != std::string::npos);
}

TEST_CASE("a request larger than a frame is not sent cut", "[jitctl]") {
  if (::geteuid() != 0) return;
  bool asked = false;
  {
    Server server([&asked](const wire::Frame&) -> std::vector<Bytes> {
      asked = true;
      return {};
    });
    SocketDaemon daemon(server.path);
    const auto reply = daemon.call(Verb::submit, Row().text(Tag::document, std::string(wire::kMaxFrame, 'x')), kSoon);
    REQUIRE_FALSE(reply.has_value());
    CHECK(reply.error().message.find("64 KiB") != std::string::npos);
  }
  CHECK_FALSE(asked);
}
