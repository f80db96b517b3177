#include "jitd/gates/stack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "jitd/gates/pam_files.hpp"
#include "jitd/gates/syntax.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr unsigned kDeepest = 16;  // libpam's PAM_SUBSTACK_MAX_LEVEL
constexpr std::size_t kMostLines = 2000;

using Stacks = std::map<PamType, std::vector<PamConfig::Entry>>;

// Follows includes as libpam's _pam_parse_conf_file does; what libpam makes a rule that always fails is an error
// here.
class Builder {
 public:
  Builder(std::function<Result<std::string>(const std::string&)> read, std::string shown_dir, Stacks& stacks)
      : read_(std::move(read)), shown_dir_(std::move(shown_dir)), stacks_(stacks) {}

  Result<void> add_file(const std::string& name, std::optional<PamType> only, unsigned depth, unsigned includes) {
    const std::string path = name.front() == '/' ? name : fmt::format("{}/{}", shown_dir_, name);
    if (includes >= kDeepest) return fail(Errc::invalid, path + ": includes go round in a circle");
    auto text = read_(name);
    if (!text) return tl::unexpected(text.error());
    auto lines = logical_lines(*text);
    if (!lines) return fail(Errc::invalid, fmt::format("{}:{}", path, lines.error().message));
    for (const LogicalLine& line : *lines) {
      if (auto added = add_rule(line, path, only, depth, includes); !added) return added;
    }
    return {};
  }

 private:
  Result<void> add_rule(const LogicalLine& line, const std::string& path, std::optional<PamType> only, unsigned depth,
                        unsigned includes) {
    auto rule = parse_rule(line, path);
    if (!rule) return fail(rule.error().code, fmt::format("{}:{}: {}", path, line.first, rule.error().message));
    if (only && rule->type && *rule->type != *only) return {};
    if (rule->kind != PamRule::Kind::include) {
      if (++count_ > kMostLines) return fail(Errc::invalid, path + ": too many rules");
      stacks_[*rule->type].push_back({rule->line, depth});
      if (rule->kind == PamRule::Kind::module) return {};
    }
    const bool substack = rule->kind == PamRule::Kind::substack;
    auto added = add_file(rule->target, rule->type ? rule->type : only, depth + (substack ? 1 : 0), includes + 1);
    if (!added && added.error().code == Errc::not_found) {
      return fail(Errc::invalid,
                  fmt::format("{}:{}: includes \"{}\", which is not there: every user of this stack is refused", path,
                              line.first, shown(rule->target, 200)));
    }
    return added;
  }

  std::function<Result<std::string>(const std::string&)> read_;
  std::string shown_dir_;
  Stacks& stacks_;
  std::size_t count_ = 0;
};

constexpr PamType kTypes[] = {PamType::auth, PamType::account, PamType::password, PamType::session};

}  // namespace

std::string PamLine::argument(std::string_view name) const {
  for (const std::string& arg : args) {
    if (arg.size() > name.size() && arg.starts_with(name) && arg[name.size()] == '=')
      return arg.substr(name.size() + 1);
  }
  return {};
}

Result<PamConfig> PamConfig::build(const std::string& service, const Reader& read, const std::string& shown_dir) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  PamConfig config;
  config.service_ = service;
  auto own = Builder(read, shown_dir, config.stacks_).add_file(service, std::nullopt, 0, 0);
  if (!own && own.error().code != Errc::not_found) return tl::unexpected(own.error());

  Stacks other;
  auto fallback = Builder(read, shown_dir, other).add_file("other", std::nullopt, 0, 0);
  if (!fallback && fallback.error().code != Errc::not_found) return tl::unexpected(fallback.error());
  if (!own && !fallback) {
    return fail(Errc::not_found, fmt::format("{} has neither {} nor other", shown_dir, service));
  }
  for (const PamType type : kTypes) {
    config.from_other_[type] = config.stacks_[type].empty();
    if (config.from_other_[type]) config.stacks_[type] = std::move(other[type]);
  }
  return config;
}

Result<PamConfig> PamConfig::load(const std::string& pam_dir, const std::string& service,
                                  const std::map<std::string, std::string>& instead) {
  const Reader read = [&](const std::string& name) -> Result<std::string> {
    if (const auto it = instead.find(name); it != instead.end()) return it->second;
    return read_pam_file(pam_dir, name);
  };
  return build(service, read, pam_dir);
}

Result<PamConfig> PamConfig::parse(const std::map<std::string, std::string>& files, const std::string& service) {
  const Reader read = [&](const std::string& name) -> Result<std::string> {
    if (const auto it = files.find(name); it != files.end()) return it->second;
    return fail(Errc::not_found, name + ": no such file");
  };
  return build(service, read, kPamDir);
}

const std::vector<PamConfig::Entry>& PamConfig::stack(PamType type) const {
  return stacks_.at(type);
}

Result<std::vector<std::string>> services_reaching(const std::string& pam_dir, const std::string& service) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  if (auto text = read_pam_file(pam_dir, service); !text) return tl::unexpected(text.error());
  auto names = pam_files(pam_dir);
  if (!names) return tl::unexpected(names.error());

  const std::string path = fmt::format("{}/{}", pam_dir, service);
  std::vector<std::string> reaching = {service};
  for (const std::string& name : *names) {
    if (name == service || !check_service_name(name)) continue;
    const auto config = PamConfig::load(pam_dir, name);
    if (!config) continue;  // libpam lets nobody in through a stack that it cannot read
    const auto reaches = [&](PamType type) {
      const auto& stack = config->stack(type);
      return !config->from_other(type) && std::any_of(stack.begin(), stack.end(), [&](const PamConfig::Entry& entry) {
        return entry.line.file == path;
      });
    };
    if (reaches(PamType::account) || reaches(PamType::session)) reaching.push_back(name);
  }
  return reaching;
}

std::vector<std::string> service_family(const std::string& pam_dir, const std::string& service) {
  std::vector<std::string> family = {service};
  for (const auto& [one, two] : {std::pair<std::string, std::string>{"sudo", "sudo-i"}, {"su", "su-l"}}) {
    if (service != one && service != two) continue;
    const std::string& twin = service == one ? two : one;
    if (read_pam_file(pam_dir, twin)) family.push_back(twin);
  }
  return family;
}

}  // namespace jit
