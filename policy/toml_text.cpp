#include "policy/toml_text.hpp"

#include <algorithm>

#include "policy/text.hpp"

namespace jit {
namespace {

// Walks the text as TOML's lexical rules have it: comments, and the four kinds of strings.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<TomlFault> run() {
    unsigned dots = 0;
    while (position_ < text_.size()) {
      const char c = text_[position_];
      if (c == '#') {
        position_ = std::min(text_.find('\n', position_), text_.size());
      } else if (c == '"' || c == '\'') {
        skip_string(c);
      } else if (static_cast<unsigned char>(c) > 0x7f) {
        return TomlFault{line_, "there is a character beyond ASCII outside quotes"};
      } else {
        if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) dots = 0;
        if (c == '.' && ++dots >= kMaxKeyParts)
          return TomlFault{line_, "a key has more than " + std::to_string(kMaxKeyParts) + " parts"};
        step();
      }
    }
    return std::nullopt;
  }

 private:
  void step() {
    if (position_ < text_.size() && text_[position_] == '\n') ++line_;
    ++position_;
  }
  [[nodiscard]] bool three(char quote) const { return text_.substr(position_, 3) == std::string(3, quote); }

  // From an opening quote to behind the closing one. A string of one line that is not closed ends with the line: the
  // parser refuses it there.
  void skip_string(char quote) {
    const bool lines = three(quote);
    position_ += lines ? 3 : 1;
    while (position_ < text_.size()) {
      if (quote == '"' && text_[position_] == '\\') {
        step();
      } else if (lines && three(quote)) {
        position_ += 3;
        // Up to two quotes may stand right before the closing three.
        for (int i = 0; i < 2 && position_ < text_.size() && text_[position_] == quote; ++i) ++position_;
        return;
      } else if (!lines && (text_[position_] == quote || text_[position_] == '\n')) {
        if (text_[position_] == quote) ++position_;
        return;
      }
      step();
    }
  }

  std::string_view text_;
  std::size_t position_ = 0;
  unsigned line_ = 1;
};

}  // namespace

std::optional<TomlFault> toml_fault(std::string_view text) {
  unsigned line = 1;
  for (const std::string_view part : split(text, '\n')) {
    if (!valid_utf8(part)) return TomlFault{line, "the line is not UTF-8"};
    ++line;
  }
  return Scanner(text).run();
}

}  // namespace jit
