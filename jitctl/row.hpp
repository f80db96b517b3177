// The fields of one frame as values: what jitctl sends to jitd and what it gets back, without the wire's buffers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "jitd/wire/codec.hpp"
#include "jitd/wire/protocol.hpp"

namespace jit::ctl {

struct Field {
  wire::Tag tag{};
  std::variant<std::uint64_t, std::string> value;
  bool operator==(const Field&) const = default;
};

// Fields in the order in which they came. A tag may stand more than once.
class Row {
 public:
  Row& number(wire::Tag tag, std::uint64_t value);
  Row& text(wire::Tag tag, std::string_view value);

  // The first field of this tag. text() is empty when there is none.
  [[nodiscard]] std::optional<std::uint64_t> number(wire::Tag tag) const;
  [[nodiscard]] std::string text(wire::Tag tag) const;
  [[nodiscard]] bool has(wire::Tag tag) const;
  // Every text of this tag, in order.
  [[nodiscard]] std::vector<std::string> all(wire::Tag tag) const;
  [[nodiscard]] const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

// The known fields of a frame; unknown tags are skipped (a newer daemon may send them).
[[nodiscard]] Row row_of(const wire::Frame& frame);

// Writes every field of `row` into `writer`.
void put(wire::Writer& writer, const Row& row);

// Tags that may stand more than once in a frame: always a list in `--json`, however many there are.
[[nodiscard]] bool repeats(wire::Tag tag);

}  // namespace jit::ctl
