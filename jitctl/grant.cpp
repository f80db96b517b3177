// jitctl grant: a direct grant, without a request. The first signature is the caller's; others add theirs with
// approve or sign.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::string user, role, duration, until, start, reason, ticket;
  bool once = false;
  Where where;
  SignOptions sign;
};

// How long a grant by duration may wait for its signatures before it begins.
constexpr Seconds kActivateWithin = std::chrono::hours(24);

Outcome grant(Context& context, const Options& options) {
  if (options.duration.empty() == options.until.empty()) return usage(context, "grant takes either --for or --until");
  const auto where = where_to(context, options.where);
  if (!where) return tl::unexpected(where.error());
  GrantDocument document;
  document.hosts = where->hosts;
  document.segments = where->segments;
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
  const auto text = signed_document(context, document, options.sign.key);
  if (!text) return tl::unexpected(text.error());
  return hand_over(context, *text, options.sign, "refused");
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
  add_where(*command, options->where);
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
  add_sign_options(*command, options->sign);
  add_qr(*command, context);
}

}  // namespace jit::ctl
