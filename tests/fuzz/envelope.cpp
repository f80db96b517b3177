// Any bytes as a document file: envelope, signature blobs, keys, and the payload's TOML. What parses reads back, and
// no signature over another text verifies.
#include <cstdlib>
#include <string_view>

#include "policy/document/envelope.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/signature.hpp"

namespace {

void demand(bool good) {
  if (!good) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  static_cast<void>(jit::parse_payload_text(file));
  static_cast<void>(jit::parse_signature(file));
  static_cast<void>(jit::parse_public_key(file));
  static_cast<void>(jit::parse_public_key_line(file));
  if (const auto document = jit::parse_document(file, "input")) {
    demand(jit::check_document(*document).has_value());
    const auto again = jit::parse_document(jit::to_payload(*document), "again");
    demand(again.has_value() && *again == *document);
  }

  const auto envelope = jit::parse_envelope(file);
  if (!envelope) return 0;
  const auto again = jit::parse_envelope(jit::to_text(*envelope));
  demand(again && again->payload == envelope->payload && again->signatures == envelope->signatures);
  demand(jit::merge(*envelope, *again).has_value());
  for (const auto& blob : envelope->signatures) {
    const auto signature = jit::parse_signature(blob);
    if (!signature) continue;
    demand(!jit::verify(*signature, envelope->payload + "x", signature->name_space));
    static_cast<void>(jit::verify(*signature, envelope->payload, signature->name_space));
  }
  if (const auto document = jit::parse_document(envelope->payload, "payload")) {
    demand(jit::parse_document(jit::to_payload(*document), "again").has_value());
  }
  return 0;
}
