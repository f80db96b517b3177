// jitctl pending: what waits for the caller's review, with all that is needed to judge it.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/output.hpp"
#include "jitctl/review.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

Outcome pending(Context& context) {
  const auto reply = ask_jitd(context, wire::Verb::pending, {});
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    context.out << to_json(reply->items) << '\n';
    return Exit::done;
  }
  if (reply->items.empty()) {
    context.out << "Nothing waits for your review.\n";
    return Exit::done;
  }
  for (const auto& row : reply->items) {
    const auto wish = read_wish(row.text(Tag::document));
    if (!wish) {
      complain(context, row.text(Tag::id) + ": " + wish.error().message);
      continue;
    }
    print_wish(context.out, *wish, context.now(), context.columns);
    for (const auto& line : row.all(Tag::waiting_for)) labelled(context.out, "waits for", line, context.columns);
    context.out << '\n';
  }
  context.out << "jitctl approve ID or jitctl deny ID -m WHY\n";
  return Exit::done;
}

}  // namespace

void add_pending(Commands& commands) {
  auto& context = commands.context();
  commands.add("pending", "Requests that wait for your review", [&context] { return pending(context); });
}

}  // namespace jit::ctl
