#include "jitctl/qr_code.hpp"

#include <fmt/format.h>
#include <qrencode.h>

#include <array>
#include <cerrno>
#include <memory>

namespace jit::ctl {
namespace {

struct Free {
  void operator()(QRinput* input) const { QRinput_free(input); }
  void operator()(QRcode* code) const { QRcode_free(code); }
};

// Characters in alphanumeric mode at error correction level L, by version (ISO/IEC 18004, table 7).
constexpr std::array<std::size_t, 40> kCapacity = {25,   47,   77,   114,  154,  195,  224,  279,  335,  395,
                                                   468,  535,  619,  667,  758,  854,  938,  1046, 1153, 1249,
                                                   1352, 1460, 1588, 1704, 1853, 1990, 2132, 2223, 2369, 2520,
                                                   2677, 2840, 3009, 3183, 3351, 3537, 3729, 3927, 4087, 4296};

constexpr std::size_t side_of(std::size_t version) {
  return 17 + 4 * version;
}

}  // namespace

Result<QrCode> encode_qr(std::string_view text) {
  if (text.size() > kCapacity.back()) return fail(Errc::invalid, "more than a QR code holds");
  const std::unique_ptr<QRinput, Free> input(QRinput_new2(0, QR_ECLEVEL_L));
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (!input || QRinput_append(input.get(), QR_MODE_AN, static_cast<int>(text.size()), bytes) != 0) {
    return fail_errno(errno, "a QR code");
  }
  const std::unique_ptr<QRcode, Free> made(QRcode_encodeInput(input.get()));
  if (!made) return fail_errno(errno, "a QR code");
  QrCode code;
  code.side = static_cast<std::size_t>(made->width);
  code.dark.reserve(code.side * code.side);
  for (std::size_t i = 0; i < code.side * code.side; ++i) code.dark.push_back((made->data[i] & 1) != 0);
  return code;
}

std::size_t qr_capacity(std::size_t side) {
  std::size_t holds = 0;
  for (std::size_t version = 1; version <= kCapacity.size() && side_of(version) <= side; ++version) {
    holds = kCapacity[version - 1];
  }
  return holds;
}

}  // namespace jit::ctl
