// The deadline: one for connecting, sending and receiving together, signals or not.
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "tests/pam/fixture.hpp"
#include "tests/unit/catch.hpp"

using namespace jit::pam::test;

namespace {

using Milliseconds = std::chrono::milliseconds;

// How long an account check takes, with a line of timeout=150 and nothing to fall back on.
Milliseconds held_up(const Place& place) {
  place.service("sshd", PAM_JIT_TEST, "services=sshd mode=enforce timeout=150");
  Transaction pam(place, "sshd");
  const auto start = std::chrono::steady_clock::now();
  CHECK(pam.account() == PAM_AUTHINFO_UNAVAIL);
  return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start);
}

void alarm_handler(int) {}

}  // namespace

TEST_CASE("P5: a jitd that says nothing holds up a check until the deadline, no longer", "[pam]") {
  const Place place;
  const Daemon jitd([](const std::string&) { return std::nullopt; });
  const auto took = held_up(place);
  CHECK(took >= Milliseconds(145));
  CHECK(took < Milliseconds(1500));  // a loaded machine
}

TEST_CASE("P5: so does one whose queue is full", "[pam]") {
  const Place place;
  const int listener = bound_socket(true, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "check.sock");
  std::vector<int> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (::connect(waiting.back(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) break;
  }
  const auto took = held_up(place);
  CHECK(took >= Milliseconds(145));
  CHECK(took < Milliseconds(1500));
  for (const int fd : waiting) ::close(fd);
  ::close(listener);
}

TEST_CASE("P5: signals neither prolong the deadline nor end it", "[pam]") {
  const Place place;
  const Daemon jitd([](const std::string&) { return std::nullopt; });
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = alarm_handler;  // no SA_RESTART
  REQUIRE(::sigaction(SIGALRM, &action, &before) == 0);
  const itimerval often{{0, 2000}, {0, 2000}};
  const itimerval never{};
  REQUIRE(::setitimer(ITIMER_REAL, &often, nullptr) == 0);
  const auto took = held_up(place);
  REQUIRE(::setitimer(ITIMER_REAL, &never, nullptr) == 0);
  REQUIRE(::sigaction(SIGALRM, &before, nullptr) == 0);
  CHECK(took >= Milliseconds(145));
  CHECK(took < Milliseconds(1500));
}

TEST_CASE("a jitd that goes away raises no SIGPIPE", "[pam]") {
  const Place place;
  const int listener = bound_socket(true);
  ::shutdown(listener, SHUT_RD);
  CHECK(held_up(place) < Milliseconds(145));
  ::close(listener);
}
