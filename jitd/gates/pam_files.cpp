#include "jitd/gates/pam_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "jitd/gates/stack.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;

bool left_behind(std::string_view name) {
  static constexpr std::array<std::string_view, 12> kEndings = {"~",         ".dpkg-old", ".dpkg-new", ".dpkg-dist",
                                                                ".dpkg-tmp", ".dpkg-bak", ".ucf-old",  ".ucf-dist",
                                                                ".ucf-new",  ".rpmsave",  ".rpmnew",   ".rpmorig"};
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

Result<std::string> read_at(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail_errno(errno, path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, path);
  if (!S_ISREG(status.st_mode)) return fail(Errc::invalid, path + " is not a regular file");
  return read_fd(fd.get(), kLargest, path);
}

}  // namespace

Result<void> check_service_name(std::string_view service) {
  const auto plain = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  const bool good = !service.empty() && service.size() <= 64 && plain(service.front()) &&
                    std::all_of(service.begin(), service.end(), [&](char c) {
                      return plain(c) || std::string_view(".@+-").find(c) != std::string_view::npos;
                    });
  if (good) return {};
  return fail(Errc::invalid, fmt::format("\"{}\" is no name of a PAM service", shown(service, 80)));
}

Result<std::string> read_pam_file(const std::string& pam_dir, const std::string& name) {
  if (!name.empty() && name.front() == '/') return read_at(name);
  auto text = read_at(fmt::format("{}/{}", pam_dir, name));
  if (!text && text.error().code == Errc::not_found && pam_dir == kPamDir) {
    if (auto vendor = read_at("/usr/lib/pam.d/" + name)) return vendor;
  }
  return text;
}

Result<std::vector<std::string>> pam_files(const std::string& pam_dir) {
  auto dir = open_dir(pam_dir);
  if (!dir) return tl::unexpected(dir.error());
  auto names = list_dir(dir->get(), 10000);
  if (!names) return tl::unexpected(within(pam_dir, names.error()).value());
  std::erase_if(*names, [](const std::string& name) { return name.front() == '.' || left_behind(name); });
  return names;
}

}  // namespace jit
