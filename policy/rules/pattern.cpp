#include "policy/rules/pattern.hpp"

#include <optional>
#include <string>
#include <utility>

#include "policy/text.hpp"

namespace jit {
namespace {

using Bytes = std::bitset<256>;

constexpr unsigned kMaxGroups = 16;  // nested

Bytes range(unsigned char first, unsigned char last) {
  Bytes result;
  for (unsigned c = first; c <= last; ++c) result.set(c);
  return result;
}

Bytes one(char c) {
  Bytes result;
  result.set(static_cast<unsigned char>(c));
  return result;
}

// \d \w \s and their opposites.
std::optional<Bytes> shorthand(char letter) {
  const Bytes digit = range('0', '9');
  const Bytes word = digit | range('a', 'z') | range('A', 'Z') | one('_');
  const Bytes space = range('\t', '\r') | one(' ');
  switch (letter) {
    case 'd':
      return digit;
    case 'D':
      return ~digit;
    case 'w':
      return word;
    case 'W':
      return ~word;
    case 's':
      return space;
    case 'S':
      return ~space;
    default:
      return std::nullopt;
  }
}

bool punctuation(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u > 0x20 && u < 0x7f && !(u >= '0' && u <= '9') && !(u >= 'a' && u <= 'z') && !(u >= 'A' && u <= 'Z');
}

struct Node {
  enum class Kind : std::uint8_t { bytes, sequence, choice, repeat } kind = Kind::sequence;
  Bytes bytes;
  std::vector<Node> parts;
  unsigned least = 1;
  std::optional<unsigned> most;  // of a repeat; nullopt: any number
};

}  // namespace

// Recursive descent to a tree, then the tree written out as states. Depth is bounded by kMaxGroups.
class PatternParser {
 public:
  explicit PatternParser(std::string_view text) : text_(text) {}

  Result<Pattern> parse() {
    if (text_.empty()) return error("is empty");
    if (text_.size() > kMaxPattern) return error("is longer than " + std::to_string(kMaxPattern) + " bytes");
    if (const auto bad = unclean(text_)) return error("has a " + *bad);
    if (at('^')) ++position_;
    Node root = choice(0);
    if (problem_.empty() && at('$') && position_ + 1 == text_.size()) ++position_;
    if (problem_.empty() && position_ != text_.size())
      problem("has an unexpected \"" + std::string(1, text_[position_]) + "\"");
    if (!problem_.empty()) return error(problem_);
    Pattern pattern;
    emit(root, pattern.states_);
    if (pattern.states_.size() >= kMaxPatternStates) return error("repeats too much");
    pattern.states_.emplace_back();
    return pattern;
  }

 private:
  tl::unexpected<Error> error(const std::string& what) const {
    return fail(Errc::invalid, "the pattern \"" + shown(text_, 200) + "\" " + what);
  }
  void problem(std::string what) {
    if (problem_.empty()) problem_ = std::move(what);
  }
  [[nodiscard]] bool at(char c) const { return position_ < text_.size() && text_[position_] == c; }
  [[nodiscard]] bool done() const { return !problem_.empty() || position_ >= text_.size(); }
  [[nodiscard]] bool at_final_dollar() const { return at('$') && position_ + 1 == text_.size(); }

  Node choice(unsigned depth) {
    Node result{Node::Kind::choice, {}, {}, 1, {}};
    result.parts.push_back(sequence(depth));
    while (!done() && at('|')) {
      ++position_;
      result.parts.push_back(sequence(depth));
    }
    return result;
  }

  Node sequence(unsigned depth) {
    Node result;
    while (!done() && !at('|') && !at(')') && !at_final_dollar()) result.parts.push_back(repeated(depth));
    return result;
  }

  Node repeated(unsigned depth) {
    Node part = single(depth);
    if (done()) return part;
    unsigned least = 0;
    std::optional<unsigned> most;
    if (at('*')) {
    } else if (at('+')) {
      least = 1;
    } else if (at('?')) {
      most = 1;
    } else if (at('{')) {
      return counted(std::move(part));
    } else {
      return part;
    }
    ++position_;
    return repeat(std::move(part), least, most);
  }

