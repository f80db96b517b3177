// check.sock: answered whatever the loop, an effect or other users do (P5).
#include <poll.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "jitd/server/check_thread.hpp"
#include "jitd/wire/board_writer.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace jit;
using namespace jit::test;

namespace {

constexpr std::int64_t kFarMs = 4102444800000;  // 2100

wire::BoardContent content(bool live = true) {
  wire::BoardContent board;
  wire::GateOnBoard gate;
  gate.name = "sudo";
  gate.services = {"sudo"};
  gate.enforce = true;
  gate.everybody = true;
  gate.help = "Ask with: jitctl request";
  board.gates = {gate};
  wire::GrantOnBoard grant;
  grant.id = "0123456789abcdef";
  grant.user = "alice";
  grant.uid = 1001;
  grant.not_after_ms = kFarMs;
  grant.boot_deadline_ms = UINT64_MAX / 2000;
  grant.opens = {"sudo"};
  grant.has_sudo = true;
  grant.live = live;
  board.grants = {grant};
  board.boot_id = "11111111-2222-3333-4444-555555555555";
  return board;
}

class CheckBench {
 public:
  explicit CheckBench(CheckLimits limits = {}, CheckThread::Seams seams = {}) {
    seams.server_of = seams.server_of == 0 ? ::getuid() : seams.server_of;
    auto listener = listen_at(folder / "check.sock", 0600);
    REQUIRE(listener);
    auto started =
        CheckThread::start(std::move(*listener), folder / "board", log, sessions, doors, limits, std::move(seams));
    REQUIRE(started);
    thread = std::move(*started);
  }
  void publish(const wire::BoardContent& board) {
    const auto bytes = wire::make_board(board);
    REQUIRE(bytes);
    folder.write("board.new", *bytes);
    std::filesystem::rename(folder / "board.new", folder / "board");
  }
  [[nodiscard]] std::unique_ptr<Client> connect() const { return std::make_unique<Client>(folder / "check.sock"); }

