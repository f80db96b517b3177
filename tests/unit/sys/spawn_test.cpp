#include "jitd/sys/spawn.hpp"

#include <csignal>

#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

TEST_CASE("a program runs with its input, and its output and status come back", "[sys][spawn]") {
  const auto cat = run({"/bin/cat"}, "in\n");
  REQUIRE(cat);
  CHECK(cat->out == "in\n");
  CHECK(cat->exit_status == 0);
  const auto sh = run({"/bin/sh", "-c", "echo o; echo e >&2; exit 7"});
  REQUIRE(sh);
  CHECK(sh->out == "o\n");
  CHECK(sh->err == "e\n");
  CHECK(sh->exit_status == 7);
  CHECK(run({"/bin/sh", "-c", "kill -TERM $$"})->exit_status == 128 + SIGTERM);
  // More than a pipe holds, both ways.
  const std::string much(300'000, 'x');
  CHECK(run({"/bin/cat"}, much)->out.size() == std::size_t{256} * 1024);
  CHECK(run({"/usr/bin/true"}, much)->exit_status == 0);
}

TEST_CASE("only absolute programs, found ones, and no shell", "[sys][spawn]") {
  CHECK(run({"true"}).error().code == Errc::invalid);
  CHECK(run({}).error().code == Errc::invalid);
  CHECK(run({"/none/such"}).error().code == Errc::not_found);
  CHECK(run({"/bin/echo", "$(id); `id` *"})->out == "$(id); `id` *\n");
  CHECK(run({"/bin/echo", std::string("a\0b", 3)}).error().code == Errc::invalid);
}

TEST_CASE("a child gets a clean environment, our signals' defaults and none of our descriptors", "[sys][spawn]") {
  REQUIRE(::setenv("JIT_LEAK", "1", 1) == 0);
  const auto env = run({"/usr/bin/env"});
  ::unsetenv("JIT_LEAK");
  CHECK(env->out == "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C.UTF-8\nTZ=UTC\n");

  const UniqueFd leaky(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  const auto fds = run({"/bin/sh", "-c", "ls /proc/self/fd"});
  CHECK(fds->out == "0\n1\n2\n3\n");  // 3 is ls's own

  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  sigset_t before;
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  auto* old = ::signal(SIGPIPE, SIG_IGN);
  const auto state = run({"/bin/grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"});
  ::signal(SIGPIPE, old);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  CHECK(state->out.find("SigBlk:\t0000000000000000\n") != std::string::npos);
  const auto ignored = state->out.find("SigIgn:\t");
  REQUIRE(ignored != std::string::npos);
  // Signals 32 and 33 are glibc's own.
  CHECK((std::stoull(state->out.substr(ignored + 8, 16), nullptr, 16) & 0x7fffffffU) == 0);
}

TEST_CASE("the deadline ends a child and all that it started", "[sys][spawn]") {
  const TempDir dir;
  SpawnRequest request;
  request.argv = {"/bin/sh", "-c",
                  "trap '' TERM; (trap '' TERM; sleep 1; echo alive > " + (dir / "mark") + ") & sleep 30"};
  request.deadline = std::chrono::milliseconds(200);
  const auto before = SystemClock().now().boot_ms;
  const auto outcome = SystemSpawn().run(request);
  CHECK(outcome.error().code == Errc::unavailable);
  CHECK(SystemClock().now().boot_ms - before < 1000);
  ::usleep(1'200'000);
  CHECK_FALSE(there(dir / "mark"));
}

TEST_CASE("neither a grandchild that keeps the pipe nor a child that floods it holds us up", "[sys][spawn]") {
  const auto before = SystemClock().now().boot_ms;
  CHECK(run({"/bin/sh", "-c", "echo out; sleep 3 & exit 0"})->out == "out\n");
  CHECK(SystemClock().now().boot_ms - before < 2000);

  SpawnRequest flood;
  flood.argv = {"/usr/bin/yes"};
  flood.deadline = std::chrono::milliseconds(200);
  CHECK(SystemSpawn().run(flood).error().code == Errc::unavailable);
}
