// jitctl source index: what a mailbox folder needs besides its files, so that a static web server can serve it.
#include <fmt/format.h>

#include "jitctl/output.hpp"
#include "jitctl/source.hpp"
#include "jitd/sync/https_index.hpp"

namespace jit::ctl {
namespace {

Outcome index_folder(Context& context, const std::string& folder) {
  const auto report = write_index(folder);
  if (!report) return tl::unexpected(report.error());
  if (context.json) {
    context.out << JsonObject()
                       .number("boxes", report->boxes)
                       .number("documents", report->documents)
                       .texts("written", report->written)
                       .texts("problems", report->problems)
                       .str()
                << '\n';
  } else {
    context.out << fmt::format("{} documents in {} boxes, {} with a new index\n", report->documents, report->boxes,
                               report->written.size());
    for (const auto& problem : report->problems) complain(context, problem);
  }
  return report->problems.empty() ? Exit::done : Exit::failed;
}

}  // namespace

void add_source_index(Commands& commands, Command* source) {
  auto folder = std::make_shared<std::string>();
  auto& context = commands.context();
  auto* command =
      commands.add_below(source, "index", "Make or refresh the index of every box, for a static web server",
                         [&context, folder] { return index_folder(context, *folder); });
  command->add_option("folder", *folder, "Mailbox folder, with to/ and from/ in it")->required()->type_name("DIR");
}

}  // namespace jit::ctl
