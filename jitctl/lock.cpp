// jitctl lock: a signed refusal of what comes, for a user, a key or an approver.
#include <fmt/format.h>
#include <pwd.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::vector<std::string> users, keys, approvers;
  std::string until, reason;
  Where where;
  SignOptions sign;
};

std::string fingerprint_problem(const std::string& text) {
  return text.starts_with("SHA256:") && text.size() == 50 ? ""
                                                          : "a fingerprint as ssh-keygen -l prints it: SHA256:...";
}

Outcome lock(Context& context, const Options& options) {
  if (options.users.empty() && options.keys.empty() && options.approvers.empty()) {
    return usage(context, "lock takes a user, --fingerprint or --approver");
  }
  const auto where = where_to(context, options.where);
  if (!where) return tl::unexpected(where.error());
  Lock document;
  document.hosts = where->hosts;
  document.segments = where->segments;
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
    const bool elsewhere = !options.where.hosts.empty() || !options.where.segments.empty();
    if (!elsewhere && ::getpwnam(user.c_str()) == nullptr) {
      complain(context, fmt::format("{}: no account of that name here; it is locked all the same", user));
    }
  }
  const auto text = signed_document(context, document, options.sign.key);
  if (!text) return tl::unexpected(text.error());
  return hand_over(context, *text, options.sign);
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
  add_where(*command, options->where);
  add_reason(*command, options->reason);
  add_sign_options(*command, options->sign);
  add_qr(*command, context);
}

}  // namespace jit::ctl
