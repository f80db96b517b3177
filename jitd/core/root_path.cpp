#include "jitd/core/root_path.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <string_view>
#include <vector>

#include "jitd/sys/fd.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr int kMaxLinks = 40;

// Puts the names of `path` before `names`.
void put_before(std::deque<std::string>& names, std::string_view path) {
  const std::vector<std::string_view> parts = split(path, '/');
  for (auto it = parts.rbegin(); it != parts.rend(); ++it)
    if (!it->empty() && *it != ".") names.emplace_front(*it);
}

Result<void> check_owner(const struct stat& status, const std::string& path) {
  const std::string shown_path = shown(path.empty() ? "/" : path);
  if (status.st_uid != 0)
    return fail(Errc::refused, shown_path + " belongs to uid " + std::to_string(status.st_uid) + ", not to root");
  if (S_ISLNK(status.st_mode)) return {};  // the mode of a link says nothing
  const bool group = (status.st_mode & S_IWGRP) != 0 && status.st_gid != 0;
  if (group || (status.st_mode & S_IWOTH) != 0)
    return fail(Errc::refused, shown_path + " may be written by others than root");
  return {};
}

Result<std::string> read_link(int fd, const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlinkat(fd, "", target.data(), target.size());
  if (size < 0) return fail_errno(errno, shown(path));
  if (static_cast<std::size_t>(size) >= target.size())
    return fail(Errc::refused, shown(path) + ": the link is too long");
  return std::string(target.data(), static_cast<std::size_t>(size));
}

// Where a walk is: the directories from the root down to here, and the path that they make.
class Walk {
 public:
  static Result<Walk> at(int root) {
    Walk walk;
    walk.root_ = root;
    if (auto home = walk.home(); !home) return tl::unexpected<Error>(home.error());
    return walk;
  }

  Result<void> home() {
    dirs_.clear();
    names_.clear();
    UniqueFd fd(::openat(root_, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) return fail_errno(errno, "/");
    if (auto own = check_owner(status, ""); !own) return own;
    dirs_.push_back(std::move(fd));
    return {};
  }

  void up() {
    if (dirs_.size() < 2) return;  // ".." of the root is the root
    dirs_.pop_back();
    names_.pop_back();
  }

  void down(const std::string& name, UniqueFd fd) {
    names_.push_back(name);
    dirs_.push_back(std::move(fd));
  }

  [[nodiscard]] int here() const { return dirs_.back().get(); }
  [[nodiscard]] std::string path(const std::string& name) const {
    std::string result;
    for (const std::string& part : names_) result += "/" + part;
    return result + "/" + name;
  }

 private:
  int root_ = -1;
  std::vector<UniqueFd> dirs_;
  std::vector<std::string> names_;
};

}  // namespace

Result<std::string> check_root_path(int root, const std::string& path) {
  if (!path.starts_with('/')) return fail(Errc::refused, shown(path) + " is not an absolute path");
  auto walk = Walk::at(root);
  if (!walk) return tl::unexpected<Error>(walk.error());
  std::deque<std::string> names;
  put_before(names, path);
  int links = 0;
  while (!names.empty()) {
    const std::string name = names.front();
    names.pop_front();
    if (name == "..") {
      walk->up();
      continue;
    }
    const std::string here = walk->path(name);
    UniqueFd fd(::openat(walk->here(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) return fail_errno(errno, shown(here));
    if (auto own = check_owner(status, here); !own) return tl::unexpected<Error>(own.error());
    if (S_ISLNK(status.st_mode)) {
      if (++links > kMaxLinks) return fail(Errc::refused, shown(path) + ": too many links");
      auto target = read_link(fd.get(), here);
      if (!target) return target;
      if (target->starts_with('/')) {
        if (auto home = walk->home(); !home) return tl::unexpected<Error>(home.error());
      }
      put_before(names, *target);
    } else if (S_ISDIR(status.st_mode)) {
      walk->down(name, std::move(fd));
    } else if (!S_ISREG(status.st_mode) || !names.empty()) {
      return fail(Errc::refused, shown(here) + " is not a " + (names.empty() ? "regular file" : "directory"));
    } else if ((status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) {
      return fail(Errc::refused, shown(here) + " cannot be executed");
    } else {
      return here;
    }
  }
  return fail(Errc::refused, shown(path) + " is a directory, not a command");
}

}  // namespace jit
