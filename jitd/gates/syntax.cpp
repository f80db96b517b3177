#include "jitd/gates/syntax.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "jitd/gates/lines.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kBlanks = " \t\n";

std::string_view trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(kBlanks);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kBlanks) - from + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// _pam_types.h: the return values by their names in a control, PAM_SUCCESS first.
constexpr std::array<std::string_view, 33> kReturns = {"success",
                                                       "open_err",
                                                       "symbol_err",
                                                       "service_err",
                                                       "system_err",
                                                       "buf_err",
                                                       "perm_denied",
                                                       "auth_err",
                                                       "cred_insufficient",
                                                       "authinfo_unavail",
                                                       "user_unknown",
                                                       "maxtries",
                                                       "new_authtok_reqd",
                                                       "acct_expired",
                                                       "session_err",
                                                       "cred_unavail",
                                                       "cred_expired",
                                                       "cred_err",
                                                       "no_module_data",
                                                       "conv_err",
                                                       "authtok_err",
                                                       "authtok_recover_err",
                                                       "authtok_lock_busy",
                                                       "authtok_disable_aging",
                                                       "try_again",
                                                       "ignore",
                                                       "abort",
                                                       "authtok_expired",
                                                       "module_unknown",
                                                       "bad_item",
                                                       "conv_again",
                                                       "incomplete",
                                                       "default"};
constexpr std::array<std::string_view, 6> kActions = {"ignore", "ok", "done", "bad", "die", "reset"};

// The four words that stand for a table of actions (pam.d(5)).
bool keyword_actions(const std::string& word, std::map<std::string, std::string>& actions) {
  if (word == "required" || word == "requisite") {
    actions = {{"success", "ok"},
               {"new_authtok_reqd", "ok"},
               {"ignore", "ignore"},
               {"default", word == "required" ? "bad" : "die"}};
  } else if (word == "optional") {
    actions = {{"success", "ok"}, {"new_authtok_reqd", "ok"}, {"default", "ignore"}};
  } else if (word == "sufficient") {
    actions = {{"success", "done"}, {"new_authtok_reqd", "done"}, {"default", "ignore"}};
  } else {
    return false;
  }
  return true;
}

// "success=ok new_authtok_reqd=2 default=ignore"; blanks around '=' are allowed, what is not named and has no default
// is bad.
Result<std::map<std::string, std::string>> table_actions(std::string_view control) {
  std::map<std::string, std::string> actions;
  std::size_t at = 0;
  const auto skip = [&] { at = std::min(control.find_first_not_of(kBlanks, at), control.size()); };
  const auto take = [&](std::string_view stop) {
    const auto end = std::min(control.find_first_of(stop, at), control.size());
    const auto word = control.substr(at, end - at);
    at = end;
    return word;
  };
  for (skip(); at < control.size(); skip()) {
    const auto value = take(" \t\n=");
    if (std::find(kReturns.begin(), kReturns.end(), value) == kReturns.end()) {
      return fail(Errc::invalid, fmt::format("unknown return value \"{}\"", shown(value, 64)));
    }
    skip();
    if (at == control.size() || control[at] != '=') {
      return fail(Errc::invalid, fmt::format("\"{}\" has no action", value));
    }
    ++at;
    skip();
    const auto action = take(kBlanks);
    const bool jump = !action.empty() && action.size() < 5 && parse_number(action).has_value();
    if (!jump && std::find(kActions.begin(), kActions.end(), action) == kActions.end()) {
      return fail(Errc::invalid, fmt::format("unknown action \"{}\"", shown(action, 64)));
    }
    actions.emplace(value, action == "0" ? std::string_view("ignore") : action);
  }
  actions.emplace("default", "bad");
  return actions;
}

std::optional<PamType> type_of(const std::string& word) {
  if (word == "auth") return PamType::auth;
  if (word == "account") return PamType::account;
  if (word == "password") return PamType::password;
  if (word == "session") return PamType::session;
  return std::nullopt;
}

}  // namespace

