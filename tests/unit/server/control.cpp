// control.sock against clients that do not behave: bounds, quotas, and that others are served meanwhile.
#include <sys/stat.h>

#include "tests/unit/server/fakes.hpp"

using namespace jit;
using namespace jit::test;
using wire::Status;
using wire::Tag;
using wire::Verb;

TEST_CASE("listen_at takes the place of what was there", "[server]") {
  Folder folder;
  folder.write("control.sock", "planted");
  const auto listener = listen_at(folder / "control.sock", 0600);
  REQUIRE(listener);
  struct stat status {};
  REQUIRE(::stat((folder / "control.sock").c_str(), &status) == 0);
  CHECK(S_ISSOCK(status.st_mode));
  CHECK((status.st_mode & 0777U) == 0600);
  CHECK(Client(folder / "control.sock").connected());
  CHECK_FALSE(listen_at(folder / std::string(200, 'x'), 0600));
}

TEST_CASE("a connection is used again, one request at a time", "[server]") {
  Bench bench;
  Client client(bench.path());
  CHECK(bench.call(client, Verb::inspect).size() == 1);
  CHECK(bench.call(client, Verb::inspect).size() == 1);
  // Two at once: answered in order.
  REQUIRE(client.send(Verb::inspect, nullptr, 1));
  REQUIRE(client.send(Verb::inspect, nullptr, 2));
  bench.turn(20);
  const auto first = client.next(), second = client.next();
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->id == 1);
  CHECK(second->id == 2);
}

TEST_CASE("what is not our language ends the connection, unanswered", "[server]") {
  Bench bench;
  Client client(bench.path());
  const auto bytes = GENERATE(
      as<std::string>{}, "x", "GET / HTTP/1.0\r\n\r\n", std::string(16, '\0'), std::string(4096, '\xff'),
      std::string("JIT1\x01\x00\x20\x00\xff\xff\xff\xff\x01\x00\x00\x00", 16),  // claims 4 GiB of fields
      std::string("JIT1\x02\x00\x20\x00\x00\x00\x00\x00\x01\x00\x00\x00", 16),  // another version
      std::string("JIT1\x01\x00\x20\x00\x04\x00\x00\x00\x01\x00\x00\x00\x01\x00\xff\xff", 20));  // field beyond
  REQUIRE(client.raw(bytes));
  bench.turn();
  CHECK_FALSE(client.next());
  CHECK(client.closed());
  CHECK(bench.engine.calls.empty());
  CHECK(bench.server->connections() == 0);
}

