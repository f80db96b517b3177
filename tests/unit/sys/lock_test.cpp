#include "jitd/sys/lock.hpp"

#include <sys/wait.h>

#include <csignal>

#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

// Another process that holds the classic lock of lckpwdf(3) until told to end.
class Holder {
 public:
  explicit Holder(const std::string& path) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
      struct flock range {};
      range.l_type = F_WRLCK;
      const char ok = ::fcntl(fd, F_SETLK, &range) == 0 ? 'y' : 'n';
      (void)!::write(ends[1], &ok, 1);
      for (;;) ::pause();
    }
    char ok = 'n';
    REQUIRE(::read(ends[0], &ok, 1) == 1);
    ::close(ends[0]);
    ::close(ends[1]);
    locked_ = ok == 'y';
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool locked() const { return locked_; }

 private:
  pid_t pid_ = 0;
  bool locked_ = false;
};

}  // namespace

TEST_CASE("a lock is held by one at a time and given back", "[sys][lock]") {
  const TempDir dir;
  {
    const auto mine = FileLock::try_take(dir / "lock");
    REQUIRE(mine);
    CHECK((look(dir / "lock").st_mode & 07777U) == 0600);
    CHECK(FileLock::try_take(dir / "lock").error().code == Errc::busy);
    CHECK(FileLock::holder(dir / "lock") == 0);  // nobody's in particular
    const auto before = SystemClock().now().boot_ms;
    CHECK(FileLock::take(dir / "lock", std::chrono::milliseconds(60)).error().code == Errc::busy);
    CHECK(SystemClock().now().boot_ms - before >= 60);
  }
  CHECK(FileLock::try_take(dir / "lock"));
}

TEST_CASE("our lock and the classic one of lckpwdf keep each other out", "[sys][lock]") {
  const TempDir dir;
  SECTION("they hold it") {
    const Holder other(dir / "lock");
    REQUIRE(other.locked());
    CHECK(FileLock::try_take(dir / "lock").error().code == Errc::busy);
    CHECK(FileLock::holder(dir / "lock") == other.pid());
  }
  SECTION("we hold it, also after another descriptor of the file was closed") {
    const auto mine = FileLock::try_take(dir / "lock");
    REQUIRE(mine);
    ::close(::open((dir / "lock").c_str(), O_RDWR));
    const Holder other(dir / "lock");
    CHECK_FALSE(other.locked());
  }
}

TEST_CASE("a lock file that is no file is refused", "[sys][lock]") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir / "lock").c_str(), 0600) == 0);
  CHECK(FileLock::try_take(dir / "lock").error().code == Errc::invalid);
  CHECK(FileLock::try_take(dir / "none/lock").error().errnum == ENOENT);
}