  Node counted(Node part) {
    const std::size_t end = text_.find('}', position_);
    if (end == std::string_view::npos) {
      problem("has a { without }");
      return part;
    }
    const std::string_view inside = text_.substr(position_ + 1, end - position_ - 1);
    position_ = end + 1;
    const std::size_t comma = inside.find(',');
    const auto least = parse_number(inside.substr(0, comma), kMaxTicket);
    std::optional<unsigned> most;
    bool good = least.has_value();
    if (good && comma == std::string_view::npos) {
      most = static_cast<unsigned>(*least);
    } else if (good && comma + 1 < inside.size()) {
      const auto number = parse_number(inside.substr(comma + 1), kMaxTicket);
      good = number && *number >= *least;
      if (good) most = static_cast<unsigned>(*number);
    }
    if (!good) {
      problem("has a {" + std::string(inside) + "} that is not {n}, {n,} or {n,m} with numbers up to " +
              std::to_string(kMaxTicket));
      return part;
    }
    return repeat(std::move(part), static_cast<unsigned>(*least), most);
  }

  Node repeat(Node part, unsigned least, std::optional<unsigned> most) {
    if (at('*') || at('+') || at('?') || at('{')) problem("has a quantifier behind a quantifier");
    Node result{Node::Kind::repeat, {}, {}, least, most};
    result.parts.push_back(std::move(part));
    return result;
  }

  Node single(unsigned depth) {
    const char c = text_[position_++];
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        return leaf(bracket());
      case '.':
        return leaf(~Bytes());
      case '\\':
        return leaf(escape());
      case '^':
      case '$':
        problem("has ^ or $ in the middle; put a backslash before it");
        break;
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        problem(std::string("has \"") + c + "\" with nothing before it; put a backslash before it");
        break;
      default:
        break;
    }
    return leaf(one(c));
  }

  static Node leaf(const Bytes& bytes) { return {Node::Kind::bytes, bytes, {}, 1, {}}; }

  Node group(unsigned depth) {
    if (depth >= kMaxGroups) {
      problem("nests groups deeper than " + std::to_string(kMaxGroups));
      return {};
    }
    if (at('?')) {
      if (text_.substr(position_, 2) != "?:") {
        problem("has a (? that is not (?:");
        return {};
      }
      position_ += 2;
    }
    Node inner = choice(depth + 1);
    if (!at(')')) {
      problem("has a ( without )");
    } else {
      ++position_;
    }
    return inner;
  }

  Bytes escape() {
    if (position_ >= text_.size()) {
      problem("ends with a backslash");
      return {};
    }
    const char c = text_[position_++];
    if (const auto bytes = shorthand(c)) return *bytes;
    if (!punctuation(c)) problem(std::string("has \\") + c + ", which is not supported");
    return one(c);
  }

  // Behind '[': one or more bytes, ranges and shorthands up to ']'.
  Bytes bracket() {
    Bytes result;
    const bool inverted = at('^');
    if (inverted) ++position_;
    bool any = false;
    while (!done() && !at(']')) {
      any = true;
      bool plain = false;
      const Bytes first = member(plain);
      if (plain && at('-') && position_ + 1 < text_.size() && text_[position_ + 1] != ']') {
        const char from = last_;
        ++position_;
        bool plain_end = false;
        static_cast<void>(member(plain_end));
        if (!plain_end || static_cast<unsigned char>(last_) < static_cast<unsigned char>(from)) {
          problem("has a range that runs backwards");
        } else {
          result |= range(static_cast<unsigned char>(from), static_cast<unsigned char>(last_));
        }
      } else {
        result |= first;
      }
    }
    if (!at(']')) {
      problem("has a [ without ]");
    } else {
      ++position_;
    }
    if (!any) problem("has an empty []");
    return inverted ? ~result : result;
  }

