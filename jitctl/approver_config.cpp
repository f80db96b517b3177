#include "jitctl/approver_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "jitctl/paper.hpp"
#include "jitd/sys/files.hpp"
#include "policy/names.hpp"
#include "policy/rules/toml_reader.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

// A file of the person's own: by its whole path, or below their home.
std::string read_path(TableReader& table, std::string_view key, const std::string& home) {
  const auto text = table.text(key);
  if (!text) return {};
  if (text->starts_with("~/") && !home.empty()) return home + text->substr(1);
  if (!text->starts_with('/') || unclean(*text) || text->find('\n') != std::string::npos) {
    table.problem(key, "must be a file by its whole path, or one below ~/");
  }
  return *text;
}

}  // namespace

Result<ApproverConfig> parse_approver_config(std::string_view text, const std::string& path,
                                             const std::string& home) {
  const auto root = parse_toml(text, path);
  if (!root) return tl::unexpected(root.error());
  Problems problems;
  TableReader table(*root, path, "", problems);
  ApproverConfig config;
  config.path = path;
  config.key = read_path(table, "key", home);
  config.hosts = read_path(table, "hosts", home);
  config.sources = read_sources(table);
  config.default_source = table.text("default_source").value_or("");
  const auto named = [&](const SourceSpec& source) { return source.name == config.default_source; };
  if (table.has("default_source") && std::none_of(config.sources.begin(), config.sources.end(), named)) {
    table.problem("default_source", "is the name of none of the [[sources]]");
  }
  table.finish();
  if (!problems.none()) return tl::unexpected(problems.error());
  return config;
}

Result<ApproverConfig> read_approver_config(const Context& context) {
  ApproverConfig nothing;
  const auto folder = own_config(context);
  if (folder.empty()) return nothing;
  nothing.path = folder + "/approver.toml";
  const auto text = read_file(nothing.path, kMaxApproverConfig);
  if (!text && text.error().code == Errc::not_found) return nothing;
  if (!text) return tl::unexpected(text.error());
  return parse_approver_config(*text, nothing.path, home_of(context));
}

std::string label_of(const SourceSpec& source) {
  return shown(source.name.empty() ? source.url : source.name);
}

Result<SourceSpec> find_source(const ApproverConfig& config, const std::string& named) {
  for (const auto& source : config.sources) {
    if (source.name == named || source.url == named) return source;
  }
  if (check_policy_name(named, "source")) {
    return fail(Errc::not_found,
                fmt::format("{}: no source of that name in {}; name one of its [[sources]], or give a URL",
                            shown(named), config.path.empty() ? "approver.toml" : config.path));
  }
  auto url = named;
  if (named == "." || named == ".." || named.starts_with("./") || named.starts_with("../")) {
    std::error_code failed;
    url = std::filesystem::absolute(named, failed).lexically_normal();
    if (failed) return fail_errno(failed.value(), named);
  }
  return parse_source_url(url);
}

}  // namespace jit::ctl
