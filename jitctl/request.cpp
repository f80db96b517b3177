// jitctl request: files a wish with jitd and, on a terminal, waits for what becomes of it; with --on it asks hosts
// elsewhere.
#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/ask.hpp"
#include "jitctl/filing.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

Outcome request(Context& context, const AskOptions& options) {
  auto elsewhere = options.given() ? Result<bool>(true) : goes_elsewhere(context, options.source);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  if (*elsewhere) return ask_elsewhere(context, options);
  for (const auto* given : {&options.key, &options.user, &options.source.wait}) {
    if (!given->empty()) return usage(context, "--key, --user and --wait go with --on or --segment");
  }
  Row wish;
  wish.text(Tag::role, options.role);
  if (auto put = put_wish(wish, options.wish); !put) return tl::unexpected(put.error());
  auto filing = options.wish.filing;
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
  auto options = std::make_shared<AskOptions>();
  auto& context = commands.context();
  auto* command =
      commands.add("request", "Ask for a role", [&context, options] { return request(context, *options); });
  command->add_option("role", options->role, "Role, by name (jitctl roles)")
      ->required()
      ->check(role_problem)
      ->type_name("ROLE");
  command->add_option("duration", options->wish.duration, "For how long: 30m, 2h (default: 1h or the role's maximum)")
      ->check(duration_problem)
      ->type_name("D");
  command->add_option("--start", options->start, "Not before, as 2026-11-22T18:00:00Z: approved ahead")
      ->check(time_problem)
      ->type_name("TIME");
  add_wish(*command, options->wish);
  add_ask_options(*command, *options);
  add_qr(*command, context);
}

}  // namespace jit::ctl
