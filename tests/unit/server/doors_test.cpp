// Requests at the door: filed like any other, a few waiters at a time, and nobody is let in here.
#include "jitd/server/doors.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/unit/server/fakes.hpp"

using namespace jit;
using namespace jit::test;

namespace {

const std::string kId = "0123456789abcdef";

struct DoorBench {
  std::unique_ptr<Loop> loop = std::move(*Loop::make());
  FakeEngine engine;
  DoorQueue queue;
  std::unique_ptr<Doors> doors;

  explicit DoorBench(std::uint64_t wait_usec = 60'000'000) {
    engine.role_opens = {"login"};
    engine.role_eligible = true;
    engine.rows = 0;
    engine.views[kId] = FakeEngine::view(kId);
    doors = std::make_unique<Doors>(*loop, engine, queue, wait_usec);
  }
  void turn() {
    for (int i = 0; i < 60; ++i) loop->turn(500);
  }
  UniqueFd ask(const std::string& role, const std::string& subject = "alice",
               std::optional<std::uint32_t> uid = std::nullopt, pid_t pid = ::getpid()) {
    int pair[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    DoorCall call;
    call.fd = UniqueFd(pair[1]);
    call.id = 9;
    call.pid = pid;
    call.subject = subject;
    call.gate = "login";
    call.role = role;
    call.reason = role.empty() ? "" : "why";
    call.uid = uid;
    REQUIRE(queue.add(std::move(call)));
    turn();
    return UniqueFd(pair[0]);
  }
  static std::optional<wire::DoorSaid> hear(const UniqueFd& fd) {
    std::array<std::byte, wire::kMaxCheckFrame> buffer;
    const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size <= 0) return std::nullopt;
    return wire::read_door_said(*wire::Frame::parse(std::span(buffer).first(static_cast<std::size_t>(size))), 9);
  }
  static bool closed(const UniqueFd& fd) {
    std::byte one{};
    return ::recv(fd.get(), &one, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
  }
  [[nodiscard]] bool filed() const { return std::ranges::count(engine.calls, "request") > 0; }
};

}  // namespace

TEST_CASE("the door says what may be asked for, to those who may", "[server][door]") {
  DoorBench bench;
  auto fd = bench.ask("");
  auto said = bench.hear(fd);
  REQUIRE(said);
  CHECK(said->last);
  CHECK(said->status == wire::Status::done);
  CHECK(std::string(said->role) == "dba");  // the only one
  CHECK(std::string(said->message) == "You may ask for: dba.");
  bench.engine.rows = 1;  // asked for already
  fd = bench.ask("");
  CHECK(std::string(bench.hear(fd)->message).find("dba is asked for already (" + kId) != std::string::npos);
  CHECK_FALSE(bench.filed());
}

TEST_CASE("who stands behind somebody at the door is known by the login", "[server][door]") {
  DoorBench bench;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC);
    const char said = fd >= 0 && ::write(fd, "1234", 4) == 4 ? 'y' : 'n';
    (void)!::write(ends[1], &said, 1);
    ::pause();
    ::_exit(0);
  }
  char said = 'n';
  REQUIRE(::read(ends[0], &said, 1) == 1);
  (void)bench.ask("", "root", 0, child);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : ends) ::close(end);
  if (said != 'y') {
    WARN("the kernel lets nobody set a login uid here");
    return;
  }
  CHECK(bench.engine.loginuid == 1234U);
}

TEST_CASE("P8: who is nobody, not eligible, or whose roles open other doors files nothing", "[server][door]") {
  DoorBench bench;
  std::string role = "dba";
  std::string subject = "alice";
  SECTION("no such account") {
    subject = "nobody";
  }
  SECTION("not eligible") {
    bench.engine.role_eligible = false;
  }
  SECTION("the role opens another gate") {
    bench.engine.role_opens = {"sudo"};
  }
  SECTION("a role that is not theirs") {
    role = "root-shell";
  }
  for (const std::string& one : {role, std::string()}) {
    if (one.empty() && role == "root-shell") continue;
    const auto fd = bench.ask(one, subject);
    const auto said = bench.hear(fd);
    REQUIRE(said);
    CHECK(said->last);
    CHECK(said->status == wire::Status::refused);
    CHECK(bench.closed(fd));
  }
  CHECK_FALSE(bench.filed());
  CHECK(bench.doors->waiting() == 0);
}

