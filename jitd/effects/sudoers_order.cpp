#include "jitd/effects/sudoers_order.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxSudoers = std::size_t{8} << 20U;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The folder of an @includedir (or old #includedir) line, with one slash or without quotes.
std::optional<std::string_view> included_folder(std::string_view line) {
  if (!line.starts_with("@includedir") && !line.starts_with("#includedir")) return std::nullopt;
  std::string_view path = trimmed(line.substr(11));
  if (path.size() >= 2 && path.front() == '"' && path.back() == '"') path = path.substr(1, path.size() - 2);
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

// Lines that decide nothing: blank, comment (but not "#uid ..."), Defaults, alias definitions.
bool decides_nothing(std::string_view line) {
  if (line.empty()) return true;
  if (line.front() == '#') {
    const bool include = line.starts_with("#include");
    const bool uid = line.size() > 1 && line[1] >= '0' && line[1] <= '9';
    return !include && !uid;
  }
  for (const std::string_view word :
       {"Defaults", "User_Alias", "Runas_Alias", "Host_Alias", "Cmnd_Alias", "Cmd_Alias"})
    if (line.starts_with(word)) return true;
  return false;
}

class Scan {
 public:
  Scan(std::string etc, std::string dir) : etc_(std::move(etc)), dir_(std::move(dir)) {}

  Result<void> file(const std::string& path) {
    const auto text = read_file(path, kMaxSudoers);
    if (!text) return within("cannot see the order of sudo rules", text.error());
    std::size_t number = 0;
    bool continued = false;
    for (const std::string_view raw : split(*text, '\n')) {
      ++number;
      const bool part_of_last = continued;
      continued = raw.ends_with('\\');
      if (part_of_last) continue;
      const std::string_view line = trimmed(raw);
      const auto folder = included_folder(line);
      if (folder && *folder == dir_) {
        found_ = true;
        after_.clear();
      } else if (folder && *folder == etc_ + "/sudoers.d") {
        if (auto ok = drop_ins(); !ok) return ok;
      } else if (found_ && !decides_nothing(line) && after_.empty()) {
        after_ = path + ":" + std::to_string(number);
      }
    }
    return {};
  }

  [[nodiscard]] bool found() const { return found_; }
  [[nodiscard]] const std::string& after() const { return after_; }

 private:
  Result<void> drop_ins() {
    const std::string folder = etc_ + "/sudoers.d";
    const auto fd = open_dir(folder);
    if (!fd) return fd.error().errnum == ENOENT ? Result<void>{} : within("sudo rules", fd.error());
    const auto names = list_dir(fd->get());
    if (!names) return tl::unexpected(names.error());
    for (const std::string& name : *names) {
      if (name.find('.') != std::string::npos || name.ends_with('~')) continue;
      if (auto ok = file(folder + "/" + name); !ok) return ok;
    }
    return {};
  }

  std::string etc_;
  std::string dir_;
  bool found_ = false;
  std::string after_;  // file:line of the first rule behind our include
};

}  // namespace

Result<void> check_included_last(const std::string& etc, const std::string& dir, bool rs) {
  std::string main_file = etc + "/sudoers";
  if (rs) {
    if (const auto own = open_regular(AT_FDCWD, main_file + "-rs", O_RDONLY, main_file + "-rs"); own)
      main_file += "-rs";
  }
  Scan scan(etc, dir);
  if (auto ok = scan.file(main_file); !ok) return ok;
  if (!scan.found())
    return fail(Errc::refused, main_file + " does not include " + dir + ": " + etc +
                                   "/sudoers.d/zz-jit must say \"@includedir " + dir + "\", and " + main_file +
                                   " must include " + etc + "/sudoers.d");
  if (!scan.after().empty())
    return fail(Errc::refused,
                "the sudo rule in " + scan.after() + " comes after the include of " + dir +
                    " and would win over what a grant gives: move it to a file that sorts before zz-jit");
  return {};
}

}  // namespace jit