  // One member of a class; `plain` when it is a single byte, which stands in last_.
  Bytes member(bool& plain) {
    char c = text_[position_++];
    plain = true;
    if (c == '\\') {
      if (position_ < text_.size() && shorthand(text_[position_])) {
        plain = false;
        return *shorthand(text_[position_++]);
      }
      static_cast<void>(escape());
      c = text_[position_ - 1];
    } else if (c == '[') {
      problem("has [ inside []; put a backslash before it");
    }
    if (static_cast<unsigned char>(c) > 0x7f) problem("has a character beyond ASCII inside []");
    last_ = c;
    return one(c);
  }

  using States = std::vector<Pattern::State>;
  static std::uint32_t count(const States& states) { return static_cast<std::uint32_t>(states.size()); }

  // Appends `node`'s states; they go on to the state appended next. Stops growing at kMaxPatternStates.
  void emit(const Node& node, States& states) const {
    if (states.size() >= kMaxPatternStates) return;
    switch (node.kind) {
      case Node::Kind::bytes:
        states.push_back({false, node.bytes, count(states) + 1, 0});
        return;
      case Node::Kind::sequence:
        for (const Node& part : node.parts) emit(part, states);
        return;
      case Node::Kind::choice:
        emit_choice(node, states);
        return;
      case Node::Kind::repeat:
        emit_repeat(node, states);
        return;
    }
  }

  void emit_choice(const Node& node, States& states) const {
    std::vector<std::uint32_t> jumps;  // behind each part but the last, to the end
    for (std::size_t i = 0; i < node.parts.size(); ++i) {
      const bool last = i + 1 == node.parts.size();
      const std::uint32_t fork = count(states);
      if (!last) states.push_back({true, {}, fork + 1, 0});
      emit(node.parts[i], states);
      if (last) break;
      jumps.push_back(count(states));
      states.push_back({true, {}, 0, 0});
      states[fork].other = count(states);
    }
    for (const std::uint32_t jump : jumps) states[jump].next = states[jump].other = count(states);
  }

  void emit_repeat(const Node& node, States& states) const {
    const Node& part = node.parts.front();
    for (unsigned i = 0; i < node.least && states.size() < kMaxPatternStates; ++i) {
      const std::size_t before = states.size();
      emit(part, states);
      if (states.size() == before) return;  // nothing, repeated, is nothing
    }
    if (!node.most) {
      const std::uint32_t fork = count(states);
      states.push_back({true, {}, fork + 1, 0});
      emit(part, states);
      states.push_back({true, {}, fork, fork});
      states[fork].other = count(states);
      return;
    }
    std::vector<std::uint32_t> forks;
    for (unsigned i = node.least; i < *node.most && states.size() < kMaxPatternStates; ++i) {
      forks.push_back(count(states));
      states.push_back({true, {}, count(states) + 1, 0});
      emit(part, states);
    }
    for (const std::uint32_t fork : forks) states[fork].other = count(states);
  }

  std::string_view text_;
  std::size_t position_ = 0;
  std::string problem_;
  char last_ = 0;
};

Result<Pattern> Pattern::parse(std::string_view pattern) {
  return PatternParser(pattern).parse();
}

bool Pattern::matches(std::string_view text) const {
  if (states_.empty() || text.size() > kMaxTicket) return false;
  const std::size_t accept = states_.size() - 1;
  std::vector<std::uint32_t> todo{0};
  for (std::size_t position = 0;; ++position) {
    // Everything reachable without a byte, each state once.
    std::vector<bool> seen(states_.size(), false);
    std::vector<std::uint32_t> takers;
    while (!todo.empty()) {
      const std::uint32_t index = todo.back();
      todo.pop_back();
      if (seen[index]) continue;
      seen[index] = true;
      if (index == accept) continue;
      if (states_[index].fork) {
        todo.push_back(states_[index].next);
        todo.push_back(states_[index].other);
      } else {
        takers.push_back(index);
      }
    }
    if (position == text.size()) return seen[accept];
    const auto byte = static_cast<unsigned char>(text[position]);
    for (const std::uint32_t index : takers)
      if (states_[index].bytes.test(byte)) todo.push_back(states_[index].next);
    if (todo.empty()) return false;
  }
}

}  // namespace jit
