// jitctl show ID: everything about one request or grant.

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/grants.hpp"
#include "jitctl/output.hpp"
#include "jitctl/qr.hpp"

namespace jit::ctl {
namespace {

Outcome show(Context& context, const std::string& id) {
  if (context.qr) {
    const auto document = export_document(context, id);
    if (!document) return tl::unexpected(document.error());
    if (auto printed = show_codes(context, *document); !printed) return tl::unexpected(printed.error());
    return Exit::done;
  }
  const auto grant = find_grant(context, id);
  if (!grant) return tl::unexpected(grant.error());
  if (context.json) {
    context.out << to_json(*grant) << '\n';
  } else {
    print_grant(context.out, *grant, context.columns);
  }
  return Exit::done;
}

}  // namespace

void add_show(Commands& commands) {
  auto id = std::make_shared<std::string>();
  auto& context = commands.context();
  auto* command =
      commands.add("show", "Everything about one request or grant", [&context, id] { return show(context, *id); });
  command->add_option("id", *id, "Id, or its first characters (4 and more)")->required()->type_name("ID");
  add_qr(*command, context);
}

}  // namespace jit::ctl
