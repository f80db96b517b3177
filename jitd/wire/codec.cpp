#include "jitd/wire/codec.hpp"

#include <array>

namespace jit::wire {
namespace {

constexpr std::size_t kFieldHeader = 4;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? (crc >> 1U) ^ 0x82f63b78U : crc >> 1U;
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

// Types of the known tags by number, so that the parser needs neither a search nor the names.
enum class Known : std::uint8_t { no, number, text };
constexpr std::size_t kTagNumbers = 256;
constexpr std::array<Known, kTagNumbers> make_types() {
  std::array<Known, kTagNumbers> types{};
  for (const TagRule& rule : kTags)
    types[static_cast<std::size_t>(rule.tag)] = rule.type == FieldType::number ? Known::number : Known::text;
  return types;
}
constexpr std::array<Known, kTagNumbers> kTypes = make_types();

Known type_of(Tag tag) noexcept {
  const auto number = static_cast<std::size_t>(tag);
  return number < kTagNumbers ? kTypes[number] : Known::no;
}

template <class Number>
Number load(const void* at) noexcept {
  unsigned char bytes[sizeof(Number)];
  std::memcpy(bytes, at, sizeof bytes);
  Number value = 0;
  for (std::size_t i = sizeof bytes; i-- > 0;) value = static_cast<Number>((value << 8U) | bytes[i]);
  return value;
}

template <class Number>
void store(void* at, Number value) noexcept {
  unsigned char bytes[sizeof(Number)];
  for (unsigned char& byte : bytes) {
    byte = static_cast<unsigned char>(value & 0xffU);
    value = static_cast<Number>(value >> 8U);
  }
  std::memcpy(at, bytes, sizeof bytes);
}

}  // namespace

// The widest shift above is 8 bits of a 16-bit number, which promotes to int; of wider ones it stays unsigned.
std::uint16_t load_u16(const void* at) noexcept {
  return load<std::uint16_t>(at);
}
std::uint32_t load_u32(const void* at) noexcept {
  return load<std::uint32_t>(at);
}
std::uint64_t load_u64(const void* at) noexcept {
  return load<std::uint64_t>(at);
}
void store_u16(void* at, std::uint16_t value) noexcept {
  store(at, value);
}
void store_u32(void* at, std::uint32_t value) noexcept {
  store(at, value);
}
void store_u64(void* at, std::uint64_t value) noexcept {
  store(at, value);
}

std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept {
  std::uint32_t crc = 0xffffffffU;
  for (const std::byte byte : bytes) crc = (crc >> 8U) ^ kCrcTable[(crc ^ static_cast<std::uint32_t>(byte)) & 0xffU];
  return ~crc;
}

void copy_text(std::span<char> into, std::string_view text) noexcept {
  if (into.empty()) return;
  std::size_t length = text.size();
  if (length >= into.size()) {
    length = into.size() - 1;
    // A continuation byte first among what is left out means that the cut is inside a sequence.
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80U) --length;
  }
  if (length > 0) std::memcpy(into.data(), text.data(), length);
  into[length] = '\0';
}

const TagRule* tag_rule(Tag tag) noexcept {
  for (const TagRule& rule : kTags)
    if (rule.tag == tag) return &rule;
  return nullptr;
}

const VerbRule* control_verb(Verb verb) noexcept {
  for (const VerbRule& rule : kControlVerbs)
    if (rule.verb == verb) return &rule;
  return nullptr;
}

Writer::Writer(std::span<std::byte> buffer, Verb verb, std::uint32_t id) noexcept
    : buffer_(buffer.size() > kMaxFrame ? buffer.first(kMaxFrame) : buffer), used_(kHeaderSize) {
  if (buffer_.size() < kHeaderSize) {
    overflow_ = true;
    return;
  }
  store_u32(buffer_.data(), kMagic);
  store_u16(buffer_.data() + 4, kVersion);
  store_u16(buffer_.data() + 6, static_cast<std::uint16_t>(verb));
  store_u32(buffer_.data() + 8, 0);
  store_u32(buffer_.data() + 12, id);
}

Writer& Writer::field(Tag tag, const void* value, std::size_t size) noexcept {
  if (overflow_ || size > kMaxField || buffer_.size() - used_ < kFieldHeader + size) {
    overflow_ = true;
    return *this;
  }
  std::byte* at = buffer_.data() + used_;
  store_u16(at, static_cast<std::uint16_t>(tag));
  store_u16(at + 2, static_cast<std::uint16_t>(size));
  if (size > 0) std::memcpy(at + kFieldHeader, value, size);
  used_ += kFieldHeader + size;
  return *this;
}

Writer& Writer::number(Tag tag, std::uint64_t value) noexcept {
  unsigned char bytes[8];
  store_u64(bytes, value);
  return field(tag, bytes, sizeof bytes);
}

Writer& Writer::text(Tag tag, std::string_view value) noexcept {
  return field(tag, value.data(), value.size());
}

std::span<const std::byte> Writer::finish() noexcept {
  if (overflow_) return {};
  store_u32(buffer_.data() + 8, static_cast<std::uint32_t>(used_ - kHeaderSize));
  return buffer_.first(used_);
}

std::uint16_t Frame::u16(std::size_t at) const noexcept {
  return load_u16(fields_.data() + at);
}

std::optional<Frame> Frame::parse(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < kHeaderSize || bytes.size() > kMaxFrame) return std::nullopt;
  if (load_u32(bytes.data()) != kMagic || load_u16(bytes.data() + 4) != kVersion) return std::nullopt;
  if (load_u32(bytes.data() + 8) != bytes.size() - kHeaderSize) return std::nullopt;
  Frame frame;
  frame.verb_ = static_cast<Verb>(load_u16(bytes.data() + 6));
  frame.id_ = load_u32(bytes.data() + 12);
  frame.fields_ = bytes.last(bytes.size() - kHeaderSize);
  for (std::size_t at = 0; at < frame.fields_.size();) {
    const std::size_t left = frame.fields_.size() - at;
    if (left < kFieldHeader) return std::nullopt;
    const std::size_t length = frame.u16(at + 2);
    if (length > left - kFieldHeader) return std::nullopt;
    if (type_of(static_cast<Tag>(frame.u16(at))) == Known::number && length != 8) return std::nullopt;
    at += kFieldHeader + length;
  }
  return frame;
}

std::optional<std::string_view> Frame::first(Tag tag) const noexcept {
  std::optional<std::string_view> found;
  each([&](Tag at, std::string_view value) noexcept {
    if (at == tag && !found) found = value;
  });
  return found;
}

std::optional<std::uint64_t> Frame::number(Tag tag) const noexcept {
  if (type_of(tag) != Known::number) return std::nullopt;
  const auto value = first(tag);
  if (!value) return std::nullopt;
  return load_u64(value->data());
}

std::optional<std::string_view> Frame::text(Tag tag) const noexcept {
  if (type_of(tag) != Known::text) return std::nullopt;
  return first(tag);
}

}  // namespace jit::wire