  static bool ask(Client& client, const std::string& subject, wire::Phase phase = wire::Phase::account) {
    std::array<std::byte, wire::kMaxCheckFrame> buffer;
    wire::Query query;
    query.phase = phase;
    query.service = "sudo";
    query.subject = subject;
    query.line_enforces = true;
    query.has_uid = true;
    query.uid = subject == "alice" ? 1001 : 1002;
    query.started_ms = 1;
    const auto bytes = wire::make_query(buffer, 9, query);
    REQUIRE(!bytes.empty());
    return ::send(client.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  // The answer within `ms`; nullopt: none, or the connection was closed.
  static std::optional<wire::Answer> hear(Client& client, int ms = 2000) {
    pollfd wait{client.fd(), POLLIN, 0};
    if (::poll(&wait, 1, ms) != 1) return std::nullopt;
    std::array<std::byte, wire::kMaxCheckFrame> buffer;
    const ssize_t size = ::recv(client.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size <= 0) return std::nullopt;
    const auto frame = wire::Frame::parse(std::span(buffer).first(static_cast<std::size_t>(size)));
    REQUIRE(frame);
    return wire::read_answer(*frame, 9);
  }
  [[nodiscard]] std::optional<wire::Answer> check(const std::string& subject,
                                                  wire::Phase phase = wire::Phase::account) const {
    const auto client = connect();
    if (!client->connected() || !ask(*client, subject, phase)) return std::nullopt;
    return hear(*client);
  }

  Folder folder;
  SessionQueue sessions;
  DoorQueue doors;
  CheckLog log;
  std::unique_ptr<CheckThread> thread;
};

}  // namespace

TEST_CASE("checks are answered from the board as it is replaced and marked", "[server]") {
  CheckBench bench;
  auto answer = bench.check("alice");
  REQUIRE(answer);
  CHECK(answer->verdict == wire::Verdict::unknown);  // no board: the module decides by its own rules

  bench.publish(content());
  answer = bench.check("alice");
  REQUIRE(answer);
  CHECK(answer->verdict == wire::Verdict::allow);
  CHECK(std::string(answer->grant) == "0123456789abcdef");
  answer = bench.check("bob");
  REQUIRE(answer);
  CHECK(answer->verdict == wire::Verdict::deny);
  CHECK(std::string(answer->message) == "Ask with: jitctl request");

  bench.publish(content(false));
  answer = bench.check("alice");
  REQUIRE(answer);
  CHECK(answer->verdict == wire::Verdict::deny);

  bench.folder.write("board", "torn");
  answer = bench.check("alice");
  REQUIRE(answer);
  CHECK(answer->verdict == wire::Verdict::unknown);
}

TEST_CASE("checks are answered while the loop is blocked (P5)", "[server]") {
  CheckBench bench;
  bench.publish(content());
  auto loop = Loop::make();
  REQUIRE(loop);
  std::atomic<bool> blocked{false}, go{true};
  auto stuck = (*loop)->later([&] {  // an effect that hangs
    blocked = true;
    while (go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  stuck.arm(0);
  std::thread looping([&] { (*loop)->turn(0); });
  while (!blocked) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) {
    const auto answer = bench.check("alice");
    REQUIRE(answer);
    CHECK(answer->verdict == wire::Verdict::allow);
  }
  CHECK(blocked);
  go = false;
  looping.join();
}

TEST_CASE("only peers of uid 0 are heard", "[server]") {
  CheckThread::Seams seams;
  seams.peer = [](int) { return CheckThread::PeerId{1001, 4242}; };
  CheckBench bench({}, std::move(seams));
  bench.publish(content());
  CHECK_FALSE(bench.check("alice"));
}

TEST_CASE("garbage is not answered and harms nobody", "[server]") {
  CheckBench bench;
  bench.publish(content());
  for (const auto& bytes : {std::string("x"), std::string(4096, '\0'), std::string(5000, 'a'),
                            std::string("JIT1\x01\x00\x10\x00\xff\xff\xff\xff\x01\x00\x00\x00", 16)}) {
    const auto client = bench.connect();
    REQUIRE(client->raw(bytes));
    CHECK_FALSE(CheckBench::hear(*client, 500));
  }
  // A control verb is none of its business.
  const auto client = bench.connect();
  REQUIRE(client->send(wire::Verb::status));
  CHECK_FALSE(CheckBench::hear(*client, 500));
  CHECK(bench.check("alice"));
}

TEST_CASE("one user's half-open checks leave root's logins alone", "[server]") {
  std::atomic<uid_t> behind{1001};
  CheckThread::Seams seams;
  seams.behind = [&](pid_t) { return behind.load(); };
  CheckLimits limits;
  limits.crowd = 4;
  limits.per_uid = 8;
  limits.deadline_usec = 60'000'000;
  CheckBench bench(limits, std::move(seams));
  bench.publish(content());
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 200; ++i) silent.push_back(bench.connect());

  // Of the flood eight hold a slot, the others are hung up on.
  const auto open = [&] {
    std::size_t count = 0;
    for (const auto& client : silent) {
      (void)client->next();
      if (!client->closed()) ++count;
    }
    return count;
  };
  for (int i = 0; i < 3000 && open() > 8; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(open() == 8);

  // Everybody else is served, also who takes a while to ask.
  behind = 0;
  for (int i = 0; i < 20; ++i) {
    const auto slow = bench.connect();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    REQUIRE(CheckBench::ask(*slow, "alice"));
    const auto answer = CheckBench::hear(*slow);
    REQUIRE(answer);
    CHECK(answer->verdict == wire::Verdict::allow);
  }
}

TEST_CASE("who connects and says nothing is hung up on in time", "[server]") {
  CheckLimits limits;
  limits.deadline_usec = 100'000;
  CheckBench bench(limits);
  const auto client = bench.connect();
  pollfd wait{client->fd(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 3000) == 1);
  (void)client->next();
  CHECK(client->closed());
}

TEST_CASE("answers are counted for the audit, sessions kept for status", "[server]") {
  CheckBench bench;
  bench.publish(content());
  for (int i = 0; i < 5; ++i) REQUIRE(bench.check("alice"));
  REQUIRE(bench.check("bob\x1b[2J"));
  {
    // A session under a grant is the loop's to answer.
    const auto client = bench.connect();
    REQUIRE(CheckBench::ask(*client, "alice", wire::Phase::session));
    CHECK_FALSE(CheckBench::hear(*client, 50));
    SessionCall call;
    REQUIRE(bench.sessions.take(call));
    CHECK(call.subject == "alice");
    CHECK(call.uid == 1001);
    CHECK(call.pid == ::getpid());
    CHECK(call.id == 9);
    CHECK(call.answer.verdict == wire::Verdict::allow);
  }
  // The report follows the answer.
  for (int i = 0; i < 1000 && bench.log.total() < 7; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  pollfd wait{bench.log.ready_fd(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 1000) == 1);
  bench.log.clear_ready();
  const auto sessions = bench.log.sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(sessions[0].grant == "0123456789abcdef");
  CHECK(sessions[0].pid == ::getpid());
  const auto batch = bench.log.take();
  REQUIRE(batch.size() == 2);
  CHECK(batch[0].subject == "alice");
  CHECK(batch[0].count == 6);
  CHECK(batch[1].verdict == "deny");
  CHECK(batch[1].subject == "bob\\x1b[2J");
  CHECK(bench.log.take().empty());
  REQUIRE(bench.check("alice", wire::Phase::close));
  for (int i = 0; i < 1000 && !bench.log.sessions().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(bench.log.sessions().empty());
}

TEST_CASE("a session that no grant lets in is answered at once", "[server]") {
  CheckBench bench;
  bench.publish(content());
  CHECK(bench.check("bob", wire::Phase::session));
  SessionCall call;
  CHECK_FALSE(bench.sessions.take(call));
}

TEST_CASE("the log of checks is bounded", "[server]") {
  CheckLog log;
  for (int i = 0; i < 2000; ++i)
    log.add(Engine::CheckReport{"sshd", "user" + std::to_string(i), "deny", "login", "", 1});
  CHECK(log.take().size() == CheckLog::kMaxReports);
  CHECK(log.dropped() == 2000 - CheckLog::kMaxReports);
  for (int i = 0; i < 3000; ++i) log.add(SessionSeen{"g", "sshd", "u", i, 0});
  CHECK(log.sessions().size() == CheckLog::kMaxSessions);
}

TEST_CASE("the watchdog's sign of life comes from the thread itself", "[server]") {
  CheckBench bench;
  CHECK(bench.thread->alive());
  bench.thread->ping();
  for (int i = 0; i < 2000 && !bench.thread->alive(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(bench.thread->alive());
}

TEST_CASE("who stands behind a privileged peer: the real uid, not a name that looks like one", "[server]") {
  CHECK(uid_behind(-1) == 0);
  if (::getuid() != 0) return;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    (void)::pthread_setname_np(::pthread_self(), "x\nUid:\t7\t7");
    (void)!::setresuid(4321, 0, 0);
    ::pause();
    ::_exit(0);
  }
  for (int i = 0; i < 1000 && uid_behind(child) != 4321; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(uid_behind(child) == 4321);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}
