// Strict reading of our TOML configuration: every key known and of its type, and errors that name file, line and full
// key. toml++ does the parsing, in toml_reader.cpp alone; its exceptions stop there.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"
#include "policy/rules/policy.hpp"
#include "policy/time.hpp"

namespace jit {

// A TOML value with the line that it stands on (for a key: the line of its key).
struct TomlValue {
  enum class Type : std::uint8_t { string, integer, floating, boolean, time, array, table } type = Type::table;
  std::string text;
  std::int64_t number = 0;
  bool flag = false;
  std::vector<TomlValue> items;
  std::map<std::string, TomlValue, std::less<>> keys;
  unsigned line = 0;
};

inline constexpr std::size_t kMaxTomlLine = 8192;  // bytes; bounds how deep a dotted key nests in the parser
inline constexpr unsigned kMaxTomlDepth = 16;      // tables in tables that we look into; more is an error

// The whole text as one table. Errors: not UTF-8, a line over kMaxTomlLine, nested deeper than kMaxTomlDepth, and
// what toml++ says, as "FILE:LINE: ...".
[[nodiscard]] Result<TomlValue> parse_toml(std::string_view text, const std::string& file);

// What is wrong with a set of files, gathered so that a person sees all of it at once.
class Problems {
 public:
  // "FILE:LINE: KEY: WHAT"; `key` may be empty.
  void add(const Place& place, std::string_view key, std::string_view what);
  void add_whole(std::string text) { texts_.push_back(std::move(text)); }  // one that names its place already
  [[nodiscard]] bool none() const { return texts_.empty(); }
  [[nodiscard]] const std::vector<std::string>& texts() const { return texts_; }
  // The first problem, and how many more there are.
  [[nodiscard]] Error error() const;

 private:
  std::vector<std::string> texts_;
};

// One table being read. Each getter marks its key as known; a value of the wrong type is a problem and reads as
// absent. `finish` names every key that nobody asked for.
class TableReader {
 public:
  TableReader(const TomlValue& table, std::string file, std::string path, Problems& problems)
      : table_(&table), file_(std::move(file)), path_(std::move(path)), problems_(&problems) {}

  [[nodiscard]] std::optional<std::string> text(std::string_view key);
  // One line for people: no control, bidi or zero-width characters, at most 1024 bytes.
  [[nodiscard]] std::string line_of_text(std::string_view key);
  [[nodiscard]] std::optional<bool> flag(std::string_view key);
  [[nodiscard]] std::optional<std::int64_t> number(std::string_view key, std::int64_t least, std::int64_t most);
  [[nodiscard]] std::optional<Seconds> duration(std::string_view key);
  // An array of strings, each once. nullopt: the key is absent.
  [[nodiscard]] std::optional<std::vector<std::string>> texts(std::string_view key);
  // The same, which must not be empty when it is there.
  [[nodiscard]] std::optional<std::vector<std::string>> some_texts(std::string_view key);
  [[nodiscard]] std::optional<TableReader> table(std::string_view key);
  // An array of tables. Paths count from 1: rules[1] is the first.
  [[nodiscard]] std::vector<TableReader> tables(std::string_view key);
  // A table of tables whose keys are names: [people.NAME].
  [[nodiscard]] std::vector<std::pair<std::string, TableReader>> named_tables(std::string_view key);
  // Every key of this table, for tables whose keys are names.
  [[nodiscard]] std::vector<std::string> keys() const;

  // For a key that may be a text or something else.
  [[nodiscard]] bool is_text(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view key) const { return table_->keys.contains(key); }
  // A problem with `key`, at its line (the table's own line when the key is absent).
  void problem(std::string_view key, std::string_view what);
  // Notes the error of `result` at `key`; true when there was none.
  template <class T>
  bool accept(std::string_view key, const Result<T>& result) {
    if (!result) problem(key, result.error().message);
    return result.has_value();
  }
  void finish();

  [[nodiscard]] Place place() const { return {file_, table_->line}; }
  [[nodiscard]] Place place(std::string_view key) const;
  [[nodiscard]] std::string path(std::string_view key) const;

 private:
  [[nodiscard]] const TomlValue* find(std::string_view key, TomlValue::Type type, std::string_view wanted);

  const TomlValue* table_;
  std::string file_, path_;
  Problems* problems_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace jit
