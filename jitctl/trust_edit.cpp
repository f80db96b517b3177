#include "jitctl/trust_edit.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {

Result<std::string> with_trust_line(const std::string& path, std::string_view text, const TrustLine& line) {
  const auto before = parse_trust(path, text);
  for (const auto& there : before.lines) {
    if (there.key != line.key) continue;
    return fail(Errc::invalid,
                fmt::format("{}:{}: this key stands there already, as {}", path, there.line, shown(there.principal)));
  }
  std::string after(text);
  if (!after.empty() && after.back() != '\n') after += '\n';
  after += to_text(line);
  // Only what reads back as meant is written.
  const auto read = parse_trust(path, after);
  if (read.lines.size() != before.lines.size() + 1 || read.bad.size() != before.bad.size()) {
    return read.bad.size() > before.bad.size()
               ? Result<std::string>(tl::unexpected(read.bad.back()))
               : fail(Errc::invalid, fmt::format("{}: the line would not be read back", path));
  }
  const auto& written = read.lines.back();
  if (written.key != line.key || written.principal != line.principal) {
    return fail(Errc::invalid, fmt::format("{}: the line would not be read back as meant", path));
  }
  return after;
}

Result<Removed> without_trust_lines(const std::string& path, std::string_view text, std::string_view which) {
  const auto file = parse_trust(path, text);
  Removed removed;
  unsigned number = 0;
  while (!text.empty()) {
    ++number;
    const auto end = std::min(text.find('\n'), text.size() - 1);
    const auto goes = std::any_of(file.lines.begin(), file.lines.end(), [&](const TrustLine& line) {
      return line.line == number && (line.principal == which || fingerprint(line.key) == which);
    });
    if (goes) {
      ++removed.lines;
    } else {
      removed.text += text.substr(0, end + 1);
    }
    text.remove_prefix(end + 1);
  }
  if (removed.lines == 0)
    return fail(Errc::not_found, fmt::format("{}: nobody there is called {}", path, shown(which)));
  return removed;
}

Result<void> write_trust(const std::string& path, std::string_view text) {
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? std::string(".") : path.substr(0, slash);
  const auto name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  std::error_code made;
  std::filesystem::create_directories(directory, made);  // ~/.config/jit, the first time
  const auto dir = open_dir(directory);
  if (!dir) return tl::unexpected(dir.error());
  FileMode mode{0644, ::geteuid(), ::getegid()};
  struct stat before {};
  if (::fstatat(dir->get(), name.c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0) {
    mode = {before.st_mode & 07777, before.st_uid, before.st_gid};
  } else if (errno != ENOENT) {
    return fail_errno(errno, path);
  }
  auto written = replace_file(system_files(), dir->get(), name, text, mode);
  if (!written) return within(path, written.error());
  return {};
}

Result<void> add_trust_line(const std::string& path, const TrustLine& line) {
  auto text = read_file(path, kMaxTrustFile);
  if (!text && text.error().code != Errc::not_found) return tl::unexpected(text.error());
  const auto after = with_trust_line(path, text ? *text : "", line);
  if (!after) return tl::unexpected(after.error());
  return write_trust(path, *after);
}

std::vector<std::string> namespaces_of(std::string_view file) {
  if (file == "hosts") return {"jit-request", "jit-event"};
  if (file == "requesters") return {"jit-ask"};
  return {"jit-review", "jit-grant", "jit-revocation", "jit-lock"};
}

Result<PublicKey> read_public_key(const std::string& file_or_key) {
  constexpr std::size_t kMaxKey = 64 * 1024;
  std::string line = file_or_key;
  if (file_or_key.find(' ') == std::string::npos) {
    auto text = read_file(file_or_key, kMaxKey);
    if (!text) return tl::unexpected(text.error());
    if (text->find("PRIVATE KEY-----") != std::string::npos) {
      return fail(Errc::invalid, fmt::format("{}: a private key; give the .pub beside it", file_or_key));
    }
    line = text->substr(0, text->find('\n'));
  }
  auto key = parse_public_key_line(line);
  if (!key) return within(file_or_key.find(' ') == std::string::npos ? file_or_key : "the key", key.error());
  return key;
}

}  // namespace jit::ctl
