#include "jitd/core/deliveries.hpp"

#include <iterator>
#include <utility>

#include "policy/text.hpp"

namespace jit {
namespace {

// A file as errors name it.
std::string shown_as(const Delivered& delivered, const std::string& file) {
  return "delivered " + name_of(delivered) + "/" + file;
}

}  // namespace

void read_deliveries(HostView& view, const Paths& paths) {
  view.delivered_policy = read_delivered(paths.var, Kind::policy, view.config.owners);
  view.delivered_trust = read_delivered(paths.var, Kind::trust, view.config.owners);
  for (const DeliveredState* state : {&view.delivered_policy, &view.delivered_trust})
    if (!state->why_not.empty()) view.warnings.push_back(state->why_not);
}

std::vector<PolicyText> delivered_policy(const DeliveredState& state) {
  std::vector<PolicyText> files;
  if (!state.counts) return files;
  for (const Delivery::File& file : state.counts->files)
    files.push_back({shown_as(*state.counts, file.name), file.text});
  return files;
}

void add_delivered_trust(HostView& view) {
  if (!view.delivered_trust.counts) return;
  const Delivered& delivered = *view.delivered_trust.counts;
  for (const Delivery::File& file : delivered.files) {
    TrustFile& local = file.name == "approvers" ? view.trust.approvers : view.trust.requesters;
    TrustFile more = parse_trust(shown_as(delivered, file.name), file.text);
    for (const Error& bad : more.bad) view.warnings.push_back(bad.message);
    if (local.path.empty()) local.path = more.path;
    for (TrustLine& line : more.lines) {
      line.file = more.path;
      local.lines.push_back(std::move(line));
    }
  }
  if (!view.trust.approvers.lines.empty())
    std::erase_if(view.warnings, [](const std::string& warning) { return warning.starts_with(kNobodyApproves); });
}

Result<void> take_over(Files& files, const Paths& paths, const HostConfig& config, Kind kind,
                       const std::vector<std::string>& documents) {
  DeliveredState state;
  auto delivered = put_together(documents, kind, config.owners);
  if (!delivered) return tl::unexpected<Error>(delivered.error());
  state.counts = std::move(*delivered);
  if (kind == Kind::policy) {
    auto local = read_policy_files(paths);
    if (!local) return tl::unexpected<Error>(local.error());
    auto more = delivered_policy(state);
    local->insert(local->end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    if (const auto policy = load_policy(std::move(*local)); !policy) {
      Error error = policy.error();
      error.code = Errc::refused;
      return within("it does not load together with the policy of this host", std::move(error));
    }
  }
  return keep_delivered(files, paths.var, kind, documents);
}

}  // namespace jit
