// jitctl export: documents with all signatures that came, to be carried elsewhere; a mailbox folder gets all that
// this host has to say.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/find.hpp"
#include "jitctl/issue.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/qr.hpp"
#include "jitctl/stick.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

struct Options {
  std::string what, to;
  bool all = false;
  SourceOptions source;
};

// A document by its id, of 16 characters.
using Documents = std::vector<std::pair<std::string, std::string>>;

Result<Documents> documents_of_jitd(Context& context, const Options& options) {
  std::vector<std::string> ids;
  if (options.all) {
    const auto reply = ask_jitd(context, wire::Verb::list, Row().number(Tag::all, 1));
    if (!reply) return tl::unexpected(reply.error());
    for (const auto& row : reply->items) ids.push_back(row.text(Tag::id));
  } else {
    auto prefix = read_id(options.what, false);
    if (!prefix) return tl::unexpected(prefix.error());
    ids.push_back(std::move(*prefix));
  }
  Documents documents;
  for (const auto& asked : ids) {
    const auto reply = ask_jitd(context, wire::Verb::export_, Row().text(Tag::id, asked));
    if (!reply) return tl::unexpected(reply.error());
    // The daemon's id becomes a file name: only when it is one.
    const auto id = parse_id_prefix(reply->result.text(Tag::id));
    if (!id || id->size() != 16) return fail(Errc::invalid, "jitd sent a document without an id");
    documents.emplace_back(*id, reply->result.text(Tag::document));
  }
  return documents;
}

Result<Documents> documents_elsewhere(Context& context, Elsewhere& elsewhere, const Options& options) {
  Documents documents;
  if (!options.all) {
    const auto prefix = read_id(options.what, false);
    if (!prefix) return tl::unexpected(prefix.error());
    const auto found = find_waiting(context, elsewhere, *prefix);
    if (!found) return tl::unexpected(found.error());
    documents.emplace_back(id_of(found->request.digest), to_text(found->request.envelope));
    return documents;
  }
  if (auto done = elsewhere.look(elsewhere.hosts(), kWaiting); !done) return tl::unexpected(done.error());
  elsewhere.say_what_was_passed_over();
  for (const auto& host : elsewhere.hosts()) {
    const auto sight = elsewhere.sight(host);
    for (const auto* seen : waiting_in(sight, context.now()))
      documents.emplace_back(id_of(seen->digest), to_text(seen->envelope));
  }
  return documents;
}

// One document as QR codes: one that is there, or a file.
Outcome export_as_codes(Context& context, std::optional<Elsewhere>& elsewhere, const Options& options) {
  if (options.all || !options.to.empty()) return usage(context, "--qr takes one document, without --all and --to");
  const auto show = [&](const Result<std::string>& document) -> Outcome {
    if (!document) return tl::unexpected(document.error());
    if (auto printed = show_codes(context, *document); !printed) return tl::unexpected(printed.error());
    return Exit::done;
  };
  if (looks_like_file(options.what)) return show(read_document(context, options.what));
  if (!elsewhere) return show(export_document(context, options.what));
  auto found = documents_elsewhere(context, *elsewhere, options);
  if (!found) return tl::unexpected(found.error());
  return show(std::move(found->front().second));
}

Outcome export_documents(Context& context, const Options& options) {
  if (options.what.empty() == !options.all) return usage(context, "export takes either an id or --all");
  auto elsewhere = open_elsewhere(context, options.source);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  if (context.qr) return export_as_codes(context, *elsewhere, options);
  if (!*elsewhere && options.all && !options.to.empty() && is_mailbox_folder(options.to))
    return export_to_mailbox(context, options.to);
  const auto documents =
      *elsewhere ? documents_elsewhere(context, **elsewhere, options) : documents_of_jitd(context, options);
  if (!documents) return tl::unexpected(documents.error());
  Exit worst = Exit::done;
  std::vector<std::string> objects;
  for (const auto& [id, document] : *documents) {
    if (options.to.empty()) {
      objects.push_back(JsonObject().text("id", id).text("document", document).str());
      if (!context.json) context.out << document;
      continue;
    }
    const auto path = fmt::format("{}/{}.jit", options.to, id);
    if (auto written = write_new(context, path, document); !written) {
      complain(context, written.error().message);
      worst = Exit::failed;
      continue;
    }
    objects.push_back(JsonObject().text("id", id).text("file", path).str());
    if (!context.json) context.out << shown(path) << '\n';
  }
  if (context.json) {
    const bool alone = !options.all && options.to.empty();
    context.out << (alone ? objects.front() : json_list(objects)) << '\n';
  }
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
  command
      ->add_option("--to", options->to,
                   "Directory; each document becomes ID.jit in it, or goes to its place in a mailbox folder")
      ->type_name("DIR");
  add_source_option(*command, options->source);
  add_qr(*command, context);
}

}  // namespace jit::ctl
