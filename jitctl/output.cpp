#include "jitctl/output.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 1;
  bool valid = false;
};

// The code point at the start of `text`, as valid_utf8 judges it; an invalid one is a byte long.
CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || length > text.size() || !valid_utf8(text.substr(0, length))) return {};
  char32_t value = lead & (0xffU >> (length + 1));
  for (std::size_t at = 1; at < length; ++at) value = (value << 6) | (byte(at) & 0x3fU);
  return {value, length, true};
}

bool safe_in_json(char32_t point, std::string_view bytes) {
  if (point < 0x20 || point == 0x7f || (point >= 0x80 && point < 0xa0)) return false;
  if (point == 0x2028 || point == 0x2029) return false;  // line ends to JavaScript
  return point < 0x80 || !unclean(bytes);
}

bool wide(char32_t point) {
  return (point >= 0x1100 && point <= 0x115f) || (point >= 0x2e80 && point <= 0xa4cf) ||
         (point >= 0xac00 && point <= 0xd7a3) || (point >= 0xf900 && point <= 0xfaff) ||
         (point >= 0xfe30 && point <= 0xfe6f) || (point >= 0xff00 && point <= 0xff60) ||
         (point >= 0xffe0 && point <= 0xffe6) || (point >= 0x1f300 && point <= 0x1faff) ||
         (point >= 0x20000 && point <= 0x3fffd);
}

bool combining(char32_t point) {
  return (point >= 0x300 && point <= 0x36f) || (point >= 0x1ab0 && point <= 0x1aff) ||
         (point >= 0x20d0 && point <= 0x20ff) || (point >= 0xfe00 && point <= 0xfe0f);
}

}  // namespace

std::string json_text(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const auto point = first_code_point(text);
    const auto bytes = text.substr(0, point.length);
    if (!point.valid) {
      json += "\\ufffd";
    } else if (point.value == '"' || point.value == '\\') {
      json += '\\';
      json += bytes;
    } else if (point.value == '\n') {
      json += "\\n";
    } else if (point.value == '\t') {
      json += "\\t";
    } else if (safe_in_json(point.value, bytes)) {
      json += bytes;
    } else if (point.value < 0x10000) {
      json += fmt::format("\\u{:04x}", static_cast<unsigned>(point.value));
    } else {  // a surrogate pair, RFC 8259 section 7
      const auto above = static_cast<unsigned>(point.value) - 0x10000;
      json += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (above >> 10), 0xdc00 + (above & 0x3ff));
    }
    text.remove_prefix(point.length);
  }
  return json + "\"";
}

void JsonObject::key(std::string_view name) {
  if (!body_.empty()) body_ += ',';
  body_ += json_text(name);
  body_ += ':';
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  return raw(name, json_text(value));
}

JsonObject& JsonObject::number(std::string_view name, std::uint64_t value) {
  return raw(name, std::to_string(value));
}

JsonObject& JsonObject::boolean(std::string_view name, bool value) {
  return raw(name, value ? "true" : "false");
}

JsonObject& JsonObject::texts(std::string_view name, const std::vector<std::string>& values) {
  std::vector<std::string> elements;
  elements.reserve(values.size());
  for (const auto& value : values) elements.push_back(json_text(value));
  return raw(name, json_list(elements));
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
  key(name);
  body_ += json;
  return *this;
}

std::string json_list(const std::vector<std::string>& elements) {
  std::string json = "[";
  for (const auto& element : elements) {
    if (json.size() > 1) json += ',';
    json += element;
  }
  return json + "]";
}

std::string to_json(const Row& row) {
  JsonObject object;
  std::vector<wire::Tag> done;
  for (const auto& field : row.fields()) {
    const auto* rule = wire::tag_rule(field.tag);
    if (rule == nullptr || std::find(done.begin(), done.end(), field.tag) != done.end()) continue;
    done.push_back(field.tag);
    if (repeats(field.tag)) {
      object.texts(rule->name, row.all(field.tag));
    } else if (const auto* number = std::get_if<std::uint64_t>(&field.value)) {
      object.number(rule->name, *number);
    } else {
      object.text(rule->name, std::get<std::string>(field.value));
    }
  }
  return object.str();
}

