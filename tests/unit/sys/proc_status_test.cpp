#include "jitd/sys/proc_status.hpp"

#include <unistd.h>

#include <filesystem>

#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

TEST_CASE("what /proc says of a process", "[sys]") {
  const auto own = proc_status(::getpid());
  REQUIRE(own);
  CHECK(own->parent == ::getppid());
  CHECK(own->real_uid() == ::getuid());
  CHECK(own->gids[0] == ::getgid());
  CHECK_FALSE(proc_status(-1));
  const TempDir proc;
  std::filesystem::create_directories(proc.path() + "/7");
  put(proc / "7/status", "Name:\tx\nPPid:\t6\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n");
  const auto read = proc_status(7, proc.path());
  REQUIRE(read);
  CHECK(read->uids == std::array<uid_t, 4>{1, 2, 3, 4});
  CHECK(read->groups == std::vector<gid_t>{9, 10});
  CHECK(all_processes(proc.path()) == std::vector<pid_t>{7});
  put(proc / "7/status", "Name:\tx\nPPid:\t6\nUid:\t1\t2\t3\nGid:\t5\t6\t7\t8\n");
  CHECK_FALSE(proc_status(7, proc.path()));
}
