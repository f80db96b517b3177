// Any bytes as a trust file: what parses is one literal principal with a good key, and reads back from its own line.
#include <cstdlib>
#include <string_view>

#include "policy/document/trust.hpp"
#include "policy/names.hpp"

namespace {

void demand(bool good) {
  if (!good) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const jit::TrustFile file = jit::parse_trust("trust", std::string_view(reinterpret_cast<const char*>(data), size));
  for (const jit::TrustLine& line : file.lines) {
    demand(jit::check_user_name(line.principal).has_value());
    demand(line.principal.find_first_of("*?!\"") == std::string::npos);
    demand(jit::parse_public_key(line.key.blob).has_value());
    const jit::TrustFile again = jit::parse_trust("again", jit::to_text(line));
    demand(again.bad.empty() && again.lines.size() == 1);
    demand(again.lines[0].principal == line.principal && again.lines[0].key == line.key);
    demand(again.lines[0].namespaces == line.namespaces && again.lines[0].valid_after == line.valid_after);
    demand(again.lines[0].valid_before == line.valid_before && again.lines[0].comment == line.comment);
  }
  return 0;
}
