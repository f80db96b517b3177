// Effects as sudoers lines. Kept apart from the text of effects: this file knows sudo's two grammars and nothing
// else.
#include <fmt/format.h>

#include <algorithm>

#include "policy/digest.hpp"
#include "policy/document/effects.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

// sudo-rs refuses commands longer than this (tokens.rs, Command::MAX_LEN).
constexpr std::size_t kSudoRsLongest = 1000;

// A path: sudo's lexer takes a backslash off before , : = # and blanks; wildcards never come here (parse_command).
std::string escape_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (std::string_view(",:=# ").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// One argument. It is read twice: sudo's lexer takes a backslash off before \ , : = # and blanks and leaves \* \? \[
// \] \^ as they are; then fnmatch(3) reads the rest as a pattern, where a backslash makes the next character literal.
// So a literal backslash is written four times (sudoers(5), "Other special characters"), and a quote, which must not
// come to stand alone as "" (no arguments), has an escaped backslash before it.
std::string escape_argument(std::string_view arg) {
  std::string out;
  for (const char c : arg) {
    if (c == '\\') {
      out += R"(\\\\)";
    } else if (c == '"') {
      out += R"(\\")";
    } else {
      if (std::string_view(",:=# *?[]^").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
  }
  return out;
}

// Whether sudo-rs would read this command as classic sudo does. It has no escapes for patterns, splits at blanks
// after it took escapes away, and reads "" and a leading ^ in its own way; so plain ASCII alone is common ground.
// Behind fixed arguments it takes a * literally (0.2.5), so those with more to come are none.
bool common_ground(const Command& command) {
  const auto plain = [](std::string_view word) {
    return std::all_of(word.begin(), word.end(), [](char c) {
      return c > 0x20 && c < 0x7f && std::string_view("\\\"*?[]^").find(c) == std::string_view::npos;
    });
  };
  const bool open_end = command.any_args && !command.args.empty();
  return !open_end && plain(command.path) && std::all_of(command.args.begin(), command.args.end(), plain) &&
         to_text(command).size() <= kSudoRsLongest;
}

// The command as sudoers has it: exact arguments, "" for none, and for any arguments either the bare path or, behind
// fixed ones, two commands: with these alone and with more behind them (" *" demands a blank, so "stop" never allows
// "stopall").
std::vector<std::string> sudoers_commands(const Command& command) {
  if (command.path == "ALL") return {"ALL"};
  std::string text = escape_path(command.path);
  if (command.args.empty()) return {command.any_args ? text : text + " \"\""};
  for (const std::string& arg : command.args) (text += ' ') += escape_argument(arg);
  if (command.any_args) return {text, text + " *"};
  return {text};
}

// sudo-rs cannot; beside classic sudo it warns of the tags and drops the Defaults line.
bool records(const SudoEffect& effect, SudoDialect dialect) {
  return effect.record != Recording::none && dialect != SudoDialect::sudo_rs;
}

// Everything that may come to stand in a sudoers file was read by parse_command; a value that was put together in
// another way must be one that it could have read.
Result<void> check_command(const Command& command) {
  const auto again = parse_command(to_text(command));
  if (!again) return tl::unexpected(again.error());
  if (*again != command)
    return fail(Errc::invalid, fmt::format("command \"{}\" is ambiguous", shown(command.path, 80)));
  return {};
}

}  // namespace

Result<std::string> to_sudoers(const Effects& effects, std::uint32_t uid, SudoDialect dialect, WallTime not_after,
                               std::string_view grant_id) {
  if (effects.sudo.empty()) return fail(Errc::invalid, "the effects have no sudo line to write");
  if (!usable_id(uid)) return fail(Errc::invalid, fmt::format("uid {} belongs to nobody", uid));
  if (const auto id = parse_id_prefix(grant_id); !id || *id != grant_id) {
    return fail(Errc::invalid, fmt::format("\"{}\" is not a grant's id", shown(grant_id, 40)));
  }
  std::string text = fmt::format("# jit grant {} until {}. Written and removed by jitd; changes are lost.\n",
                                 grant_id, format_utc(not_after));
  const auto recorded = [&](const SudoEffect& effect) { return records(effect, dialect); };
  if (std::any_of(effects.sudo.begin(), effects.sudo.end(), recorded)) {
    // Flushed, since the end of a grant kills what would write it later.
    text +=
        fmt::format("Defaults:#{} iolog_dir={}, iolog_file={}XXXXXX, iolog_flush\n", uid, kRecordingDir, kUnclaimed);
  }
  for (const SudoEffect& effect : effects.sudo) {
    if (auto ok = check_command(effect.command); !ok) return tl::unexpected(ok.error());
    if (!usable_id(effect.uid))
      return fail(Errc::invalid, fmt::format("run-as uid {} belongs to nobody", effect.uid));
    const bool common = common_ground(effect.command);
    if (dialect == SudoDialect::sudo_rs && effect.record == Recording::required) {
      return fail(Errc::refused, fmt::format("sudo-rs cannot record \"{}\": install classic sudo on this host",
                                             shown(to_text(effect.command), 120)));
    }
    if (dialect == SudoDialect::sudo_rs && !common) {
      return fail(Errc::refused,
                  fmt::format("sudo-rs cannot match \"{}\" exactly: install classic sudo on this host or "
                              "change the command",
                              shown(to_text(effect.command), 120)));
    }
    // sudo-rs drops a line with NOTAFTER: that is how a rule that it would not record, or would match otherwise, is
    // kept from it where both sudos are installed.
    const bool must_record = effect.record == Recording::required;
    const bool dated = dialect == SudoDialect::classic || (dialect == SudoDialect::both && (must_record || !common));
    for (const std::string& command : sudoers_commands(effect.command)) {
      text += fmt::format("#{} ALL=(#{}) {}{}NOSETENV: {}{}\n", uid, effect.uid,
                          dated ? fmt::format("NOTAFTER={} ", format_compact_utc(not_after)) : "",
                          effect.nopasswd ? "NOPASSWD: " : "PASSWD: ",
                          records(effect, dialect) ? "LOG_INPUT: LOG_OUTPUT: " : "", command);
    }
  }
  return text;
}

}  // namespace jit
