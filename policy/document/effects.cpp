#include "policy/document/effects.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kAnyArgs = "...";
constexpr std::string_view kLiteralAnyArgs = "\\x2e..";

// What no sudoers line and no reader of a document can carry: control, bidi and zero-width characters, broken UTF-8.
Result<void> check_word(std::string_view word) {
  if (word.empty()) return fail(Errc::invalid, "an empty word: words are separated by one blank");
  auto bad = unclean(word);
  if (!bad && word.find('\n') != std::string_view::npos) bad = "a line break";
  // Behind an escaped blank at its end, sudo would take the line to go on with the next.
  if (!bad && (word.front() == ' ' || word.back() == ' ')) bad = "a blank at the start or end";
  if (bad) return fail(Errc::invalid, fmt::format("{} in \"{}\": sudoers cannot carry it", *bad, shown(word, 80)));
  return {};
}

// An absolute path in its plain form. Wildcards are refused rather than escaped: whoever writes one means a pattern,
// and `sudoedit` and a final '/' mean something else to sudo than a program (sudoers(5), "Cmnd").
Result<void> check_path(std::string_view path) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::invalid, fmt::format("command \"{}\" {}", shown(path, 120), why));
  };
  if (path.front() != '/') return wrong("is not an absolute path");
  if (path.size() > 1023) return wrong("is longer than a path can be");
  if (path.back() == '/') return wrong("ends with '/', which would mean every program in a folder");
  if (path.find_first_of("*?[]") != std::string_view::npos)
    return wrong("has a wildcard: name each command by its path");
  if (path.find_first_of("\\\"^") != std::string_view::npos)
    return wrong("has a '\\', '\"' or '^', which sudoers would misread");
  for (const std::string_view part : split(path.substr(1), '/')) {
    if (part.empty() || part == "." || part == "..")
      return wrong("has an empty, '.' or '..' part: write the plain path");
    if (part == "sudoedit")
      return wrong("is sudoedit, which edits files as another user: allow an exact command instead");
  }
  return {};
}

// Takes `word` and the blank behind it off the front of `rest`.
bool take(std::string_view& rest, std::string_view word) {
  if (rest.substr(0, word.size()) != word) return false;
  rest.remove_prefix(word.size());
  return true;
}

// The text before the first `separator`, taken off `rest` together with the separator.
Result<std::string_view> take_until(std::string_view& rest, std::string_view separator) {
  const std::size_t at = rest.find(separator);
  if (at == std::string_view::npos) return fail(Errc::invalid, "the line is cut short");
  const std::string_view found = rest.substr(0, at);
  rest.remove_prefix(at + separator.size());
  return found;
}

Result<std::uint32_t> parse_account_id(std::string_view text) {
  const auto id = parse_number(text, UINT32_MAX);
  if (!id) return tl::unexpected(id.error());
  if (!usable_id(static_cast<std::uint32_t>(*id)))
    return fail(Errc::invalid, fmt::format("id {} belongs to nobody", *id));
  return static_cast<std::uint32_t>(*id);
}

Result<GroupEffect> parse_group(std::string_view rest) {
  GroupEffect effect;
  const auto name = take_until(rest, " gid ").and_then([](std::string_view word) { return unescape_word(word); });
  if (!name) return tl::unexpected(name.error());
  if (auto ok = check_group_name(*name); !ok) return tl::unexpected(ok.error());
  const auto gid = parse_account_id(rest);
  if (!gid) return tl::unexpected(gid.error());
  return GroupEffect{*name, *gid};
}

// "nopasswd record]": each at most once and in this order.
bool parse_flags(std::string_view flags, SudoEffect& effect) {
  if (!flags.ends_with(']')) return false;
  const std::vector<std::string_view> words = split(flags.substr(0, flags.size() - 1), ' ');
  std::size_t at = 0;
  const auto next = [&](std::string_view word) { return at < words.size() && words[at] == word && ++at > 0; };
  effect.nopasswd = next("nopasswd");
  if (next("record"))
    effect.record = Recording::required;
  else if (next("record-best-effort"))
    effect.record = Recording::best_effort;
  return at == words.size();
}

