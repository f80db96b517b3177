// jitctl extend: asks for a grant that takes over one that is held, before that ends.
#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/filing.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

struct Options {
  std::string id, duration, reason, ticket;
  Filing filing;
};

Outcome extend(Context& context, const Options& options) {
  const auto prefix = read_id(options.id, false);
  if (!prefix) return tl::unexpected(prefix.error());
  Row wish;
  wish.text(Tag::extends, *prefix).text(Tag::reason, options.reason);
  if (auto put = put_duration(wish, options.duration); !put) return tl::unexpected(put.error());
  if (!options.ticket.empty()) wish.text(Tag::ticket, options.ticket);
  return file_wish(context, wish, options.filing);
}

}  // namespace

void add_extend(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("extend", "Ask to keep a role for longer",
                               [&context, options] { return extend(context, *options); });
  command->add_option("id", options->id, "Id of the grant, or its first characters (4 and more)")
      ->required()
      ->type_name("ID");
  command->add_option("duration", options->duration, "For how long, from when it is approved")
      ->required()
      ->check(duration_problem)
      ->type_name("D");
  add_reason(*command, options->reason);
  command->add_option("-t,--ticket", options->ticket, "Ticket, where a rule asks for one")
      ->check(ticket_problem)
      ->type_name("TICKET");
  command->add_flag("--no-wait", options->filing.no_wait, "Do not wait for approvers");
  command
      ->add_option("-o,--output", options->filing.out, "Write the signed request there, to be carried to an approver")
      ->type_name("FILE");
}

}  // namespace jit::ctl
