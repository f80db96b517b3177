// Any bytes as `effects` and as a command. What parses is canonical and reads back; what is rendered as sudoers has
// the fixed prefix on each line, leaves no metacharacter bare and never has a backslash that could join lines.
#include <cstdlib>
#include <string>
#include <string_view>

#include "policy/document/effects.hpp"
#include "policy/text.hpp"

namespace {

void demand(bool good) {
  if (!good) std::abort();
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

void check_command_text(std::string_view text) {
  if (text == "ALL") return;
  demand(!text.empty() && text.front() == '/');
  // The two signs that are meant: any arguments, no arguments.
  if (ends_with(text, " *")) {
    text.remove_suffix(2);
  } else if (ends_with(text, " \"\"")) {
    text.remove_suffix(3);
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    demand(static_cast<unsigned char>(text[i]) >= 0x20 && text[i] != 0x7f);
    if (text[i] == '\\') {
      demand(i + 1 < text.size());
      ++i;
      demand(i + 1 < text.size() || text[i] != ' ');
    } else {
      demand(std::string_view(",:=#*?[]^").find(text[i]) == std::string_view::npos);
    }
  }
}

void check_sudoers(const jit::Effects& effects, jit::SudoDialect dialect) {
  const auto text =
      jit::to_sudoers(effects, 1001, dialect, jit::WallTime(jit::Seconds(1795334400)), "q9w1dfwf077ymga1");
  if (!text) {
    demand(effects.sudo.empty() || dialect == jit::SudoDialect::sudo_rs);
    return;
  }
  demand(text->back() == '\n');
  constexpr std::string_view kRecorded =
      "Defaults:#1001 iolog_dir=/var/log/jit-io, iolog_file=unclaimed-XXXXXX, iolog_flush";
  bool header = true;
  for (std::string_view line : jit::split(std::string_view(*text).substr(0, text->size() - 1), '\n')) {
    if (header) {
      demand(line.substr(0, 12) == "# jit grant ");
      header = false;
      continue;
    }
    if (line == kRecorded) continue;
    const std::size_t tags = line.find(" NOSETENV: ");
    demand(line.substr(0, 12) == "#1001 ALL=(#" && tags != std::string_view::npos);
    line.remove_prefix(tags + 11);
    constexpr std::string_view kLog = "LOG_INPUT: LOG_OUTPUT: ";
    if (line.substr(0, kLog.size()) == kLog) line.remove_prefix(kLog.size());
    check_command_text(line);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto command = jit::parse_command(text)) {
    const auto again = jit::parse_command(jit::to_text(*command));
    demand(again.has_value() && *again == *command);
    jit::Effects one;
    one.sudo = {{"root", 0, *command, false, jit::Recording::none}};
    const auto read = jit::parse_effects(jit::to_text(one));
    demand(read.has_value() && *read == one);
    for (const auto dialect : {jit::SudoDialect::classic, jit::SudoDialect::sudo_rs, jit::SudoDialect::both}) {
      check_sudoers(one, dialect);
    }
  }
  if (const auto effects = jit::parse_effects(text)) {
    demand(jit::to_text(*effects) == text);
    const auto again = jit::parse_effects(jit::to_text(*effects));
    demand(again.has_value() && *again == *effects);
    for (const auto dialect : {jit::SudoDialect::classic, jit::SudoDialect::sudo_rs, jit::SudoDialect::both}) {
      check_sudoers(*effects, dialect);
    }
  }
  return 0;
}
