// jitctl export: documents with all signatures that came, to be carried elsewhere.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/qr.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

struct Options {
  std::string what, to;
  bool all = false;
};

Result<std::vector<std::string>> all_ids(Context& context) {
  const auto reply = ask_jitd(context, wire::Verb::list, Row().number(Tag::all, 1));
  if (!reply) return tl::unexpected(reply.error());
  std::vector<std::string> ids;
  for (const auto& row : reply->items) ids.push_back(row.text(Tag::id));
  return ids;
}

Outcome export_as_codes(Context& context, const Options& options) {
  if (options.all || !options.to.empty()) return usage(context, "--qr takes one document, without --all and --to");
  const auto document =
      looks_like_file(options.what) ? read_document(context, options.what) : export_document(context, options.what);
  if (!document) return tl::unexpected(document.error());
  if (auto printed = show_codes(context, *document); !printed) return tl::unexpected(printed.error());
  return Exit::done;
}

Outcome export_documents(Context& context, const Options& options) {
  if (options.what.empty() == !options.all) return usage(context, "export takes either an id or --all");
  if (context.qr) return export_as_codes(context, options);
  std::vector<std::string> ids;
  if (options.all) {
    auto found = all_ids(context);
    if (!found) return tl::unexpected(found.error());
    ids = std::move(*found);
  } else {
    auto prefix = read_id(options.what, false);
    if (!prefix) return tl::unexpected(prefix.error());
    ids.push_back(std::move(*prefix));
  }
  Exit worst = Exit::done;
  std::vector<std::string> objects;
  for (const auto& asked : ids) {
    const auto reply = ask_jitd(context, wire::Verb::export_, Row().text(Tag::id, asked));
    if (!reply) return tl::unexpected(reply.error());
    const auto document = reply->result.text(Tag::document);
    if (options.to.empty()) {
      if (context.json && options.all) {
        objects.push_back(to_json(reply->result));
      } else {
        context.out << (context.json ? to_json(reply->result) + "\n" : document);
      }
      continue;
    }
    // The daemon's id becomes a file name: only when it is one.
    const auto id = parse_id_prefix(reply->result.text(Tag::id));
    if (!id || id->size() != 16) return fail(Errc::invalid, "jitd sent a document without an id");
    const auto path = fmt::format("{}/{}.jit", options.to, *id);
    if (auto written = write_new(context, path, document); !written) {
      complain(context, written.error().message);
      worst = Exit::failed;
      continue;
    }
    if (context.json) {
      objects.push_back(JsonObject().text("id", *id).text("file", path).str());
    } else {
      context.out << shown(path) << '\n';
    }
  }
  if (context.json && (options.all || !options.to.empty())) context.out << json_list(objects) << '\n';
  return worst;
}

}  // namespace

void add_export(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("export", "Write documents with their signatures",
                               [&context, options] { return export_documents(context, *options); });
  command->add_option("id", options->what, "Id, or its first characters; with --qr also a file")
      ->type_name("ID|FILE");
  command->add_flag("--all", options->all, "All that you may see and that are not over");
  command->add_option("--to", options->to, "Directory; each document becomes ID.jit in it")->type_name("DIR");
  add_qr(*command, context);
}

}  // namespace jit::ctl
