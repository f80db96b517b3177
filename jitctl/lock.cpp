// jitctl lock: a signed refusal of what comes, for a user, a key or an approver. With a source it is what is done
// when somebody leaves: on every host that the caller knows, unless they say on which, with what each of them
// answered.
#include <fmt/format.h>
#include <pwd.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/issue.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::vector<std::string> users, keys, approvers;
  std::string until, reason;
  IssueOptions issue;
};

std::string fingerprint_problem(const std::string& text) {
  return text.starts_with("SHA256:") && text.size() == 50 ? ""
                                                          : "a fingerprint as ssh-keygen -l prints it: SHA256:...";
}

Outcome lock(Context& context, const Options& options) {
  if (options.users.empty() && options.keys.empty() && options.approvers.empty()) {
    return usage(context, "lock takes a user, --fingerprint or --approver");
  }
  auto elsewhere = open_elsewhere(context, options.issue.source, options.issue.sign.out);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  Lock document;
  document.users = options.users;
  document.keys = options.keys;
  document.approvers = options.approvers;
  document.reason = options.reason;
  document.created = context.now();
  document.nonce = make_nonce();
  if (!options.until.empty()) {
    const auto until = parse_until(context, options.until);
    if (!until) return tl::unexpected(until.error());
    document.until = *until;
  }
  for (const auto& user : options.users) {
    const auto& where = options.issue.where;
    const bool here = !*elsewhere && !options.issue.on_all && where.hosts.empty() && where.segments.empty();
    if (here && ::getpwnam(user.c_str()) == nullptr) {
      complain(context, fmt::format("{}: no account of that name here; it is locked all the same", user));
    }
  }
  return issue(context, *elsewhere, document, options.issue, {{}, true});
}

}  // namespace

void add_lock(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("lock", "Refuse what comes, of a user, key or approver",
                               [&context, options] { return lock(context, *options); });
  command->add_option("user", options->users, "User")->check(user_problem)->type_name("USER");
  command->add_option("--fingerprint", options->keys, "Key, as SHA256:...")
      ->check(fingerprint_problem)
      ->type_name("SHA256:...");
  command->add_option("--approver", options->approvers, "Approver: what they sign counts no more")
      ->check(role_problem)
      ->type_name("PERSON");
  command->add_option("--until", options->until, "Until when (default: until unlocked)")
      ->check(time_problem)
      ->type_name("TIME");
  add_reason(*command, options->reason);
  add_issue_options(*command, options->issue);
  add_qr(*command, context);
}

}  // namespace jit::ctl
