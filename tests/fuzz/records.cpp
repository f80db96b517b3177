// `held` and `ends`: whatever stands in a record, it decodes to nothing, an error, or a value that encodes to these
// bytes.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "jitd/store/records.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto held = jit::decode_held(bytes); held && *held) {
    const auto again = jit::encode(**held);
    if (!again || jit::decode_held(*again).value() != *held) std::abort();
  }
  if (const auto end = jit::decode_end(bytes); end && *end) {
    const auto again = jit::encode(**end);
    if (!again || jit::decode_end(*again).value() != *end) std::abort();
  }
  return 0;
}
