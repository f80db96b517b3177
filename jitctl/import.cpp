// jitctl import: hands documents that were carried here to jitd. Anyone may: what counts are the signatures.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

Outcome import(Context& context, const std::vector<std::string>& what) {
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
  Exit worst = Exit::done;
  std::vector<std::string> objects;
  for (const auto& file : files) {
    const auto text = read_document(context, file);
    const auto reply = text ? submit(context, *text) : Result<Reply>(tl::unexpected(text.error()));
    if (!reply && reply.error().code == Errc::unavailable) return tl::unexpected(reply.error());
    const auto message = reply ? reply->message : reply.error().message;
    const auto id = reply ? reply->result.text(Tag::id) : std::string();
    if (!reply) worst = exit_of(reply.error());
    if (context.json) {
      JsonObject object;
      object.text("file", file).text("id", id).boolean("taken", reply.has_value());
      if (reply) object.text("state", reply->result.text(Tag::state));
      objects.push_back(object.text("message", message).str());
    } else if (reply) {
      context.out << fmt::format("{}: {}  {}\n", shown(file), shown(id), shown(message));
    } else {
      complain(context, message.find(file) == std::string::npos ? file + ": " + message : message);
    }
  }
  if (context.json) context.out << json_list(objects) << '\n';
  return worst;
}

}  // namespace

void add_import(Commands& commands) {
  auto what = std::make_shared<std::vector<std::string>>();
  auto& context = commands.context();
  auto* command =
      commands.add("import", "Hand documents to jitd", [&context, what] { return import(context, *what); });
  command->add_option("files", *what, "Files, directories of .jit files, - for standard input")
      ->required()
      ->type_name("FILE|DIR|-");
}

}  // namespace jit::ctl
