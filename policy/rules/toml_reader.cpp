#include "policy/rules/toml_reader.hpp"

#include <algorithm>
#include <array>
#include <exception>

#include "policy/document/kinds.hpp"
#include "policy/text.hpp"
#include "policy/toml.hpp"
#include "policy/toml_text.hpp"

namespace jit {
namespace {

std::string where(const Place& place) {
  return place.file + ":" + std::to_string(place.line);
}

// Keys that later releases know. To ignore one would give more than its author meant.
constexpr std::array kLater = {
    "commands", "escalate",   "extends",       "facts",    "from",
    "hooks",    "hosts",      "hours",         "networks", "not",
    "once",     "risk_below", "risk_at_least", "start",    "user_verification",
};

std::string_view type_name(TomlValue::Type type) {
  switch (type) {
    case TomlValue::Type::string:
      return "a string";
    case TomlValue::Type::integer:
      return "a whole number";
    case TomlValue::Type::floating:
      return "a number with a fraction";
    case TomlValue::Type::boolean:
      return "true or false";
    case TomlValue::Type::time:
      return "a date or time";
    case TomlValue::Type::array:
      return "an array";
    case TomlValue::Type::table:
      return "a table";
  }
  return "something else";
}

// A key as TOML would write it: bare where it can be, else quoted and escaped.
std::string key_text(std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return bare ? std::string(key) : "\"" + shown(key, 100) + "\"";
}

bool convert(const toml::node& node, unsigned line, unsigned depth, TomlValue& out) {
  if (depth > kMaxTomlDepth) return false;
  out.line = line;
  if (const auto* table = node.as_table()) {
    out.type = TomlValue::Type::table;
    for (const auto& [key, value] : *table) {
      const unsigned key_line = key.source().begin.line != 0 ? key.source().begin.line : line;
      if (!convert(value, key_line, depth + 1, out.keys[toml_text(key.str())])) return false;
    }
    return true;
  }
  if (const auto* array = node.as_array()) {
    out.type = TomlValue::Type::array;
    for (const auto& item : *array) {
      const unsigned item_line = item.source().begin.line != 0 ? item.source().begin.line : line;
      if (!convert(item, item_line, depth + 1, out.items.emplace_back())) return false;
    }
    return true;
  }
  if (const auto* text = node.as_string()) {
    out.type = TomlValue::Type::string;
    out.text = toml_text(text->get());
  } else if (const auto* number = node.as_integer()) {
    out.type = TomlValue::Type::integer;
    out.number = number->get();
  } else if (const auto* flag = node.as_boolean()) {
    out.type = TomlValue::Type::boolean;
    out.flag = flag->get();
  } else {
    out.type = node.is_floating_point() ? TomlValue::Type::floating : TomlValue::Type::time;
  }
  return true;
}

// The first thing that the parser is not to see.
std::optional<TomlFault> fault_of(std::string_view text) {
  unsigned line = 1;
  for (const std::string_view part : split(text, '\n')) {
    if (part.size() > kMaxTomlLine)
      return TomlFault{line, "the line is longer than " + std::to_string(kMaxTomlLine) + " bytes"};
    ++line;
  }
  return toml_fault(text);
}

}  // namespace

Result<TomlValue> parse_toml(std::string_view text, const std::string& file) {
  if (const auto fault = fault_of(text)) return fail(Errc::invalid, where({file, fault->line}) + ": " + fault->what);
  try {
    const toml::parse_result parsed = toml::parse(toml_ascii(text), file);
    if (!parsed) {
      const toml::parse_error& error = parsed.error();
      return fail(Errc::invalid,
                  where({file, error.source().begin.line}) + ": not valid TOML: " + shown(error.description(), 400));
    }
    TomlValue root;
    if (!convert(parsed.table(), 1, 0, root))
      return fail(Errc::invalid, file + ": tables are nested deeper than " + std::to_string(kMaxTomlDepth));
    return root;
  } catch (const std::exception& e) {  // out of memory, or a fault of the library: never further than here
    return fail(Errc::invalid, file + ": cannot be parsed: " + shown(e.what(), 400));
  }
}

void Problems::add(const Place& place, std::string_view key, std::string_view what) {
  std::string text = where(place) + ": ";
  if (!key.empty()) text += std::string(key) + ": ";
  texts_.push_back(text + std::string(what));
}

Error Problems::error() const {
  if (texts_.empty()) return {Errc::invalid, "", 0};
  std::string text = texts_.front();
  if (texts_.size() > 1) text += " (and " + std::to_string(texts_.size() - 1) + " more)";
  return {Errc::invalid, std::move(text), 0};
}

Place TableReader::place(std::string_view key) const {
  const auto it = table_->keys.find(key);
  return {file_, it == table_->keys.end() ? table_->line : it->second.line};
}

std::string TableReader::path(std::string_view key) const {
  if (key.empty()) return path_;
  return path_.empty() ? key_text(key) : path_ + "." + key_text(key);
}

bool TableReader::is_text(std::string_view key) const {
  const auto it = table_->keys.find(key);
  return it != table_->keys.end() && it->second.type == TomlValue::Type::string;
}

void TableReader::problem(std::string_view key, std::string_view what) {
  problems_->add(place(key), path(key), what);
}

const TomlValue* TableReader::find(std::string_view key, TomlValue::Type type, std::string_view wanted) {
  known_.emplace(key);
  const auto it = table_->keys.find(key);
  if (it == table_->keys.end()) return nullptr;
  if (it->second.type == type) return &it->second;
  problem(key, "must be " + std::string(wanted) + ", not " + std::string(type_name(it->second.type)));
  return nullptr;
}

std::optional<std::string> TableReader::text(std::string_view key) {
  const TomlValue* value = find(key, TomlValue::Type::string, "a string");
  if (value == nullptr) return std::nullopt;
  return value->text;
}

std::string TableReader::line_of_text(std::string_view key) {
  const std::optional<std::string> value = text(key);
  if (!value) return {};
  if (const auto bad = unclean(*value)) {
    problem(key, "has a " + *bad);
  } else if (value->find('\n') != std::string::npos) {
    problem(key, "must be one line");
  } else if (value->size() > kMaxReason) {
    problem(key, "is longer than " + std::to_string(kMaxReason) + " bytes");
  } else {
    return *value;
  }
  return {};
}

std::optional<bool> TableReader::flag(std::string_view key) {
  const TomlValue* value = find(key, TomlValue::Type::boolean, "true or false");
  if (value == nullptr) return std::nullopt;
  return value->flag;
}

std::optional<std::int64_t> TableReader::number(std::string_view key, std::int64_t least, std::int64_t most) {
  const TomlValue* value = find(key, TomlValue::Type::integer, "a whole number");
  if (value == nullptr) return std::nullopt;
  if (value->number < least || value->number > most) {
    problem(key, "must be from " + std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
  }
  return value->number;
}

std::optional<Seconds> TableReader::duration(std::string_view key) {
  const std::optional<std::string> value = text(key);
  if (!value) return std::nullopt;
  const Result<Seconds> parsed = parse_duration(*value);
  if (!accept(key, parsed)) return std::nullopt;
  return *parsed;
}

std::optional<std::vector<std::string>> TableReader::texts(std::string_view key) {
  const TomlValue* value = find(key, TomlValue::Type::array, "an array of strings");
  if (value == nullptr) return std::nullopt;
  std::vector<std::string> result;
  for (const TomlValue& item : value->items) {
    if (item.type != TomlValue::Type::string) {
      problems_->add({file_, item.line}, path(key),
                     "must be an array of strings, but has " + std::string(type_name(item.type)));
    } else if (std::find(result.begin(), result.end(), item.text) != result.end()) {
      problems_->add({file_, item.line}, path(key), "\"" + shown(item.text, 256) + "\" stands in it twice");
    } else {
      result.push_back(item.text);
    }
  }
  return result;
}

std::optional<std::vector<std::string>> TableReader::some_texts(std::string_view key) {
  std::optional<std::vector<std::string>> result = texts(key);
  if (result && result->empty()) problem(key, "must not be empty; name something or remove the key");
  return result;
}

std::optional<TableReader> TableReader::table(std::string_view key) {
  const TomlValue* value = find(key, TomlValue::Type::table, "a table");
  if (value == nullptr) return std::nullopt;
  return TableReader(*value, file_, path(key), *problems_);
}

std::vector<TableReader> TableReader::tables(std::string_view key) {
  const TomlValue* value = find(key, TomlValue::Type::array, "an array of tables");
  std::vector<TableReader> result;
  if (value == nullptr) return result;
  for (std::size_t i = 0; i < value->items.size(); ++i) {
    const std::string item_path = path(key) + "[" + std::to_string(i + 1) + "]";
    if (value->items[i].type == TomlValue::Type::table) {
      result.emplace_back(value->items[i], file_, item_path, *problems_);
    } else {
      problems_->add({file_, value->items[i].line}, item_path,
                     "must be a table, not " + std::string(type_name(value->items[i].type)));
    }
  }
  return result;
}

std::vector<std::pair<std::string, TableReader>> TableReader::named_tables(std::string_view key) {
  std::vector<std::pair<std::string, TableReader>> result;
  std::optional<TableReader> outer = table(key);
  if (!outer) return result;
  for (const std::string& name : outer->keys())
    if (std::optional<TableReader> inner = outer->table(name)) result.emplace_back(name, std::move(*inner));
  return result;
}

std::vector<std::string> TableReader::keys() const {
  std::vector<std::string> result;
  result.reserve(table_->keys.size());
  for (const auto& [key, value] : table_->keys) result.push_back(key);
  return result;
}

void TableReader::finish() {
  for (const auto& [key, value] : table_->keys) {
    if (known_.contains(key)) continue;
    if (std::find(kLater.begin(), kLater.end(), key) != kLater.end()) {
      problem(key, "this release cannot enforce it yet; remove the key");
    } else {
      problem(key, "unknown key; known here: " + joined({known_.begin(), known_.end()}));
    }
  }
}

}  // namespace jit
