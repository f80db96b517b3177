// What jitctl prints: tables and sentences for people, JSON for programs. Every text from outside passes through here
// or through shown() (P10).
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "jitctl/row.hpp"
#include "policy/time.hpp"

namespace jit::ctl {

// A JSON string with its quotes (RFC 8259). Control, bidi and zero-width characters are \u escapes, so that the
// output is safe on a terminal too; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_text(std::string_view text);

// A JSON object, built field by field in order.
class JsonObject {
 public:
  JsonObject& text(std::string_view key, std::string_view value);
  JsonObject& number(std::string_view key, std::uint64_t value);
  JsonObject& boolean(std::string_view key, bool value);
  JsonObject& texts(std::string_view key, const std::vector<std::string>& values);
  JsonObject& raw(std::string_view key, std::string_view json);  // already JSON
  [[nodiscard]] std::string str() const { return "{" + body_ + "}"; }

 private:
  void key(std::string_view name);
  std::string body_;
};

// The names of wire::kTags as keys. Numbers stay numbers (times: seconds since 1970; durations: seconds); a tag that
// may repeat is a list.
[[nodiscard]] std::string to_json(const Row& row);
[[nodiscard]] std::string to_json(const std::vector<Row>& rows);
[[nodiscard]] std::string json_list(const std::vector<std::string>& elements);  // elements are JSON

// Columns with a heading, two blanks between, the last one not padded. Cells are shown() first and lose their
// runs of blanks, so a cell is one line and looks like one cell.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) { rows_.push_back(std::move(heading)); }
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] bool empty() const { return rows_.size() == 1; }
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Columns that a text takes on a terminal: code points, wide ones of East Asian scripts and emoji as two.
[[nodiscard]] std::size_t width(std::string_view text);

// "42m", "1h 5m", "3d 2h", "50s": at most two units, never rounded up, "0s" for nothing.
[[nodiscard]] std::string in_words(Seconds left);

// A wall time for people: "2026-11-22 10:42:00Z".
[[nodiscard]] std::string time_text(std::uint64_t seconds);

// Seconds since 1970, as time_text() and JSON have them.
[[nodiscard]] std::uint64_t seconds_of(WallTime time);

// What a line may take where nothing is known of the terminal.
inline constexpr std::size_t kColumns = 80;

// `text`, one line and shown() already, in lines of fewer than `columns`, the first behind `before`, the others
// behind `between` and "| ": a terminal that broke the line itself would let whoever wrote the text put at the start
// of a line what they like. Ends with a line end.
[[nodiscard]] std::string folded(std::string_view text, std::string_view before, std::string_view between,
                                 std::size_t columns = kColumns);

// "  who        alice": a labelled value on the label's line and, when it is long, on marked ones; shown(), and
// without runs of blanks.
void labelled(std::ostream& out, std::string_view label, std::string_view text, std::size_t columns = kColumns);

// Each line of `text` shown() and folded(), with `indent` before it.
[[nodiscard]] std::string indented(std::string_view text, std::string_view indent, std::size_t columns = kColumns);

}  // namespace jit::ctl