TEST_CASE("a datagram over 64 KiB is not read in parts", "[server]") {
  Bench bench;
  Client client(bench.path());
  int size = 1 << 20;
  (void)::setsockopt(client.fd(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  std::string frame("JIT1\x01\x00\x20\x00", 8);
  const std::uint32_t length = 100 * 1024;
  frame.append(reinterpret_cast<const char*>(&length), 4);
  frame.append("\x07\x00\x00\x00", 4);
  frame.resize(16 + length, 'a');
  REQUIRE(client.raw(frame));
  bench.turn();
  CHECK_FALSE(client.next());
  CHECK(client.closed());
}

TEST_CASE("clients that connect and say nothing are few for each user, and dropped in time", "[server]") {
  ControlLimits limits;
  limits.per_uid = 4;
  limits.first_usec = 300'000;
  Bench bench(limits);
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 40; ++i) silent.push_back(std::make_unique<Client>(bench.path()));
  bench.turn(10);
  CHECK(bench.server->connections() == 4);

  // Somebody else is served at once, and so is root.
  for (const std::uint32_t uid : {1002U, 0U}) {
    bench.uid = uid;
    Client other(bench.path());
    CHECK(bench.call(other, Verb::inspect).size() == 1);
  }
  CHECK(bench.until([&] { return bench.server->connections() == 0; }, 3000));
}

TEST_CASE("all users together leave room for root", "[server]") {
  ControlLimits limits;
  limits.connections = 10;
  Bench bench(limits);
  std::vector<std::unique_ptr<Client>> silent;
  for (std::uint32_t i = 0; i < 30; ++i) {
    bench.uid = 2000 + i;
    silent.push_back(std::make_unique<Client>(bench.path()));
    bench.turn(2);
  }
  CHECK(bench.server->connections() == 10);
  bench.uid = 0;
  Client root(bench.path());
  CHECK(bench.call(root, Verb::inspect).size() == 1);
}

TEST_CASE("a flood of requests is slowed down by user", "[server]") {
  ControlLimits limits;
  limits.burst = 5;
  limits.frames_per_second = 0.001;
  Bench bench(limits);
  Client client(bench.path());
  int answered = 0, told = 0;
  for (int i = 0; i < 20; ++i) {
    const auto reply = bench.call(client, Verb::inspect);
    REQUIRE(reply.size() == 1);
    (reply[0].status() == Status::done ? answered : told) += 1;
  }
  CHECK(answered == 5);
  CHECK(told == 15);
  // A new connection brings no new allowance; another user has one.
  Client again(bench.path());
  CHECK(bench.call(again, Verb::inspect)[0].status() == Status::failed);
  bench.uid = 1002;
  Client other(bench.path());
  CHECK(bench.call(other, Verb::inspect)[0].status() == Status::done);
}

TEST_CASE("a reader that does not read is dropped, and holds up nobody", "[server]") {
  ControlLimits limits;
  limits.stall_usec = 2'000'000;
  Bench bench(limits);
  bench.engine.rows = 3000;
  Client slow(bench.path());
  REQUIRE(slow.send(Verb::list, nullptr));
  bench.turn(5);
  CHECK(bench.server->connections() == 1);
  bench.engine.rows = 1;
  bench.uid = 1002;
  Client other(bench.path());
  CHECK(bench.call(other, Verb::list).size() == 2);
  CHECK(bench.until([&] { return bench.server->connections() <= 1; }, 8000));
}

TEST_CASE("a reader that reads gets a long reply whole", "[server]") {
  Bench bench;
  bench.engine.rows = 20000;
  Client client(bench.path());
  const auto reply = bench.call(client, Verb::list);
  REQUIRE(reply.size() == 20001);
  CHECK(reply.back().number(Tag::count) == 20000);
}

TEST_CASE("replies that nobody takes are bounded", "[server]") {
  ControlLimits limits;
  limits.queued_bytes = 256 * 1024;
  Bench bench(limits);
  bench.engine.rows = 20000;
  Client greedy(bench.path());
  REQUIRE(greedy.send(Verb::list));
  bench.turn(5);
  CHECK(bench.server->connections() == 0);
}

TEST_CASE("a reply that comes after the client went is dropped", "[server]") {
  Bench bench;
  Engine::Reply<Outcome> late;
  bench.engine.on_request = [&](Engine::Reply<Outcome> reply) { late = std::move(reply); };
  {
    Client client(bench.path());
    REQUIRE(client.send(Verb::request, [](wire::Writer& f) { f.text(Tag::role, "dba").text(Tag::reason, "x"); }));
    bench.turn();
    REQUIRE(late);
    CHECK(bench.server->connections() == 1);
  }
  bench.turn();
  CHECK(bench.server->connections() == 0);
  late(Outcome{"0123456789abcdef", GrantState::active, "active"});  // nobody there: nothing happens
  Client other(bench.path());
  CHECK(bench.call(other, Verb::inspect).size() == 1);
}

TEST_CASE("what was sent before hanging up still counts", "[server]") {
  Bench bench;
  {
    Client client(bench.path());
    REQUIRE(client.send(Verb::release, [](wire::Writer& f) { f.number(Tag::all, 1); }));
  }
  bench.turn();
  REQUIRE(bench.engine.calls.size() == 1);
  CHECK(bench.engine.calls[0] == "release  all");
}

TEST_CASE("who has many uids has one user's allowance more, not theirs all", "[server]") {
  ControlLimits limits;
  limits.per_uid = 4;
  limits.burst = 6;
  limits.frames_per_second = 0.001;
  Bench bench(limits);
  bench.loginuid = 1001;
  SECTION("connections") {
    std::vector<std::unique_ptr<Client>> silent;
    for (std::uint32_t i = 0; i < 30; ++i) {
      bench.uid = 100000 + i;
      silent.push_back(std::make_unique<Client>(bench.path()));
      bench.turn(2);
    }
    CHECK(bench.server->connections() == 4);
    silent.clear();
    bench.turn(10);
    CHECK(bench.server->connections() == 0);
  }
  SECTION("requests") {
    int answered = 0;
    for (std::uint32_t i = 0; i < 30; ++i) {
      bench.uid = 100000 + i;
      Client client(bench.path());
      const auto reply = bench.call(client, Verb::inspect);
      answered += reply.size() == 1 && reply[0].status() == Status::done ? 1 : 0;
    }
    CHECK(answered == 6);
  }
  // Neither the user nor root by su or sudo is kept out by that, and a login uid that a service chose for itself
  // keeps nobody out either.
  for (const std::uint32_t uid : {1001U, 0U}) {
    bench.uid = uid;
    Client client(bench.path());
    const auto reply = bench.call(client, Verb::inspect);
    REQUIRE(reply.size() == 1);
    CHECK(reply[0].status() == Status::done);
  }
}
