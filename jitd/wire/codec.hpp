// Frames to bytes and back, in the caller's own buffer. The second of the two parsers that bytes from strangers
// reach.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "jitd/wire/protocol.hpp"

namespace jit::wire {

// Builds one frame. A field that does not fit sets overflow() and is left out whole; finish() is then empty: a
// truncated frame is never sent.
class Writer {
 public:
  Writer(std::span<std::byte> buffer, Verb verb, std::uint32_t id) noexcept;
  Writer& number(Tag tag, std::uint64_t value) noexcept;
  Writer& text(Tag tag, std::string_view value) noexcept;  // also bytes
  [[nodiscard]] bool overflow() const noexcept { return overflow_; }
  [[nodiscard]] std::span<const std::byte> finish() noexcept;  // writes the length; empty after an overflow

 private:
  Writer& field(Tag tag, const void* value, std::size_t size) noexcept;

  std::span<std::byte> buffer_;
  std::size_t used_ = 0;
  bool overflow_ = false;
};

// One frame, read in place. parse() accepts only a whole, well-formed frame: magic, version, length equal to what
// came, every field within it, known tags of their type (number: 8 bytes). Views point into the caller's buffer.
class Frame {
 public:
  [[nodiscard]] static std::optional<Frame> parse(std::span<const std::byte> bytes) noexcept;
  [[nodiscard]] Verb verb() const noexcept { return verb_; }
  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }

  // The first field of this tag; nullopt when there is none, or when the tag is of the other type.
  [[nodiscard]] std::optional<std::uint64_t> number(Tag tag) const noexcept;
  [[nodiscard]] std::optional<std::string_view> text(Tag tag) const noexcept;

  // Every field in order, unknown tags too: visit(tag, value bytes).
  template <class Visit>
  void each(Visit&& visit) const {
    for (std::size_t at = 0; at < fields_.size();) {
      const auto tag = static_cast<Tag>(u16(at));
      const std::size_t length = u16(at + 2);
      visit(tag, std::string_view(reinterpret_cast<const char*>(fields_.data()) + at + 4, length));
      at += 4 + length;
    }
  }

 private:
  Frame() = default;
  [[nodiscard]] std::uint16_t u16(std::size_t at) const noexcept;
  [[nodiscard]] std::optional<std::string_view> first(Tag tag) const noexcept;

  std::span<const std::byte> fields_;
  Verb verb_{};
  std::uint32_t id_ = 0;
};

// The rule of a tag, or nullptr when it is unknown.
[[nodiscard]] const TagRule* tag_rule(Tag tag) noexcept;
[[nodiscard]] const VerbRule* control_verb(Verb verb) noexcept;

// Little-endian numbers in place, at any alignment.
[[nodiscard]] std::uint16_t load_u16(const void* at) noexcept;
[[nodiscard]] std::uint32_t load_u32(const void* at) noexcept;
[[nodiscard]] std::uint64_t load_u64(const void* at) noexcept;
void store_u16(void* at, std::uint16_t value) noexcept;
void store_u32(void* at, std::uint32_t value) noexcept;
void store_u64(void* at, std::uint64_t value) noexcept;

// CRC-32C (Castagnoli, RFC 3720 appendix B.4): reflected polynomial 0x82f63b78, start and final value inverted.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept;

// Copies `text` into a NUL-terminated array, cut where it no longer fits, never inside a UTF-8 sequence.
void copy_text(std::span<char> into, std::string_view text) noexcept;

}  // namespace jit::wire
