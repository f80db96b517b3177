// Where grants are written: without room there nothing new is given, and root should hear of it before a user does.
#include <fmt/format.h>
#include <sys/statvfs.h>

#include "jitctl/checkup.hpp"
#include "jitd/sys/lock.hpp"

namespace jit::ctl {
namespace {

constexpr std::uint64_t kFewBytes = std::uint64_t{1} << 20U;
constexpr std::uint64_t kFewInodes = 16;

}  // namespace

void check_disk(Context& context, Findings& findings) {
  const struct {
    const std::string& path;
    const char* what;
  } places[] = {
      {context.places.etc, "group memberships are given no more, and only taken away with what is kept for it"},
      {context.places.var, "nothing new is granted, and what is decided is not on record"},
      {context.places.run, "sudo rules and gates are not opened"}};
  for (const auto& [path, what] : places) {
    struct statvfs disk {};
    if (::statvfs(path.c_str(), &disk) != 0) {
      findings.problem(path + " cannot be looked at: " + what, "look at the disk: df " + path);
    } else if ((disk.f_flag & ST_RDONLY) != 0) {
      findings.problem(path + " is read-only: " + what,
                       fmt::format("make it writable: mount -o remount,rw, for {}", path));
    } else if (disk.f_blocks > 0 && disk.f_bavail * disk.f_frsize < kFewBytes) {
      findings.problem(fmt::format("{} has no room left: {}", path, what), "make room: df " + path);
    } else if (disk.f_files > 0 && disk.f_favail < kFewInodes) {
      findings.problem(fmt::format("{} takes no more files (inodes): {}", path, what), "remove files: df -i " + path);
    } else {
      findings.fine(path + " has room");
    }
  }
  if (const pid_t holder = FileLock::holder(context.places.etc + "/.pwd.lock"); holder > 0)
    findings.note(
        fmt::format("process {} holds the lock of the account files; while it does, no membership is given", holder),
        fmt::format("when it stays: ps -fp {}", holder));
}

}  // namespace jit::ctl
