#include "jitd/server/check_config.hpp"

#include "jitd/core/deliveries.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/own_files.hpp"
#include "policy/rules/load.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

// The configuration as jitd reads it, with what the owners delivered by it.
Result<HostView> check_toml(const Paths& paths) {
  const auto config = read_host_config(paths);
  if (!config) return tl::unexpected(config.error());
  HostView view;
  view.config = *config;
  read_deliveries(view, paths);
  return view;
}

Result<Policy> check_policy(const Paths& paths, const HostView& view) {
  if (view.delivered_policy.damaged) return fail(Errc::invalid, view.delivered_policy.why_not);
  auto files = read_policy_files(paths);
  if (!files) return tl::unexpected(files.error());
  for (PolicyText& file : delivered_policy(view.delivered_policy)) files->push_back(std::move(file));
  return load_policy(std::move(*files));
}

}  // namespace

ConfigFindings check_config(const Paths& paths) {
  ConfigFindings found;
  const auto view = check_toml(paths);
  if (!view) found.errors.push_back(view.error().message);
  if (const auto policy = check_policy(paths, view.value_or(HostView{})))
    found.warnings = policy->warnings;
  else
    found.errors.push_back(policy.error().message);
  if (view) found.warnings.insert(found.warnings.end(), view->warnings.begin(), view->warnings.end());
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