TEST_CASE("what is filed waits, is told of changes, and ends with done, refused or time", "[server][door]") {
  DoorBench bench(400'000);
  const auto fd = bench.ask("dba");
  CHECK(bench.filed());
  CHECK(bench.engine.last_wish.role == "dba");
  CHECK(bench.engine.last_wish.reason == "why");
  CHECK(bench.engine.last_wish.origin == "pam");
  auto said = bench.hear(fd);
  REQUIRE(said);
  CHECK_FALSE(said->last);
  CHECK(std::string(said->id) == kId);
  CHECK(std::string(said->message).starts_with(kId + " is filed, waiting for dba-leads"));
  while (bench.hear(fd)) continue;
  CHECK(bench.doors->waiting() == 1);

  bench.engine.views[kId] = FakeEngine::view(kId, GrantState::pending, "waiting for security");
  bench.doors->changed();
  said = bench.hear(fd);
  REQUIRE(said);
  CHECK(std::string(said->message) == "waiting for security");
  bench.doors->changed();
  CHECK_FALSE(bench.hear(fd));  // no news

  SECTION("approved") {
    bench.engine.views[kId] = FakeEngine::view(kId, GrantState::active, "");
    bench.doors->changed();
    CHECK(bench.hear(fd)->status == wire::Status::done);
  }
  SECTION("denied") {
    bench.engine.views[kId] = FakeEngine::view(kId, GrantState::refused, "denied by carol");
    bench.doors->changed();
    said = bench.hear(fd);
    CHECK(said->status == wire::Status::refused);
    CHECK(std::string(said->message) == "denied by carol");
  }
  SECTION("nobody decides in time") {
    for (int i = 0; i < 100 && bench.doors->waiting() > 0; ++i) bench.loop->turn(20'000);
    said = bench.hear(fd);
    REQUIRE(said);
    CHECK(said->last);
    CHECK(said->status == wire::Status::pending);
    CHECK(std::string(said->message).find("come back") != std::string::npos);
  }
  CHECK(bench.doors->waiting() == 0);
  CHECK(bench.closed(fd));
}

TEST_CASE("three wait on a host, one of each user, and who goes makes room", "[server][door]") {
  DoorBench bench;
  std::vector<UniqueFd> fds;
  for (std::uint32_t uid = 1001; uid < 1004; ++uid) fds.push_back(bench.ask("dba", "alice", uid));
  CHECK(bench.doors->waiting() == 3);
  const auto fourth = bench.ask("dba", "alice", 1004);
  auto said = bench.hear(fourth);
  REQUIRE(said);
  CHECK(said->last);
  CHECK(said->status == wire::Status::pending);
  CHECK(std::string(said->message).find("come back") != std::string::npos);
  fds[1].reset();  // disconnected
  bench.turn();
  CHECK(bench.doors->waiting() == 2);
  const auto same = bench.ask("dba", "alice", 1001);
  CHECK(bench.hear(same)->last);  // has a place already
  CHECK(bench.doors->waiting() == 2);
  const auto fifth = bench.ask("dba", "alice", 1005);
  CHECK_FALSE(bench.hear(fifth)->last);
  CHECK(bench.doors->waiting() == 3);
}

TEST_CASE("what policy gives by itself is there at once; what it refuses is refused with its reason",
          "[server][door]") {
  DoorBench bench;
  bench.engine.outcome = Outcome{kId, GrantState::active, "active until 10:42"};
  CHECK(bench.hear(bench.ask("dba"))->status == wire::Status::done);
  bench.engine.outcome = tl::unexpected(Error{Errc::busy, "you have 10 requests waiting", 0});
  const auto said = bench.hear(bench.ask("dba"));
  CHECK(said->status == wire::Status::refused);
  CHECK(std::string(said->message) == "you have 10 requests waiting");
  CHECK(bench.doors->waiting() == 0);
}

TEST_CASE("a flood at the door is bounded", "[server][door]") {
  DoorQueue queue;
  for (std::size_t i = 0; i < DoorQueue::kMost; ++i) REQUIRE(queue.add({}));
  CHECK_FALSE(queue.add({}));
}
