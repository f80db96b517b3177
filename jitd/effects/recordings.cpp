#include "jitd/effects/recordings.hpp"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMostDescriptors = 1024;
constexpr std::size_t kMostRecordings = 1'000'000;  // of one grant

std::string link_target(int dir, const std::string& name) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlinkat(dir, name.c_str(), target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

Result<UniqueFd> folder_of_grant(int dir, const std::string& path, const std::string& grant) {
  if (::mkdirat(dir, grant.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, path);
  UniqueFd folder(::openat(dir, grant.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return fail_errno(errno, path);
  return folder;
}

std::uint64_t last_number(const std::vector<std::string>& names) {
  std::uint64_t last = 0;
  for (const std::string& name : names)
    if (const auto number = parse_number(name, kMostRecordings)) last = std::max(last, *number);
  return last;
}

}  // namespace

Result<bool> Recordings::claim(const std::string& grant, pid_t pid) const {
  const auto open_files = open_dir(proc_ + "/" + std::to_string(pid) + "/fd");
  if (!open_files) return tl::unexpected(open_files.error());
  const auto numbers = list_dir(open_files->get(), kMostDescriptors);
  if (!numbers) return tl::unexpected(numbers.error());
  const auto dir = open_dir(dir_);
  if (!dir) return dir.error().errnum == ENOENT ? Result<bool>(false) : tl::unexpected(dir.error());
  const std::string fresh = dir_ + "/" + std::string(kUnclaimed);
  const std::string filed = dir_ + "/" + grant + "/";
  std::string name, another;
  for (const std::string& number : *numbers) {
    const std::string target = link_target(open_files->get(), number);
    const bool before = target.starts_with(filed);
    if (!before && (!target.starts_with(fresh) || target.find('/', fresh.size()) != std::string::npos)) continue;
    struct stat held {};
    struct stat found {};
    if (::fstatat(open_files->get(), number.c_str(), &held, 0) != 0 || (!before && !S_ISDIR(held.st_mode))) continue;
    std::string below = target.substr(dir_.size() + 1);
    // Its standard input is of the user's making, and a path in a mount namespace of theirs reads like ours.
    if (::fstatat(dir->get(), below.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0 || !same_file(held, found)) {
      another = std::move(below);
      continue;
    }
    if (before) return true;  // asked about before
    name = std::move(below);
    break;
  }
  if (name.empty() && another.empty()) return false;
  if (name.empty()) return fail(Errc::refused, dir_ + "/" + shown(another, 100) + " is not what sudo writes");
  const auto folder = folder_of_grant(dir->get(), filed, grant);
  if (!folder) return tl::unexpected(folder.error());
  const auto names = list_dir(folder->get(), kMostRecordings);
  if (!names) return tl::unexpected(names.error());
  const std::string next = std::to_string(last_number(*names) + 1);
  if (::renameat2(dir->get(), name.c_str(), folder->get(), next.c_str(), RENAME_NOREPLACE) != 0)
    return fail_errno(errno, filed + next);
  return true;
}

}  // namespace jit
