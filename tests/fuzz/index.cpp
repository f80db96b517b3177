// Any bytes as the index of a box on a web server. What parses is written again byte by byte, and takes one more.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "jitd/sync/https_index.hpp"

namespace {

void demand(bool good) {
  if (!good) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto items = jit::parse_index(text);
  if (!items) return 0;
  for (const auto& item : *items) demand(jit::index_name(item.name) && item.stamp.size() == 64);
  const auto again = jit::index_text(*items);
  demand(again.has_value() && *again == text);
  static_cast<void>(jit::put_item(*items, jit::index_item("m.jit", "bytes")));
  const auto more = jit::index_text(*items);
  if (!more) return 0;  // full
  demand(jit::parse_index(*more).has_value());
  demand(jit::remove_item(*items, "m.jit") && !jit::remove_item(*items, "m.jit"));
  demand(jit::parse_index(*jit::index_text(*items)).has_value());
  return 0;
}
