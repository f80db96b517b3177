#include "policy/sources.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxUrl = 1024;
constexpr std::size_t kMaxPath = 4095;
constexpr std::size_t kMaxServers = 16;

using Type = SourceSpec::Type;

constexpr std::string_view kForms =
    "a source is a folder by its whole path (or file:///DIR), https://HOST/PATH, etcd+https://HOST:PORT/PREFIX or "
    "ssh://USER@HOST";

Error wrong(std::string_view url, std::string_view why) {
  return {Errc::invalid, "\"" + shown(url, 200) + "\": " + std::string(why), 0};
}

bool good_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']') && host.size() > 4) {  // an IPv6 address, RFC 3986 3.2.2
    const std::string_view inner = host.substr(1, host.size() - 2);
    return std::all_of(inner.begin(), inner.end(), [](char c) {
      return std::string_view("0123456789abcdefABCDEF:.").find(c) != std::string_view::npos;
    });
  }
  return check_host_name(host).has_value();
}

// HOST or HOST:PORT.
bool good_server(std::string_view server) {
  const auto bracket = server.rfind(']');
  const auto colon = server.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (!good_host(server.substr(0, colon))) return false;
  if (colon == std::string_view::npos) return true;
  const auto port = parse_number(server.substr(colon + 1), 65535);
  return port && *port > 0;
}

// "a/b/c": no empty part, no "." and "..".
bool plain_path(std::string_view path) {
  for (const std::string_view part : split(path, '/'))
    if (part.empty() || part == "." || part == "..") return false;
  return true;
}

std::string_view without_slashes(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

Result<SourceSpec> folder(SourceSpec spec, std::string_view path) {
  const std::string_view inner = without_slashes(path);
  if (inner.empty() || !plain_path(inner)) return tl::unexpected(wrong(spec.url, "not a folder by its whole path"));
  spec.type = Type::directory;
  spec.path = "/" + std::string(inner);
  return spec;
}

Result<SourceSpec> web(SourceSpec spec, std::string_view scheme, std::string_view rest) {
  const auto slash = std::min(rest.find('/'), rest.size());
  const std::string_view server = rest.substr(0, slash), path = without_slashes(rest.substr(slash));
  if (server.find('@') != std::string_view::npos)
    return tl::unexpected(wrong(spec.url, "names and passwords stand in user and password_file"));
  if (!good_server(server)) return tl::unexpected(wrong(spec.url, "not https://HOST or https://HOST:PORT"));
  if (!path.empty() && !plain_path(path))
    return tl::unexpected(wrong(spec.url, "its path has an empty part, . or .."));
  spec.type = Type::https;
  spec.servers = {std::string(scheme) + "://" + std::string(server) + (path.empty() ? "" : "/" + std::string(path))};
  return spec;
}

Result<SourceSpec> etcd(SourceSpec spec, std::string_view scheme, std::string_view rest) {
  const auto slash = std::min(rest.find('/'), rest.size());
  const std::string_view prefix = without_slashes(rest.substr(slash));
  spec.type = Type::etcd;
  for (const std::string_view server : split(rest.substr(0, slash), ',')) {
    if (!good_server(server)) return tl::unexpected(wrong(spec.url, "not HOST:PORT, or several of them with commas"));
    spec.servers.push_back(std::string(scheme) + "://" + std::string(server));
  }
  if (spec.servers.size() > kMaxServers) return tl::unexpected(wrong(spec.url, "it names more than 16 servers"));
  if (!prefix.empty() && !plain_path(prefix))
    return tl::unexpected(wrong(spec.url, "its prefix has an empty part, . or .."));
  spec.path = prefix.empty() ? "jit" : std::string(prefix);
  return spec;
}

Result<SourceSpec> ssh(SourceSpec spec, std::string_view rest) {
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const auto at = rest.find('@');
  const std::string_view user = at == std::string_view::npos ? "jit" : rest.substr(0, at);
  const std::string_view server = at == std::string_view::npos ? rest : rest.substr(at + 1);
  // It becomes an argument of ssh(1): neither may look like an option.
  if (!check_user_name(user) || user.find('@') != std::string_view::npos || !good_server(server))
    return tl::unexpected(wrong(spec.url, "not ssh://HOST, ssh://USER@HOST or ssh://USER@HOST:PORT"));
  spec.type = Type::ssh;
  spec.servers = {std::string(user) + "@" + std::string(server)};
  return spec;
}

bool whole_path(const std::string& path) {
  return path.starts_with('/') && path.size() <= kMaxPath && !unclean(path) && path.find('\n') == std::string::npos;
}

// Keys that are about TLS and HTTP, into `spec`; each is a whole path or a word.
void read_web_keys(TableReader& table, SourceSpec& spec) {
  using Member = std::string SourceSpec::*;
  constexpr std::array<std::pair<std::string_view, Member>, 5> paths = {
      {{"ca", &SourceSpec::ca},
       {"crl", &SourceSpec::crl},
       {"certificate", &SourceSpec::certificate},
       {"key", &SourceSpec::key},
       {"password_file", &SourceSpec::password_file}}};
  const bool has_web = spec.type == Type::https || spec.type == Type::etcd;
  for (const auto& [name, member] : paths) {
    const auto path = table.text(name);
    if (!path) continue;
    if (!has_web) table.problem(name, "goes with https and etcd alone");
    if (!whole_path(*path)) table.problem(name, "must be a file by its whole path");
    spec.*member = *path;
  }
  if (const auto proxy = table.text("proxy")) {
    const std::string_view text = *proxy;
    const bool good = text.starts_with("http://") && good_server(text.substr(7));
    if (!has_web || !good)
      table.problem("proxy", has_web ? "must be http://HOST:PORT" : "goes with https and etcd alone");
    spec.proxy = *proxy;
  }
  if (const auto user = table.text("user")) {
    const bool good =
        !user->empty() && user->size() <= 256 && !unclean(*user) && user->find_first_of(":\n") == std::string::npos;
    if (!has_web || !good)
      table.problem("user",
                    has_web ? "must be 1 to 256 characters without a colon" : "goes with https and etcd alone");
    spec.user = *user;
  }
  if (spec.certificate.empty() != spec.key.empty())
    table.problem(spec.key.empty() ? "certificate" : "key", "certificate and key go together");
  if (spec.user.empty() != spec.password_file.empty())
    table.problem(spec.user.empty() ? "password_file" : "user", "user and password_file go together");
}

}  // namespace

