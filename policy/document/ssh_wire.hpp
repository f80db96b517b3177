// SSH's data types on the wire (RFC 4251 section 5), read within bounds and written: for keys and signatures alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jit::ssh {

// Reads from the front of some bytes. Every take_* says nothing when the bytes do not hold what is asked for; no
// length found in the bytes is believed beyond what is there.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }

  [[nodiscard]] bool take_literal(std::string_view literal) {
    if (rest_.substr(0, literal.size()) != literal) return false;
    rest_.remove_prefix(literal.size());
    return true;
  }

  [[nodiscard]] std::optional<std::uint8_t> take_byte() {
    if (rest_.empty()) return std::nullopt;
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }

  [[nodiscard]] std::optional<std::uint32_t> take_u32() {
    if (rest_.size() < 4) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = (value << 8) | static_cast<std::uint8_t>(rest_[i]);
    rest_.remove_prefix(4);
    return value;
  }

  [[nodiscard]] std::optional<std::string_view> take_string() {
    Reader ahead = *this;
    const auto length = ahead.take_u32();
    if (!length || *length > ahead.rest_.size()) return std::nullopt;
    const std::string_view found = ahead.rest_.substr(0, *length);
    rest_ = ahead.rest_.substr(*length);
    return found;
  }

  // A positive mpint in its one form (no needless leading zero), as big-endian bytes without the sign byte.
  [[nodiscard]] std::optional<std::string_view> take_positive() {
    auto number = take_string();
    if (!number || number->empty() || (number->front() & 0x80) != 0) return std::nullopt;
    if (number->front() == 0) {
      number->remove_prefix(1);
      if (number->empty() || (number->front() & 0x80) == 0) return std::nullopt;
    }
    return number;
  }

 private:
  std::string_view rest_;
};

inline void put_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xffU);
}

inline void put_string(std::string& out, std::string_view value) {
  put_u32(out, static_cast<std::uint32_t>(value.size()));
  out += value;
}

}  // namespace jit::ssh