Result<SudoEffect> parse_sudo(std::string_view rest) {
  SudoEffect effect;
  const auto as = take_until(rest, " uid ").and_then([](std::string_view word) { return unescape_word(word); });
  if (!as) return tl::unexpected(as.error());
  if (auto ok = check_user_name(*as); !ok) return tl::unexpected(ok.error());
  effect.as = *as;
  const auto uid = take_until(rest, ": ").and_then(parse_account_id);
  if (!uid) return tl::unexpected(uid.error());
  effect.uid = *uid;
  // Inside words '[' is escaped, so an unescaped " [" can only start the flags.
  if (const std::size_t at = rest.find(" ["); at != std::string_view::npos) {
    const std::string_view flags = rest.substr(at + 2);
    if (!parse_flags(flags, effect)) {
      return fail(Errc::invalid, fmt::format("unknown flags \"[{}\"", shown(flags, 80)));
    }
    rest = rest.substr(0, at);
  }
  auto command = parse_command(rest);
  if (!command) return tl::unexpected(command.error());
  effect.command = std::move(*command);
  return effect;
}

Result<void> parse_line(std::string_view line, Effects& effects) {
  std::string_view rest = line;
  if (take(rest, "group ")) {
    auto group = parse_group(rest);
    if (!group) return tl::unexpected(group.error());
    effects.groups.push_back(std::move(*group));
  } else if (take(rest, "opens ")) {
    if (auto ok = check_policy_name(rest, "gate"); !ok) return ok;
    effects.opens.emplace_back(rest);
  } else if (take(rest, "sudo as ")) {
    auto sudo = parse_sudo(rest);
    if (!sudo) return tl::unexpected(sudo.error());
    effects.sudo.push_back(std::move(*sudo));
  } else {
    return fail(Errc::invalid, "the line is none of group, opens and sudo");
  }
  return {};
}

std::string sudo_line(const SudoEffect& effect) {
  std::string line =
      fmt::format("sudo as {} uid {}: {}", escape_word(effect.as), effect.uid, to_text(effect.command));
  std::string flags = effect.nopasswd ? " nopasswd" : "";
  if (effect.record == Recording::required) flags += " record";
  if (effect.record == Recording::best_effort) flags += " record-best-effort";
  if (!flags.empty()) line += " [" + flags.substr(1) + "]";
  return line;
}

}  // namespace

Result<Command> parse_command(std::string_view text) {
  Command command;
  const std::vector<std::string_view> words = split(text, ' ');
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0 && words[i] == kAnyArgs) {
      if (i + 1 != words.size()) {
        return fail(Errc::invalid, "\"...\" (any arguments) may only stand last; a literal one is \\x2e..");
      }
      command.any_args = true;
      break;
    }
    auto word = unescape_word(words[i]);
    if (!word) return tl::unexpected(word.error());
    if (auto ok = check_word(*word); !ok) return tl::unexpected(ok.error());
    if (i == 0) {
      command.path = std::move(*word);
    } else {
      command.args.push_back(std::move(*word));
    }
  }
  if (command.path == "ALL") {
    if (words.size() > 1)
      return fail(Errc::invalid, "\"ALL\" is every command with any arguments: nothing may follow it");
    return command;
  }
  if (auto ok = check_path(command.path); !ok) return tl::unexpected(ok.error());
  return command;
}

std::string to_text(const Command& command) {
  std::string text = escape_word(command.path);
  for (const std::string& arg : command.args) {
    text += ' ';
    text += arg == kAnyArgs ? std::string(kLiteralAnyArgs) : escape_word(arg);
  }
  if (command.any_args) (text += ' ') += kAnyArgs;
  return text;
}

std::string to_text(const Effects& effects) {
  std::set<std::string> lines;  // byte order, each once
  for (const GroupEffect& group : effects.groups) {
    lines.insert(fmt::format("group {} gid {}\n", escape_word(group.group), group.gid));
  }
  for (const std::string& gate : effects.opens) lines.insert(fmt::format("opens {}\n", escape_word(gate)));
  for (const SudoEffect& sudo : effects.sudo) lines.insert(sudo_line(sudo) + '\n');
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

Result<Effects> parse_effects(std::string_view text) {
  Effects effects;
  if (text.empty()) return effects;
  if (text.back() != '\n') return fail(Errc::invalid, "effects: the last line is cut short");
  const std::vector<std::string_view> lines = split(text.substr(0, text.size() - 1), '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (auto ok = parse_line(lines[i], effects); !ok)
      return within(fmt::format("effects, line {}", i + 1), ok.error());
  }
  if (to_text(effects) != text) {
    return fail(Errc::invalid,
                "effects: not in canonical form (lines in byte order and once each, escapes as needed)");
  }
  return effects;
}

}  // namespace jit
