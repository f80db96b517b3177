// jitctl sign FILE: adds one's signature to a document, in the namespace of its kind.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/qr.hpp"
#include "jitctl/signing.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::string file, key, out;
  bool yes = false;
};

// The envelope of a signed document, or one without signatures of a bare payload.
Result<Envelope> read_envelope(std::string_view text, const std::string& source) {
  if (text.find("-----BEGIN SSH SIGNATURE-----") != std::string_view::npos) {
    auto envelope = parse_envelope(text);
    if (!envelope) return within(source, envelope.error());
    return envelope;
  }
  auto payload = parse_payload_text(text);
  if (!payload) return within(source, payload.error());
  return Envelope{std::move(*payload), {}};
}

// FILE with one signature more, replaced whole: a reader sees the old file or the new one.
Result<void> replace(const std::string& path, std::string_view text) {
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? std::string(".") : slash == 0 ? "/" : path.substr(0, slash);
  const auto name = slash == std::string::npos ? path : path.substr(slash + 1);
  const auto dir = open_dir(directory);
  if (!dir) return tl::unexpected(dir.error());
  struct stat before {};
  if (::fstatat(dir->get(), name.c_str(), &before, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, path);
  return replace_file(system_files(), dir->get(), name, text, {before.st_mode & 07777, before.st_uid, before.st_gid});
}

Outcome sign(Context& context, const Options& options) {
  if (auto allowed = sign_as_yourself(context); !allowed) return tl::unexpected(allowed.error());
  const auto text = read_document(context, options.file);
  if (!text) return tl::unexpected(text.error());
  const auto envelope = read_envelope(*text, options.file);
  if (!envelope) return tl::unexpected(envelope.error());
  const auto document = read_payload(envelope->payload, options.file);
  if (!document) return tl::unexpected(document.error());
  const auto kind = kind_of(*document);
  if (kind == Kind::request) {
    return fail(Errc::invalid,
                fmt::format("{}: a request is signed by its host alone; approve it instead", options.file));
  }
  const auto id = id_of(sha256(envelope->payload));
  if (!options.yes) {
    if (!context.can_ask()) {
      return fail(Errc::invalid, "there is no terminal to ask on; read the document first, then add --yes");
    }
    context.err << fmt::format("{} {}:\n", kind_name(kind), id) << indented(envelope->payload, "  ", context.columns);
    if (!ask_yes(context, "Sign exactly this?")) {
      context.err << "Nothing was signed.\n";
      return Exit::failed;
    }
  }
  const auto key = choose_key(context, options.key, kind_namespace(kind));
  if (!key) return tl::unexpected(key.error());
  auto blob = sign_bytes(context, *key, envelope->payload, kind_namespace(kind));
  if (!blob) return tl::unexpected(blob.error());
  const auto merged = merge(*envelope, Envelope{envelope->payload, {std::move(*blob)}});
  if (!merged) return tl::unexpected(merged.error());
  const auto signed_text = to_text(*merged);
  const auto out = options.out.empty() && options.file == "-" ? std::string("-") : options.out;
  const auto written =
      out.empty() && !context.qr ? replace(options.file, signed_text) : hand_out(context, out, signed_text);
  if (!written) return tl::unexpected(written.error());
  if (out == "-" || context.qr) return Exit::done;
  if (context.json) {
    context.out << JsonObject()
                       .text("id", id)
                       .text("kind", kind_name(kind))
                       .text("file", out.empty() ? options.file : out)
                       .number("signatures", merged->signatures.size())
                       .str()
                << '\n';
  } else {
    context.out << fmt::format("{} {}: {} signature{} in {}\n", kind_name(kind), id, merged->signatures.size(),
                               merged->signatures.size() == 1 ? "" : "s", shown(out.empty() ? options.file : out));
  }
  return Exit::done;
}

}  // namespace

void add_sign(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("sign", "Add your signature to a document",
                               [&context, options] { return sign(context, *options); });
  command->add_option("file", options->file, "A .jit file, or a payload without a signature yet")
      ->required()
      ->type_name("FILE");
  command->add_option("--key", options->key, "Sign with this key")->type_name("FILE");
  command->add_option("-o,--output", options->out, "Write there instead of into the file itself")->type_name("FILE");
  add_qr(*command, context);
  command->add_flag("--yes", options->yes, "Do not show it and ask");
}

}  // namespace jit::ctl
