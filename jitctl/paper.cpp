#include "jitctl/paper.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "jitctl/approver_config.hpp"
#include "jitctl/trust_edit.hpp"
#include "jitctl/typed.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

Result<void> write_all(int fd, std::string_view content, const std::string& shown_as) {
  while (!content.empty()) {
    const ssize_t wrote = ::write(fd, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail_errno(errno, shown_as);
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

}  // namespace

Result<std::string> read_document(Context& context, const std::string& path) {
  return path == "-" ? read_typed(context) : read_file(path, kMaxDocument);
}

bool is_directory(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

bool looks_like_file(const std::string& what) {
  std::error_code ignored;
  if (what == "-" || what.find('/') != std::string::npos || what.ends_with(".jit")) return true;
  return !parse_id_prefix(what) && std::filesystem::exists(what, ignored);
}

Result<std::vector<std::string>> documents_in(const std::string& directory) {
  const auto dir = open_dir(directory);
  if (!dir) return tl::unexpected(dir.error());
  const auto names = list_dir(dir->get());
  if (!names) return tl::unexpected(names.error());
  std::vector<std::string> files;
  for (const auto& name : *names) {
    if (name.size() > 4 && name.front() != '.' && name.ends_with(".jit")) files.push_back(directory + "/" + name);
  }
  if (files.empty()) return fail(Errc::not_found, fmt::format("{}: no .jit file in it", directory));
  return files;
}

Result<void> write_new(Context& context, const std::string& path, std::string_view content) {
  if (path == "-") {
    context.out << content << std::flush;
    if (!context.out) return fail(Errc::system, "standard output: cannot be written");
    return {};
  }
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd && errno == EEXIST) {
    return fail(Errc::invalid, fmt::format("{}: is there already and is not overwritten; name another file", path));
  }
  if (!fd) return fail_errno(errno, path);
  auto written = write_all(fd.get(), content, path);
  // Whoever carries it on must be able to read it, whatever our umask was; nothing in a document is secret.
  if (written && ::fchmod(fd.get(), 0644) != 0 && errno != EPERM) written = fail_errno(errno, path);
  if (written && ::fsync(fd.get()) != 0 && errno != EINVAL) written = fail_errno(errno, path);
  if (!written) ::unlink(path.c_str());
  return written;
}

Result<Document> read_payload(std::string_view payload, const std::string& source) {
  return parse_document(payload, source);
}

Result<TrustFile> read_trust(const std::string& path) {
  const auto text = read_file(path, kMaxTrustFile);
  if (!text && text.error().code == Errc::not_found) return parse_trust(path, "");
  if (!text) return tl::unexpected(text.error());
  return parse_trust(path, *text);
}

std::string home_of(const Context& context) {
  if (const auto home = context.env("HOME"); home && !home->empty() && home->front() == '/') return *home;
  const auto* entry = ::getpwuid(context.uid);
  return entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "";
}

std::string own_config(const Context& context) {
  if (const auto config = context.env("XDG_CONFIG_HOME"); config && !config->empty() && config->front() == '/') {
    return *config + "/jit";
  }
  const auto home = home_of(context);
  return home.empty() ? "" : home + "/.config/jit";
}

Result<TrustFile> known_hosts(const Context& context, const std::string& option) {
  auto named = option;
  if (named.empty()) {
    const auto config = read_approver_config(context);
    if (!config) return tl::unexpected(config.error());
    named = config->hosts;
  }
  if (!named.empty()) {
    const auto text = read_file(named, kMaxTrustFile);
    if (!text) return tl::unexpected(text.error());
    return parse_trust(named, *text);
  }
  TrustFile all;
  const auto own = own_config(context);
  const std::vector<std::string> paths = {own.empty() ? "" : own + "/hosts", context.places.etc_jit + "/trust/hosts"};
  for (const auto& path : paths) {
    if (path.empty()) continue;
    auto file = read_trust(path);
    if (!file) return file;
    if (all.path.empty()) all.path = path;
    all.lines.insert(all.lines.end(), file->lines.begin(), file->lines.end());
    all.bad.insert(all.bad.end(), file->bad.begin(), file->bad.end());
  }
  return all;
}

Result<HostInfo> inspect(Context& context) {
  const auto reply = ask_jitd(context, wire::Verb::inspect, {});
  if (!reply) return tl::unexpected(reply.error());
  const auto& row = reply->result;
  const auto seconds = [&](wire::Tag tag) {
    const auto number = row.number(tag);
    return number ? std::optional(Seconds(static_cast<Seconds::rep>(*number))) : std::nullopt;
  };
  return HostInfo{row.text(wire::Tag::host),
                  row.text(wire::Tag::host_key),
                  row.text(wire::Tag::value),
                  row.all(wire::Tag::segment),
                  row.number(wire::Tag::sequence).value_or(0),
                  seconds(wire::Tag::duration),
                  seconds(wire::Tag::limit)};
}

std::string hosts_line(const HostInfo& info) {
  auto key = parse_public_key_line(info.public_key);
  if (!key) return {};
  TrustLine line;
  line.principal = info.host;
  line.key = std::move(*key);
  line.namespaces = namespaces_of("hosts");
  auto text = to_text(line);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

Result<ScratchDir> ScratchDir::make(const Context& context) {
  auto base = context.env("XDG_RUNTIME_DIR").value_or("");
  if (base.empty() || base.front() != '/' || ::access(base.c_str(), W_OK) != 0) base = "/tmp";
  auto path = base + "/jitctl.XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail_errno(errno, path);
  return ScratchDir(std::move(path));
}

ScratchDir::~ScratchDir() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Result<std::string> ScratchDir::put(const std::string& name, std::string_view content) const {
  auto path = path_ + "/" + name;
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno(errno, path);
  if (auto written = write_all(fd.get(), content, path); !written) return tl::unexpected(written.error());
  return path;
}

}  // namespace jit::ctl