Result<std::vector<LogicalLine>> logical_lines(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return fail(Errc::invalid, "has a NUL byte");
  std::vector<LogicalLine> lines;
  LogicalLine current;
  bool continued = false;
  unsigned number = 0;
  while (!text.empty()) {
    ++number;
    const auto end = text.find('\n');
    const auto raw = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);

    const auto hash = raw.find('#');
    const auto rule = trimmed(raw.substr(0, hash));
    if (!continued) current = LogicalLine{number, number, {}, {}};
    current.last = number;
    const bool goes_on = hash == std::string_view::npos && !rule.empty() && rule.back() == '\\';
    if (continued && (rule.empty() || rule == "\\")) {
      return fail(Errc::invalid, fmt::format("{}: a rule continues into a line without a word of it", number));
    }
    current.text += goes_on ? rule.substr(0, rule.size() - 1) : rule;
    if (current.text.size() > kLongestRule) {
      return fail(Errc::invalid, fmt::format("{}: the rule is longer than {} bytes", current.first, kLongestRule));
    }
    if (goes_on) {
      current.text += ' ';
    } else {
      if (hash != std::string_view::npos) current.comment = trimmed(raw.substr(hash + 1));
      if (!trimmed(current.text).empty()) lines.push_back(current);
    }
    continued = goes_on;
  }
  if (continued) return fail(Errc::invalid, fmt::format("{}: the file ends within a rule", current.first));
  return lines;
}

std::vector<std::string> pam_words(std::string_view text) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while ((at = text.find_first_not_of(kBlanks, at)) != std::string_view::npos) {
    std::string word;
    if (text[at] == '[') {
      for (++at; at < text.size() && text[at] != ']'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] == ']') ++at;
        word += text[at];
      }
      ++at;  // libpam swallows whatever byte ends a word, and so the closing bracket
    } else {
      const auto end = std::min(text.find_first_of(kBlanks, at), text.size());
      word = text.substr(at, end - at);
      at = end;
    }
    words.push_back(std::move(word));
    if (at >= text.size()) break;
  }
  return words;
}

Result<PamRule> parse_rule(const LogicalLine& line, const std::string& file) {
  auto words = pam_words(line.text);
  if (words.empty()) return fail(Errc::invalid, "no words");
  PamRule rule;
  rule.line.file = file;
  rule.line.line = line.first;
  if (lower(words[0]) == "@include") {  // Debian's
    if (words.size() < 2) return fail(Errc::invalid, "@include names no file");
    rule.kind = PamRule::Kind::include;
    rule.target = words[1];
    return rule;
  }
  std::string type = lower(words[0]);
  rule.line.quiet = !type.empty() && type.front() == '-';
  if (rule.line.quiet) type.erase(0, 1);
  rule.type = type_of(type);
  if (!rule.type) return fail(Errc::invalid, fmt::format("unknown type \"{}\"", shown(words[0], 64)));
  rule.line.type = *rule.type;
  if (words.size() < 3) return fail(Errc::invalid, words.size() < 2 ? "no control" : "no module");

  const std::string control = lower(words[1]);
  if (control == "include" || control == "substack") {
    rule.kind = control == "include" ? PamRule::Kind::include : PamRule::Kind::substack;
    rule.target = words[2];
    rule.line.control = control;
    rule.line.module = words[2];
    return rule;
  }
  if (keyword_actions(control, rule.line.actions)) {
    rule.line.control = control;
  } else {
    auto actions = table_actions(words[1]);
    if (!actions) return fail(Errc::invalid, actions.error().message);
    rule.line.actions = std::move(*actions);
    rule.line.control = words[1];
  }
  rule.line.module = words[2];
  rule.line.args.assign(words.begin() + 3, words.end());
  const auto slash = rule.line.module.rfind('/');
  rule.line.ours = std::string_view(rule.line.module).substr(slash == std::string::npos ? 0 : slash + 1) == kModule;
  rule.line.marked = rule.line.ours && line.comment == trimmed(kMark.substr(1));
  return rule;
}

}  // namespace jit
