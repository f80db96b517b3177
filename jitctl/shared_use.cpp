#include "jitctl/shared_use.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "policy/digest.hpp"

namespace jit::ctl {
namespace {

// $XDG_RUNTIME_DIR where it is the user's alone, as it has to be; empty: there is none.
std::string runtime_folder(const Context& context) {
  const auto said = context.env ? context.env("XDG_RUNTIME_DIR") : std::nullopt;
  const std::string folder = said && !said->empty() ? *said : "/run/user/" + std::to_string(context.uid);
  struct stat status {};
  const bool good = folder.starts_with('/') && ::stat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
                    status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  return good ? folder : "";
}

bool lock(int fd, int how) {
  while (::flock(fd, how) != 0)
    if (errno != EINTR) return false;
  return true;
}

// Open with the shared lock, and still there: the last one before us removes it while it has it alone.
UniqueFd open_locked(const std::string& path) {
  for (;;) {
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
    if (!lock(file.get(), LOCK_SH) || ::fstat(file.get(), &status) != 0) return {};
    if (status.st_nlink > 0) return file;
  }
}

}  // namespace

SharedUse SharedUse::begin(const Context& context, const std::string& grant, bool ours) {
  SharedUse use;
  use.ours_ = ours;
  const auto folder = runtime_folder(context);
  const auto id = parse_id_prefix(grant);
  if (folder.empty() || !id || *id != grant) return use;
  use.path_ = folder + "/jit-run-" + grant;
  use.file_ = open_locked(use.path_);
  // The mark: whoever is the last one reads it.
  if (ours && use.file_ && ::ftruncate(use.file_.get(), 1) != 0) use.file_.reset();
  return use;
}

bool SharedUse::over() {
  if (!file_) return ours_;
  // Of two that end at once one gets it: each lets go of the shared lock before it tries.
  last_ = lock(file_.get(), LOCK_EX | LOCK_NB);
  struct stat status {};
  return last_ && ::fstat(file_.get(), &status) == 0 && status.st_size > 0;
}

SharedUse& SharedUse::operator=(SharedUse&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(path_, other.path_);
  std::swap(ours_, other.ours_);
  std::swap(last_, other.last_);
  return *this;
}

SharedUse::~SharedUse() {
  if (file_ && last_) (void)::unlink(path_.c_str());
}

}  // namespace jit::ctl
