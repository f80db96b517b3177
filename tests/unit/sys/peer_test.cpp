#include "jitd/sys/peer.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

// A listening SOCK_SEQPACKET socket and a child that connects to it and does `then`.
struct Meeting {
  TempDir dir;
  UniqueFd listening, accepted;
  pid_t child = 0;

  explicit Meeting(const std::function<void(int)>& then) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (dir / "s").copy(address.sun_path, sizeof address.sun_path - 1);
    listening.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::chmod((dir / "s").c_str(), 0777) == 0);
    REQUIRE(::chmod(dir.path().c_str(), 0777) == 0);
    REQUIRE(::listen(listening.get(), 1) == 0);
    child = ::fork();
    if (child == 0) {
      const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
      if (::geteuid() == 0) (void)!::setresuid(12345, 12345, 12345);
      if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ::_exit(1);
      then(fd);
      ::_exit(0);
    }
    accepted.reset(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(accepted);
  }
  ~Meeting() {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
};

}  // namespace

TEST_CASE("a peer is who the kernel says", "[sys][peer]") {
  const Meeting meeting([](int) { ::pause(); });
  const auto peer = peer_of(meeting.accepted.get());
  REQUIRE(peer);
  CHECK(peer->pid == meeting.child);
  CHECK(peer->uid == (::geteuid() == 0 ? 12345U : ::geteuid()));
  const std::string loginuid = get("/proc/self/loginuid");  // inherited
  if (loginuid.empty() || loginuid == "4294967295") {
    CHECK_FALSE(peer->loginuid);
  } else {
    REQUIRE(peer->loginuid);
    CHECK(std::to_string(*peer->loginuid) == loginuid);
  }
  pollfd alive{peer->pidfd.get(), POLLIN, 0};
  CHECK(::poll(&alive, 1, 0) == 0);
}

TEST_CASE("a peer that is gone when it is looked at is an error, reaped or not", "[sys][peer]") {
  Meeting meeting([](int) {});
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(meeting.child), &info, WEXITED | WNOWAIT) == 0);
  CHECK(peer_of(meeting.accepted.get()).error().code == Errc::refused);
  ::waitpid(meeting.child, nullptr, 0);
  CHECK(peer_of(meeting.accepted.get()).error().code == Errc::refused);
}

TEST_CASE("a connection that outlives its maker is not its heir's", "[sys][peer]") {
  // The child connects, hands the socket to a grandchild and ends: nobody may speak for it any more.
  Meeting meeting([](int) {
    if (::fork() == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::sleep(2);
      ::_exit(0);
    }
  });
  ::waitpid(meeting.child, nullptr, 0);
  CHECK_FALSE(peer_of(meeting.accepted.get()));
}

TEST_CASE("a name that a client binds has no say", "[sys][peer]") {
  // CVE-2019-7304: text from the peer's address was taken for its uid.
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  const UniqueFd a(ends[0]);
  const UniqueFd b(ends[1]);
  const TempDir dir;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (dir / "x;uid=0;").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(b.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(peer_of(a.get())->uid == ::geteuid());
  CHECK(server_uid(a.get()).value() == ::geteuid());
  CHECK_FALSE(peer_of(0));
}

TEST_CASE("when a process started is read behind its name, whatever it calls itself", "[sys][peer]") {
  const auto now = SystemClock().now().boot_ms;
  char old[16] = {};
  ::prctl(PR_GET_NAME, old);
  ::prctl(PR_SET_NAME, "x) R 1 1 1 1 1");
  const auto started = started_ms(::getpid());
  ::prctl(PR_SET_NAME, old);
  REQUIRE(started);
  CHECK(*started <= now + 20);
  CHECK(*started > 1000);
  CHECK(*started == started_ms(::getpid()).value());
  CHECK_FALSE(started_ms(0));
}
