// jitctl import: hands documents that were carried here to jitd, or sends them on to hosts elsewhere. Anyone may:
// what counts are the signatures.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/handover.hpp"
#include "jitctl/issue.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/stick.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::vector<std::string> what;
  SourceOptions source;
};

Result<std::vector<std::string>> files_of(const std::vector<std::string>& what) {
  std::vector<std::string> files;
  for (const auto& path : what) {
    if (path == "-" || !is_directory(path)) {
      files.push_back(path);
      continue;
    }
    const auto found = documents_in(path);
    if (!found) return tl::unexpected(found.error());
    files.insert(files.end(), found->begin(), found->end());
  }
  return files;
}

// Documents that somebody else signed, or that were signed by hand, to the hosts that they are for.
Outcome send_on(Context& context, Elsewhere& elsewhere, const Options& options) {
  const auto files = files_of(options.what);
  if (!files) return tl::unexpected(files.error());
  std::vector<Parcel> parcels;
  for (const auto& file : *files) {
    auto text = read_document(context, file);
    if (!text) return tl::unexpected(text.error());
    auto parcel = parcel_of(std::move(*text), file);
    if (!parcel) return tl::unexpected(parcel.error());
    const auto where = destination_of(parcel->document);
    if (where.hosts.empty() && where.segments.empty()) {
      return fail(Errc::invalid, fmt::format("{}: a {} comes from a host, and goes to none", file,
                                             kind_name(kind_of(parcel->document))));
    }
    for (const auto& host : where.hosts) {
      if (!elsewhere.knows(host))
        return fail(Errc::not_found, fmt::format("{}: {} is not in your hosts file", file, host));
    }
    parcels.push_back(std::move(*parcel));
  }
  return send(context, elsewhere, parcels, options.source);
}

Outcome import(Context& context, const Options& options) {
  auto elsewhere = open_elsewhere(context, options.source);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  if (*elsewhere) return send_on(context, **elsewhere, options);
  if (options.what.size() == 1 && is_mailbox_folder(options.what.front()))
    return import_from_mailbox(context, options.what.front());
  const auto found = files_of(options.what);
  if (!found) return tl::unexpected(found.error());
  Handover handover(context);
  for (const auto& file : *found) {
    if (const auto taken = handover.take(file, read_document(context, file)); !taken)
      return tl::unexpected(taken.error());
  }
  return handover.finish();
}

}  // namespace

void add_import(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command =
      commands.add("import", "Hand documents to jitd", [&context, options] { return import(context, *options); });
  command
      ->add_option("files", options->what,
                   "Files, directories of .jit files, - for standard input; a mailbox folder: what is for this host")
      ->required()
      ->type_name("FILE|DIR|-");
  add_source_option(*command, options->source);
  add_wait_options(*command, options->source);
}

}  // namespace jit::ctl
