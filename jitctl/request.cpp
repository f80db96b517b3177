// jitctl request: files a wish with jitd and, on a terminal, waits for what becomes of it.
#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/filing.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

struct Options {
  std::string role, duration, reason, ticket, start;
  Filing filing;
};

Outcome request(Context& context, const Options& options) {
  Row wish;
  wish.text(Tag::role, options.role).text(Tag::reason, options.reason);
  if (auto put = put_duration(wish, options.duration); !put) return tl::unexpected(put.error());
  if (!options.ticket.empty()) wish.text(Tag::ticket, options.ticket);
  auto filing = options.filing;
  if (!options.start.empty()) {
    const auto start = parse_until(context, options.start);
    if (!start) return tl::unexpected(start.error());
    wish.number(Tag::start, static_cast<std::uint64_t>(start->time_since_epoch().count()));
    filing.no_wait = true;  // nobody sits there until then
  }
  return file_wish(context, wish, filing);
}

}  // namespace

void add_request(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command =
      commands.add("request", "Ask for a role", [&context, options] { return request(context, *options); });
  command->add_option("role", options->role, "Role, by name (jitctl roles)")
      ->required()
      ->check(role_problem)
      ->type_name("ROLE");
  command->add_option("duration", options->duration, "For how long: 30m, 2h (default: 1h or the role's maximum)")
      ->check(duration_problem)
      ->type_name("D");
  add_reason(*command, options->reason);
  command->add_option("-t,--ticket", options->ticket, "Ticket, where a rule asks for one")
      ->check(ticket_problem)
      ->type_name("TICKET");
  command->add_option("--start", options->start, "Not before, as 2026-11-22T18:00:00Z: approved ahead")
      ->check(time_problem)
      ->type_name("TIME");
  command->add_flag("--no-wait", options->filing.no_wait, "Do not wait for approvers");
  command
      ->add_option("-o,--output", options->filing.out, "Write the signed request there, to be carried to an approver")
      ->type_name("FILE");
}

}  // namespace jit::ctl