Result<SourceSpec> parse_source_url(std::string_view url) {
  SourceSpec spec;
  spec.url = std::string(url);
  if (url.empty() || url.size() > kMaxUrl || unclean(url) || url.find_first_of(" \n?#\\\"") != std::string_view::npos)
    return tl::unexpected(wrong(url, kForms));
  const auto after = [&](std::string_view scheme) -> std::optional<std::string_view> {
    if (!url.starts_with(scheme)) return std::nullopt;
    return url.substr(scheme.size());
  };
  if (url.starts_with('/')) return folder(std::move(spec), url);
  if (const auto rest = after("file:///")) return folder(std::move(spec), *rest);
  if (const auto rest = after("https://")) return web(std::move(spec), "https", *rest);
  if (const auto rest = after("http://")) return web(std::move(spec), "http", *rest);
  if (const auto rest = after("etcd+https://")) return etcd(std::move(spec), "https", *rest);
  if (const auto rest = after("etcd+http://")) return etcd(std::move(spec), "http", *rest);
  if (const auto rest = after("ssh://")) return ssh(std::move(spec), *rest);
  return tl::unexpected(wrong(url, kForms));
}

std::vector<SourceSpec> read_sources(TableReader& table) {
  std::vector<SourceSpec> specs;
  std::set<std::string> names;
  for (TableReader& one : table.tables("sources")) {
    const auto name = one.text("name");
    const auto url = one.text("url");
    if (!name) one.problem("name", "is missing");
    if (!url) one.problem("url", "is missing");
    SourceSpec spec;
    if (url) {
      auto parsed = parse_source_url(*url);
      if (one.accept("url", parsed)) spec = std::move(*parsed);
    }
    if (name && one.accept("name", check_policy_name(*name, "source")) && !names.insert(*name).second)
      one.problem("name", "is that of another source");
    spec.name = name.value_or("");
    read_web_keys(one, spec);
    if (const auto poll = one.duration("poll")) {
      if (*poll < Seconds(1) || *poll > std::chrono::hours(1)) one.problem("poll", "must be from 1s to 1h");
      spec.poll = *poll;
    }
    spec.post = one.flag("post").value_or(true);
    one.finish();
    specs.push_back(std::move(spec));
  }
  if (specs.size() > kMaxSources) table.problem("sources", "are more than " + std::to_string(kMaxSources));
  return specs;
}

Result<std::vector<SourceSpec>> parse_sources(std::string_view text, const std::string& path) {
  const auto root = parse_toml(text, path);
  if (!root) return tl::unexpected(root.error());
  Problems problems;
  TableReader table(*root, path, "", problems);
  auto sources = read_sources(table);
  if (!problems.none()) return tl::unexpected(problems.error());
  return sources;
}

}  // namespace jit
