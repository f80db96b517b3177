#include "jitctl/row.hpp"

#include <algorithm>

namespace jit::ctl {

Row& Row::number(wire::Tag tag, std::uint64_t value) {
  fields_.push_back({tag, value});
  return *this;
}

Row& Row::text(wire::Tag tag, std::string_view value) {
  fields_.push_back({tag, std::string(value)});
  return *this;
}

std::optional<std::uint64_t> Row::number(wire::Tag tag) const {
  for (const auto& field : fields_) {
    if (field.tag != tag) continue;
    if (const auto* value = std::get_if<std::uint64_t>(&field.value)) return *value;
  }
  return std::nullopt;
}

std::string Row::text(wire::Tag tag) const {
  for (const auto& field : fields_) {
    if (field.tag != tag) continue;
    if (const auto* value = std::get_if<std::string>(&field.value)) return *value;
  }
  return {};
}

bool Row::has(wire::Tag tag) const {
  return std::any_of(fields_.begin(), fields_.end(), [&](const Field& field) { return field.tag == tag; });
}

std::vector<std::string> Row::all(wire::Tag tag) const {
  std::vector<std::string> values;
  for (const auto& field : fields_) {
    if (field.tag != tag) continue;
    if (const auto* value = std::get_if<std::string>(&field.value)) values.push_back(*value);
  }
  return values;
}

Row row_of(const wire::Frame& frame) {
  Row row;
  frame.each([&](wire::Tag tag, std::string_view value) {
    const auto* rule = wire::tag_rule(tag);
    if (rule == nullptr) return;
    if (rule->type != wire::FieldType::number) {
      row.text(tag, value);
    } else if (value.size() == sizeof(std::uint64_t)) {
      row.number(tag, wire::load_u64(value.data()));
    }
  });
  return row;
}

void put(wire::Writer& writer, const Row& row) {
  for (const auto& field : row.fields()) {
    if (const auto* number = std::get_if<std::uint64_t>(&field.value)) {
      writer.number(field.tag, *number);
    } else {
      writer.text(field.tag, std::get<std::string>(field.value));
    }
  }
}

bool repeats(wire::Tag tag) {
  using wire::Tag;
  switch (tag) {
    case Tag::requester:
    case Tag::waiting_for:
    case Tag::signer:
    case Tag::group:
    case Tag::opens:
    case Tag::command:
    case Tag::warning:
    case Tag::detail:
    case Tag::segment:
      return true;
    default:
      return false;
  }
}

}  // namespace jit::ctl
