#include "jitd/server/check_config.hpp"

#include "jitd/sys/files.hpp"
#include "jitd/sys/own_files.hpp"
#include "policy/rules/load.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxConfig = 64 * 1024, kMaxFiles = 1000;

Result<void> check_toml(const Paths& paths) {
  const auto dir = open_own_dir(paths.etc_jit);
  if (!dir) return tl::unexpected(dir.error());
  const std::string path = paths.etc_jit + "/jitd.toml";
  const auto text = read_own_file(dir->get(), "jitd.toml", kMaxConfig, path);
  if (!text) {
    if (text.error().code == Errc::not_found) return {};  // everything as it is by default
    return tl::unexpected(text.error());
  }
  if (const auto config = parse_host_config(*text, path); !config) return tl::unexpected(config.error());
  return {};
}

Result<Policy> check_policy(const Paths& paths) {
  const std::string path = paths.etc_jit + "/policy.d";
  const auto dir = open_own_dir(path);
  if (!dir) return tl::unexpected(dir.error());
  const auto names = list_dir(dir->get(), kMaxFiles);
  if (!names) return within(path, names.error());
  std::vector<PolicyText> files;
  for (const auto& name : *names) {
    if (name.starts_with('.') || !name.ends_with(".toml")) continue;
    const std::string file = path + "/" + shown(name, 300);
    auto text = read_own_file(dir->get(), name, kMaxPolicyFile, file);
    if (!text) return tl::unexpected(text.error());
    files.push_back({file, std::move(*text)});
  }
  return load_policy(std::move(files));
}

}  // namespace

ConfigFindings check_config(const Paths& paths) {
  ConfigFindings found;
  if (const auto toml = check_toml(paths); !toml) found.errors.push_back(toml.error().message);
  if (const auto policy = check_policy(paths))
    found.warnings = policy->warnings;
  else
    found.errors.push_back(policy.error().message);
  const std::string trust = paths.etc_jit + "/trust/approvers";
  const auto dir = open_own_dir(paths.etc_jit + "/trust");
  const auto text = dir ? read_own_file(dir->get(), "approvers", kMaxTrustFile, trust)
                        : Result<std::string>(tl::unexpected(dir.error()));
  if (!text) {
    found.warnings.push_back("nobody is trusted to approve: " + text.error().message);
    return found;
  }
  for (const Error& bad : parse_trust(trust, *text).bad) found.warnings.push_back(bad.message);
  // Most hosts take no asks: no file is nothing to say.
  const std::string asking = paths.etc_jit + "/trust/requesters";
  const auto askers = read_own_file(dir->get(), "requesters", kMaxTrustFile, asking);
  if (!askers && askers.error().code != Errc::not_found) found.warnings.push_back(askers.error().message);
  for (const Error& bad : parse_trust(asking, askers.value_or("")).bad) found.warnings.push_back(bad.message);
  return found;
}

}  // namespace jit
