// jitctl list: grants and requests on this host, as far as the caller may see them.

#include "jitctl/app.hpp"
#include "jitctl/grants.hpp"
#include "jitctl/output.hpp"

namespace jit::ctl {
namespace {

Outcome list(Context& context, bool all, bool ended) {
  Row question;
  if (all) question.number(wire::Tag::all, 1);
  if (ended) question.text(wire::Tag::held, "ended");
  const auto reply = ask_jitd(context, wire::Verb::list, question);
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    context.out << to_json(reply->items) << '\n';
  } else {
    print_grants(context, reply->items,
                 all ? "No grant and no request." : "No grant and no request of yours (--all: of others).");
  }
  return Exit::done;
}

}  // namespace

void add_list(Commands& commands) {
  struct Options {
    bool all = false, ended = false;
  };
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("list", "Grants and requests on this host",
                               [&context, options] { return list(context, options->all, options->ended); });
  command->add_flag("--all", options->all, "Everybody's that you may see");
  command->add_flag("--ended", options->ended, "Those that are over too");
}

}  // namespace jit::ctl