std::string to_json(const std::vector<Row>& rows) {
  std::vector<std::string> elements;
  elements.reserve(rows.size());
  for (const auto& row : rows) elements.push_back(to_json(row));
  return json_list(elements);
}

std::size_t width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const auto point = first_code_point(text);
    if (!point.valid || !combining(point.value)) columns += point.valid && wide(point.value) ? 2U : 1U;
    text.remove_prefix(point.length);
  }
  return columns;
}

void Table::print(std::ostream& out) const {
  auto rows = rows_;
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (auto& row : rows) {
    row.resize(widths.size());
    for (std::size_t column = 0; column < row.size(); ++column) {
      row[column] = row[column].empty() ? "-" : without_blank_runs(shown(row[column]));
      widths[column] = std::max(widths[column], width(row[column]));
    }
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t column = 0; column < row.size(); ++column) {
      line += row[column];
      if (column + 1 < row.size()) line.append(widths[column] - width(row[column]) + 2, ' ');
    }
    out << line << '\n';
  }
}

std::string in_words(Seconds left) {
  const auto total = std::max<Seconds::rep>(left.count(), 0);
  const Seconds::rep units[] = {86400, 3600, 60, 1};
  const char names[] = {'d', 'h', 'm', 's'};
  for (std::size_t unit = 0; unit < 4; ++unit) {
    const auto first = total / units[unit];
    if (first == 0) continue;
    auto text = fmt::format("{}{}", first, names[unit]);
    if (unit + 1 < 4) {
      const auto second = total % units[unit] / units[unit + 1];
      if (second != 0) text += fmt::format(" {}{}", second, names[unit + 1]);
    }
    return text;
  }
  return "0s";
}

std::string time_text(std::uint64_t seconds) {
  if (seconds > 253402300799U) return "never";  // beyond year 9999
  auto text = format_utc(WallTime(Seconds(static_cast<Seconds::rep>(seconds))));
  const auto t = text.find('T');
  if (t != std::string::npos) text[t] = ' ';
  return text;
}

std::uint64_t seconds_of(WallTime time) {
  return static_cast<std::uint64_t>(std::max<Seconds::rep>(time.time_since_epoch().count(), 0));
}

std::string folded(std::string_view text, std::string_view before, std::string_view between, std::size_t columns) {
  constexpr std::size_t least = 16;  // for text; a terminal narrower than that is nobody's
  const auto room = [&](std::size_t taken) { return columns > taken + least ? columns - taken - 1 : least; };
  std::string result(before);
  auto left = room(width(before));
  while (width(text) > left) {
    std::size_t fits = 0;
    std::size_t blank = 0;  // behind the last word that fits
    for (std::size_t used = 0; fits < text.size();) {
      const auto length = first_code_point(text.substr(fits)).length;
      used += width(text.substr(fits, length));
      if (used > left) break;
      if (text[fits] == ' ') blank = fits;
      fits += length;
    }
    const auto at = fits < text.size() && text[fits] == ' ' ? fits : blank > fits / 2 ? blank : fits;
    result += text.substr(0, at);
    result += '\n';
    result += between;
    result += "| ";
    text.remove_prefix(at + (text[at] == ' ' ? 1U : 0U));
    left = room(width(between) + 2);
  }
  result += text;
  return result + '\n';
}

void labelled(std::ostream& out, std::string_view label, std::string_view text, std::size_t columns) {
  out << folded(without_blank_runs(shown(text)), fmt::format("  {:<9}  ", label), "           ", columns);
}

std::string indented(std::string_view text, std::string_view indent, std::size_t columns) {
  std::string result;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    result += folded(shown(text.substr(0, end)), indent, indent, columns);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

}  // namespace jit::ctl
