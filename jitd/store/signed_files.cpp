#include "jitd/store/signed_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <tuple>

#include "jitd/sys/files.hpp"

namespace jit {
namespace {

constexpr std::string_view kPrefix = "sha256:", kSuffix = ".jit";
constexpr std::size_t kMaxText = std::size_t{64} * 1024;  // twice what a document may have

std::string name_of(const Digest& digest) {
  return digest_text(digest).substr(kPrefix.size()) + std::string(kSuffix);
}

std::optional<Digest> digest_of(const std::string& name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  const auto digest = parse_digest(std::string(kPrefix) + name.substr(0, name.size() - kSuffix.size()));
  return digest ? std::optional(*digest) : std::nullopt;
}

}  // namespace

Result<void> SignedFiles::keep(const Digest& digest, const std::string& text) const {
  if (::mkdir(dir_.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, "cannot make " + dir_);
  const auto dir = open_dir(dir_);
  if (!dir) return tl::unexpected(dir.error());
  return replace_file(system_files(), dir->get(), name_of(digest), text, FileMode{0600, 0, 0, -1});
}

void SignedFiles::drop(const Digest& digest) const {
  if (const auto dir = open_dir(dir_)) (void)system_files().unlinkat(dir->get(), name_of(digest).c_str(), 0);
}

Result<std::vector<SignedFiles::File>> SignedFiles::all() const {
  const auto dir = open_dir(dir_);
  if (!dir) {
    if (dir.error().errnum == ENOENT) return std::vector<File>{};
    return tl::unexpected(dir.error());
  }
  const auto names = list_dir(dir->get());
  if (!names) return tl::unexpected(names.error());
  std::vector<std::tuple<std::int64_t, std::int64_t, File>> found;
  for (const std::string& name : *names) {
    const auto digest = digest_of(name);
    struct stat status {};
    if (!digest || ::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    auto text = read_file_at(dir->get(), name, kMaxText);
    if (!text) return within(dir_, text.error());
    found.emplace_back(status.st_mtim.tv_sec, status.st_mtim.tv_nsec, File{*digest, std::move(*text)});
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
  });
  std::vector<File> files;
  files.reserve(found.size());
  for (auto& one : found) files.push_back(std::move(std::get<2>(one)));
  return files;
}

}  // namespace jit
