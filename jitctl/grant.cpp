// jitctl grant: a direct grant, without a request. The first signature is the caller's; others add theirs with
// approve or sign.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/issue.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::string user, role, duration, until, start, reason, ticket;
  bool once = false;
  IssueOptions issue;
};

// How long a grant by duration may wait for its signatures before it begins.
constexpr Seconds kActivateWithin = std::chrono::hours(24);

Outcome grant(Context& context, const Options& options) {
  if (options.duration.empty() == options.until.empty()) return usage(context, "grant takes either --for or --until");
  auto elsewhere = open_elsewhere(context, options.issue.source, options.issue.sign.out);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  GrantDocument document;
  document.user = options.user;
  document.role = options.role;
  document.reason = options.reason;
  document.ticket = options.ticket;
  document.created = context.now();
  document.nonce = make_nonce();
  document.once = options.once;
  if (!options.start.empty()) {
    const auto start = parse_until(context, options.start);
    if (!start) return tl::unexpected(start.error());
    document.not_before = *start;
  }
  if (!options.until.empty()) {
    const auto until = parse_until(context, options.until);
    if (!until) return tl::unexpected(until.error());
    document.not_after = *until;
  } else {
    const auto duration = parse_duration(options.duration);
    if (!duration) return tl::unexpected(duration.error());
    document.duration = *duration;
    document.activate_by = document.not_before.value_or(document.created) + kActivateWithin;
  }
  return issue(context, *elsewhere, document, options.issue, {"refused", false});
}

}  // namespace

void add_grant(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("grant", "Grant a role without a request",
                               [&context, options] { return grant(context, *options); });
  command->add_option("--user", options->user, "User who gets it")
      ->required()
      ->check(user_problem)
      ->type_name("USER");
  command->add_option("--role", options->role, "Role")->required()->check(role_problem)->type_name("ROLE");
  command->add_option("--for", options->duration, "How long, from its activation")
      ->check(duration_problem)
      ->type_name("D");
  command->add_option("--until", options->until, "Until when, as 2026-11-22T18:00:00Z")
      ->check(time_problem)
      ->type_name("TIME");
  command->add_option("--start", options->start, "Not before, as 2026-11-22T18:00:00Z")
      ->check(time_problem)
      ->type_name("TIME");
  command->add_flag("--once", options->once, "For one session: one login or one command");
  add_reason(*command, options->reason);
  command->add_option("-t,--ticket", options->ticket, "Ticket")->check(ticket_problem)->type_name("TICKET");
  add_issue_options(*command, options->issue);
  add_qr(*command, context);
}

}  // namespace jit::ctl
