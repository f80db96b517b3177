#include "jitd/sys/files.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>

#include "tests/unit/catch.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

class Umask {
 public:
  explicit Umask(mode_t mask) : old_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(old_); }

 private:
  mode_t old_;
};

FileMode ours(mode_t mode) {
  return {mode, ::geteuid(), ::getegid(), -1};
}

}  // namespace

TEST_CASE("only regular files are read, and never a link, a FIFO or too much", "[sys][files]") {
  const TempDir dir;
  put(dir / "plain", "text\n");
  CHECK(read_file(dir / "plain", 5).value() == "text\n");
  CHECK(read_file(dir / "plain", 4).error().code == Errc::invalid);
  CHECK(read_file(dir / "none", 5).error().code == Errc::not_found);

  REQUIRE(::symlink((dir / "plain").c_str(), (dir / "link").c_str()) == 0);
  CHECK(read_file(dir / "link", 5).error().message.find("symbolic link") != std::string::npos);
  // Nobody writes to it: an open or a read would wait for ever.
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  CHECK(read_file(dir / "fifo", 5).error().message.find("regular") != std::string::npos);
  CHECK(read_file("/dev/zero", 5).error().message.find("regular") != std::string::npos);
  CHECK_FALSE(read_file(dir.path(), 5));
  CHECK(read_file("/proc/self/stat", 4096).value().size() > 10);
}

TEST_CASE("a replaced file has the mode it was to have, whatever the umask", "[sys][files]") {
  const TempDir dir;
  const auto folder = open_dir(dir.path()).value();
  for (const mode_t mask : {mode_t{0}, mode_t{0777}, mode_t{022}}) {
    const Umask set(mask);
    for (const mode_t mode : {mode_t{0600}, mode_t{0440}, mode_t{0644}}) {
      REQUIRE(replace_file(system_files(), folder.get(), "f", "x", ours(mode)));
      CHECK((look(dir / "f").st_mode & 07777U) == mode);
    }
  }
}

TEST_CASE("no moment in which a file has content and not yet its mode and owner", "[sys][files]") {
  // At the first byte written the file is as it will be; before, nobody can open it.
  class Watch final : public Files {
   public:
    mode_t created = 07777;
    mode_t at_write = 07777;
    int openat(int dir, const char* path, int flags, mode_t mode) noexcept override {
      created = mode;
      return Files::openat(dir, path, flags, mode);
    }
    ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) noexcept override {
      struct stat status {};
      ::fstat(fd, &status);
      at_write = status.st_mode & 07777U;
      return Files::pwrite(fd, data, size, offset);
    }
  } files;
  const TempDir dir;
  const auto folder = open_dir(dir.path()).value();
  REQUIRE(replace_file(files, folder.get(), "f", "content", ours(0440)));
  CHECK(files.created == 0);
  CHECK(files.at_write == 0440);
}

TEST_CASE("whichever call fails, the old file stays and no temporary", "[sys][files]") {
  int calls = 0;
  for (int at = 0;; ++at) {
    const TempDir dir;
    const auto folder = open_dir(dir.path()).value();
    put(dir / "f", "old");
    FailingFiles files;
    files.fail_at = at;
    const auto done = replace_file(files, folder.get(), "f", "new", ours(0600));
    if (files.calls <= at) break;
    ++calls;
    INFO(files.log.back());
    REQUIRE_FALSE(done);
    CHECK(done.error().errnum == ENOSPC);
    CHECK_FALSE(there(dir / ".f.tmp"));
    // The last fsync is that of the directory: the new file is there, whole.
    CHECK(get(dir / "f") == (files.log.back() == "fsync" && files.log.size() == 7 ? "new" : "old"));
  }
  CHECK(calls == 7);  // openat fchown fchmod pwrite fsync renameat fsync; what comes after a failure is the unlinkat
}

TEST_CASE("a planted temporary is not adopted", "[sys][files]") {
  const TempDir dir;
  const auto folder = open_dir(dir.path()).value();
  put(dir / "victim", "untouched", 0600);
  SECTION("a link") {
    REQUIRE(::symlink((dir / "victim").c_str(), (dir / ".f.tmp").c_str()) == 0);
  }
  SECTION("a hard link") {
    REQUIRE(::link((dir / "victim").c_str(), (dir / ".f.tmp").c_str()) == 0);
  }
  SECTION("a file left by a crash, open in another process") {
    put(dir / ".f.tmp", "half", 0666);
  }
  const UniqueFd planted(::open((dir / ".f.tmp").c_str(), O_RDWR));
  REQUIRE(replace_file(system_files(), folder.get(), "f", "content", ours(0600)));
  REQUIRE(::pwrite(planted.get(), "evil", 4, 0) == 4);
  CHECK(get(dir / "f") == "content");
  CHECK((look(dir / "f").st_mode & 07777U) == 0600);
  CHECK(look(dir / "f").st_nlink == 1);
}

TEST_CASE("extended attributes are kept", "[sys][files]") {
  const TempDir dir;
  put(dir / "f", "old");
  if (::setxattr((dir / "f").c_str(), "user.label", "kept", 4, 0) != 0) {
    WARN("no user attributes on this file system");
    return;
  }
  const auto folder = open_dir(dir.path()).value();
  const auto old = open_regular(folder.get(), "f", O_RDONLY, "f").value();
  const auto mode = mode_of(old.get()).value();
  REQUIRE(replace_file(system_files(), folder.get(), "f", "new", mode));
  std::string value(8, '\0');
  REQUIRE(::getxattr((dir / "f").c_str(), "user.label", value.data(), value.size()) == 4);
  CHECK(value.substr(0, 4) == "kept");
  CHECK(get(dir / "f") == "new");
}

TEST_CASE("a directory is listed in order and bounded", "[sys][files]") {
  const TempDir dir;
  for (const char* name : {"b", "a", ".c"}) put(dir / name, "");
  const auto folder = open_dir(dir.path()).value();
  CHECK(list_dir(folder.get()).value() == std::vector<std::string>{".c", "a", "b"});
  CHECK(list_dir(folder.get()).value().size() == 3);  // again, from its beginning
  CHECK_FALSE(list_dir(folder.get(), 2));
  REQUIRE(::symlink(dir.path().c_str(), (dir / "link").c_str()) == 0);
  CHECK_FALSE(open_dir(dir / "link"));
}

TEST_CASE("an attribute that only CAP_SYS_ADMIN may set keeps no file from being replaced", "[sys][files]") {
  const TempDir dir;
  put(dir / "f", "old");
  const UniqueFd old(::open((dir / "f").c_str(), O_RDONLY | O_CLOEXEC));
  if (::fsetxattr(old.get(), "security.jit-test", "x", 1, 0) != 0) return;  // not root, or no attributes here
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // As jitd.service has it: root without CAP_SYS_ADMIN.
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> caps{};
    (void)::syscall(SYS_capget, &header, caps.data());
    caps[0].effective &= ~(1U << CAP_SYS_ADMIN);
    caps[0].permitted &= ~(1U << CAP_SYS_ADMIN);
    if (::syscall(SYS_capset, &header, caps.data()) != 0) ::_exit(2);
    const auto mode = mode_of(old.get());
    const auto folder = open_dir(dir.path());
    ::_exit(mode && folder && replace_file(system_files(), folder->get(), "f", "new", *mode) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(read_file(dir / "f", 10).value() == "new");
}
