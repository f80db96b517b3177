// jitctl release: gives grants back before their time and withdraws requests. Root may release anybody's.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/output.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

Outcome release(Context& context, const std::string& id, bool all) {
  if (id.empty() == !all) return usage(context, "release takes either an id or --all");
  Row question;
  if (all) {
    question.number(Tag::all, 1);
  } else {
    const auto prefix = read_id(id, false);
    if (!prefix) return tl::unexpected(prefix.error());
    question.text(Tag::id, *prefix);
  }
  const auto reply = ask_jitd(context, wire::Verb::release, question);
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    context.out << to_json(reply->items) << '\n';
    return exit_of(reply->status);
  }
  for (const auto& row : reply->items) {
    const auto note = row.text(Tag::note);
    context.out << fmt::format("{}  {}\n", shown(row.text(Tag::id)),
                               shown(note.empty() ? row.text(Tag::state) : row.text(Tag::state) + ": " + note));
  }
  if (reply->items.empty()) context.out << "Nothing to release.\n";
  return exit_of(reply->status);
}

}  // namespace

void add_release(Commands& commands) {
  struct Options {
    std::string id;
    bool all = false;
  };
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("release", "Give a grant back, withdraw a request",
                               [&context, options] { return release(context, options->id, options->all); });
  command->add_option("id", options->id, "Id, or its first characters")->type_name("ID");
  command->add_flag("--all", options->all, "All of yours");
}

}  // namespace jit::ctl
