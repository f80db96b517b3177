// User namespaces: who may make one can map a group into it while they have that group, and take it there again when
// they have it no longer (user_namespaces(7)).
#include <algorithm>

#include "jitctl/checkup.hpp"
#include "jitctl/policy_files.hpp"
#include "jitd/sys/files.hpp"

namespace jit::ctl {
namespace {

bool is_zero(const Context& context, const char* setting) {
  const auto text = read_file(context.places.proc + "/sys/" + setting, 32);
  return text && (*text == "0" || *text == "0\n");
}

}  // namespace

void check_namespaces(Context& context, Findings& findings) {
  const auto policy = read_policy(context.places);
  if (!policy || std::ranges::none_of(policy->roles, [](const auto& role) { return !role.second.groups.empty(); }))
    return;
  if (is_zero(context, "kernel/unprivileged_userns_clone") || is_zero(context, "user/max_user_namespaces")) {
    findings.fine("users may make no user namespace, in which a group can be kept");
    return;
  }
  findings.note(
      "users may make user namespaces here: who sets out to can keep in one, past the end, a group that a grant gave",
      "where users need none (rootless containers and browsers do): sysctl kernel.unprivileged_userns_clone=0 on "
      "Debian, user.max_user_namespaces=0 elsewhere, and a file in /etc/sysctl.d");
}

}  // namespace jit::ctl
