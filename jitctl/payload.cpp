// jitctl payload FILE: the exact bytes that signatures of a document are over, for `ssh-keygen -Y sign` or `-Y
// verify`.

#include "jitctl/app.hpp"
#include "jitctl/paper.hpp"

namespace jit::ctl {
namespace {

Outcome payload(Context& context, const std::string& file) {
  const auto text = read_document(context, file);
  if (!text) return tl::unexpected(text.error());
  const bool has_signature = text->find("-----BEGIN SSH SIGNATURE-----") != std::string::npos;
  auto bytes = has_signature ? parse_envelope(*text).map([](const Envelope& envelope) { return envelope.payload; })
                             : parse_payload_text(*text);
  if (!bytes) return within(file, bytes.error());
  if (const auto document = read_payload(*bytes, file); !document) return tl::unexpected(document.error());
  context.out << *bytes;  // clean by now: no control, bidi or zero-width character
  return Exit::done;
}

}  // namespace

void add_payload(Commands& commands) {
  auto file = std::make_shared<std::string>();
  auto& context = commands.context();
  auto* command = commands.add("payload", "Print the bytes that a document's signatures are over",
                               [&context, file] { return payload(context, *file); });
  command->add_option("file", *file, "A .jit file, - for standard input")->required()->type_name("FILE");
}

}  // namespace jit::ctl
