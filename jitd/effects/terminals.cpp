#include "jitd/effects/terminals.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "jitd/sys/fd.hpp"
#include "jitd/sys/files.hpp"

namespace jit {
namespace {

bool is_number(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](char byte) { return byte >= '0' && byte <= '9'; });
}

void write_one(int dir, const std::string& name, uid_t uid, const std::string& text) {
  struct stat seen {};
  if (::fstatat(dir, name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISCHR(seen.st_mode) || seen.st_uid != uid)
    return;
  const UniqueFd terminal(::openat(dir, name.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  if (!terminal || ::fstat(terminal.get(), &seen) != 0 || !S_ISCHR(seen.st_mode) || seen.st_uid != uid ||
      ::isatty(terminal.get()) == 0)
    return;
  const std::string line = "\r\n" + text + "\r\n";
  (void)!::write(terminal.get(), line.data(), line.size());
}

}  // namespace

void write_to_terminals(uid_t uid, const std::string& text, const std::string& dev) {
  if (const auto pts = open_dir(dev + "/pts")) {
    const auto names = list_dir(pts->get());
    for (const std::string& name : names.value_or(std::vector<std::string>{}))
      if (is_number(name)) write_one(pts->get(), name, uid, text);
  }
  if (const auto root = open_dir(dev)) {
    for (int number = 1; number <= 63; ++number) write_one(root->get(), "tty" + std::to_string(number), uid, text);
  }
}

}  // namespace jit
