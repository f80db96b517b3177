// P2: sessions under a grant are answered only when its end will find them.
#include "jitd/server/sessions.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>

#include "jitd/wire/board_writer.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace jit;
using namespace jit::test;

namespace {

const std::string kGrant = "0123456789abcdef";

struct SessionBench {
  Folder folder;
  std::unique_ptr<Loop> loop = std::move(*Loop::make());
  FakeEngine engine;
  SessionQueue queue;
  std::unique_ptr<Sessions> sessions;
  UniqueFd ours;

  SessionBench() {
    publish(true);
    sessions = std::make_unique<Sessions>(*loop, engine, queue, folder / "board");
  }
  void publish(bool live, std::uint64_t ended = 0, bool gated = false) const {
    wire::BoardContent board;
    if (ended != 0) board.sudo_ends = {{1001, ended}};
    if (gated) board.gates = {{"sudo", {"sudo"}, true, true, {}, {}, ""}};
    board.boot_id = "11111111-2222-3333-4444-555555555555";
    wire::GrantOnBoard grant;
    grant.id = kGrant;
    grant.user = "alice";
    grant.uid = 1001;
    grant.not_after_ms = INT64_MAX / 2;
    grant.boot_deadline_ms = UINT64_MAX / 2000;
    grant.has_sudo = true;
    grant.live = live;
    if (gated) grant.opens = {"sudo"};
    board.grants = {grant};
    const auto bytes = wire::make_board(board);
    REQUIRE(bytes);
    folder.write("board.new", *bytes);
    std::filesystem::rename(folder / "board.new", folder / "board");
  }
  SessionCall call(const std::string& gate = "") {
    int pair[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    ours = UniqueFd(pair[0]);
    SessionCall call;
    call.fd = UniqueFd(pair[1]);
    call.id = 9;
    call.answer.verdict = wire::Verdict::allow;
    call.answer.live_sudo = true;
    wire::copy_text(call.answer.grant, kGrant);
    wire::copy_text(call.answer.gate, gate);
    call.service = "sudo";
    call.subject = "alice";
    call.target = "postgres";
    call.uid = 1001;
    call.has_uid = true;
    call.pid = 4242;
    call.came_usec = Loop::now_usec(CLOCK_BOOTTIME);
    return call;
  }
  std::optional<wire::Answer> answer() {
    for (int i = 0; i < 50; ++i) loop->turn(1000);
    std::array<std::byte, wire::kMaxCheckFrame> buffer;
    const ssize_t size = ::recv(ours.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size <= 0) return std::nullopt;
    const auto frame = wire::Frame::parse(std::span(buffer).first(static_cast<std::size_t>(size)));
    REQUIRE(frame);
    return wire::read_answer(*frame, 9);
  }
};

}  // namespace

TEST_CASE("P2: a command is let go when it is where its grant's end finds it", "[server]") {
  SessionBench bench;
  bench.engine.elevated = kGrant;
  REQUIRE(bench.queue.add(bench.call()));
  const auto answer = bench.answer();
  REQUIRE(answer);
  CHECK(answer->verdict == wire::Verdict::allow);
  CHECK(std::string(answer->grant) == kGrant);
  CHECK(bench.engine.calls == std::vector<std::string>{"elevate 1001 postgres "});
}

TEST_CASE("of several grants jitd chooses by the command's own words", "[server]") {
  SessionBench bench;
  bench.engine.elevated = kGrant;
  SessionCall call = bench.call();
  call.pid = ::getpid();
  REQUIRE(bench.queue.add(std::move(call)));
  REQUIRE(bench.answer());
  REQUIRE_FALSE(bench.engine.argv.empty());
  CHECK(bench.engine.argv.front().find("unit") != std::string::npos);  // this process's
}

TEST_CASE("whoever is recorded is told so", "[server]") {
  SessionBench bench;
  bench.engine.elevated = kGrant;
  bench.engine.recorded = true;
  REQUIRE(bench.queue.add(bench.call()));
  const auto answer = bench.answer();
  REQUIRE(answer);
  CHECK(answer->verdict == wire::Verdict::allow);
  CHECK(std::string(answer->message) ==
        "pam_jit: what is typed and shown now is recorded, under grant " + kGrant + ".");
}

TEST_CASE("a gate that was opened says by which grant", "[server]") {
  SessionBench bench;
  bench.engine.elevated = kGrant;
  REQUIRE(bench.queue.add(bench.call("sudo")));
  REQUIRE(bench.answer());
  CHECK(bench.engine.calls == std::vector<std::string>{"elevate 1001 postgres " + kGrant});
}

TEST_CASE("P2: where that cannot be done, or the grant has ended beside us, it is refused", "[server]") {
  SessionBench bench;
  SECTION("systemd does not answer") {
    bench.engine.elevated = tl::unexpected(Error{Errc::unavailable, "systemd: no answer", 0});
    REQUIRE(bench.queue.add(bench.call()));
    const auto answer = bench.answer();
    REQUIRE(answer);
    CHECK(answer->verdict == wire::Verdict::deny);
    CHECK(answer->gate[0] == '\0');  // a refusal in observe mode as well
    CHECK(std::string(answer->message).find("systemd: no answer") != std::string::npos);
  }
  SECTION("jitd --expire marked it on the board meanwhile") {
    bench.engine.elevated = kGrant;
    bench.publish(false);
    REQUIRE(bench.queue.add(bench.call()));
    const auto answer = bench.answer();
    REQUIRE(answer);
    CHECK(answer->verdict == wire::Verdict::deny);
  }
  SECTION("there is no board") {
    bench.engine.elevated = kGrant;
    std::filesystem::remove(bench.folder / "board");
    REQUIRE(bench.queue.add(bench.call()));
    const auto answer = bench.answer();
    REQUIRE(answer);
    CHECK(answer->verdict == wire::Verdict::deny);
  }
}

TEST_CASE("what no grant gives goes by the board's answer", "[server]") {
  SessionBench bench;
  bench.engine.elevated = std::string();
  REQUIRE(bench.queue.add(bench.call()));
  const auto answer = bench.answer();
  REQUIRE(answer);
  CHECK(answer->verdict == wire::Verdict::allow);
}

TEST_CASE("P2: what no grant gives any more is refused, if one gave it when sudo began", "[server]") {
  SessionBench bench;
  bench.engine.elevated = std::string();
  SessionCall call = bench.call();
  call.started_ms = 5000;
  SECTION("it ended meanwhile") {
    bench.publish(false, 6000);
    REQUIRE(bench.queue.add(std::move(call)));
    const auto answer = bench.answer();
    REQUIRE(answer);
    CHECK(answer->verdict == wire::Verdict::deny);
    CHECK(std::string(answer->message).find("Run it again") != std::string::npos);
  }
  SECTION("it ended before") {
    bench.publish(false, 4000);
    REQUIRE(bench.queue.add(std::move(call)));
    const auto answer = bench.answer();
    REQUIRE(answer);
    CHECK(answer->verdict == wire::Verdict::not_gated);
  }
  SECTION("a gate that another grant opened since then is asked about anew") {
    bench.publish(true, 0, true);
    REQUIRE(bench.queue.add(std::move(call)));
    const auto answer = bench.answer();
    REQUIRE(answer);
    CHECK(answer->verdict == wire::Verdict::deny);
  }
  SECTION("there is no board to say so") {
    std::filesystem::remove(bench.folder / "board");
    REQUIRE(bench.queue.add(std::move(call)));
    const auto answer = bench.answer();
    REQUIRE(answer);
    CHECK(answer->verdict == wire::Verdict::unknown);
  }
}

TEST_CASE("a login is noted, and forgotten when it closes", "[server]") {
  SessionBench bench;
  bench.engine.elevated = kGrant;
  SessionCall call = bench.call("login");
  call.has_uid = false;
  call.service = "sshd";
  REQUIRE(bench.queue.add(std::move(call)));
  REQUIRE(bench.answer());
  bench.queue.close(4242);
  for (int i = 0; i < 20; ++i) bench.loop->turn(1000);
  CHECK(bench.engine.calls == std::vector<std::string>{"let_in " + kGrant + " 4242", "let_out 4242"});
}

TEST_CASE("who has been refused by the module's own deadline is not let in any more", "[server]") {
  SessionBench bench;
  bench.engine.elevated = kGrant;
  SessionCall call = bench.call();
  call.came_usec -= 2'000'000;
  REQUIRE(bench.queue.add(std::move(call)));
  CHECK_FALSE(bench.answer());
  CHECK(bench.engine.calls.empty());
}

TEST_CASE("a flood of one user's commands keeps nobody else's out", "[server]") {
  SessionQueue queue;
  const auto of = [](std::uint32_t uid) {
    SessionCall call;
    call.has_uid = true;
    call.uid = uid;
    return call;
  };
  for (std::size_t i = 0; i < SessionQueue::kMostOfOne; ++i) REQUIRE(queue.add(of(1001)));
  CHECK_FALSE(queue.add(of(1001)));
  CHECK(queue.add(of(1002)));
  CHECK(queue.add({}));  // a login
}

TEST_CASE("a flood of sessions is bounded", "[server]") {
  SessionQueue queue;
  for (std::size_t i = 0; i < SessionQueue::kMost; ++i) REQUIRE(queue.add({}));
  CHECK_FALSE(queue.add({}));
}
