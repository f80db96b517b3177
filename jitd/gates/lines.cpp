#include "jitd/gates/lines.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <optional>

#include "jitd/gates/pam_files.hpp"
#include "jitd/gates/stack.hpp"
#include "jitd/gates/syntax.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;

// The text's lines, each with its LF (the last perhaps without).
std::vector<std::string_view> physical_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

bool names_module(std::string_view rule) {
  return rule.find(kModule) != std::string_view::npos;
}

bool is_marked(const LogicalLine& line) {
  const auto rule = parse_rule(line, "");
  return rule && rule->line.marked;
}

// A line of ours in a file that does not parse as a whole: complete in itself, named and marked.
bool looks_marked(std::string_view raw, std::string_view before) {
  const auto cut = [](std::string_view text) { return text.substr(0, text.find_last_not_of(" \t\n") + 1); };
  return !cut(before).ends_with('\\') && names_module(raw.substr(0, raw.find('#'))) && cut(raw).ends_with(kMark);
}

Result<void> check_arg(const std::string& arg) {
  const auto equals = arg.find('=');
  const bool named = arg == "request" || (equals != std::string::npos && equals > 0);
  const bool plain = std::all_of(arg.begin(), arg.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '#' && c != '[' && c != ']';
  });
  if (named && plain && !arg.ends_with('\\')) return {};
  return fail(Errc::invalid, fmt::format("\"{}\" cannot be an argument of {}", shown(arg, 80), kModule));
}

std::string key_of(const std::string& arg) {
  return arg.substr(0, arg.find('='));
}

// What stands behind services= and mode=: the given arguments, then those of the old line that are not given anew.
std::vector<std::string> merged_args(std::vector<std::string> given, const std::optional<PamLine>& old) {
  const std::vector<std::string> fresh = {"exempt=root", "timeout=500"};
  for (const std::string& arg : old ? old->args : fresh) {
    const std::string key = key_of(arg);
    const bool known =
        key == "services" || key == "mode" ||
        std::any_of(given.begin(), given.end(), [&](const std::string& g) { return key_of(g) == key; });
    if (!known) given.push_back(arg);
  }
  return given;
}

std::string compose(std::string_view type, const std::string& args) {
  return fmt::format("{:<10} required     {} {} {}\n", type, kModule, args, kMark);
}

struct Places {
  std::size_t account = 0;  // number of the physical line before which our account line goes, from 1; 0: none
  bool session = false;     // there are session lines, here or by @include
};

Result<Places> find_places(const std::vector<LogicalLine>& lines) {
  Places places;
  for (const LogicalLine& line : lines) {
    const auto rule = parse_rule(line, "");
    if (!rule) return fail(Errc::invalid, fmt::format("{}: {}", line.first, rule.error().message));
    if (rule->line.ours) {
      return fail(Errc::refused,
                  fmt::format("{}: has a {} line written by hand (without the mark); take it out first", line.first,
                              kModule));
    }
    if (places.account == 0 && (!rule->type || *rule->type == PamType::account)) places.account = line.first;
    if (!rule->type || *rule->type == PamType::session) places.session = true;
  }
  if (places.account == 0 || !places.session) {
    return fail(
        Errc::refused,
        fmt::format("leaves {} to the service \"other\"; a line of ours alone would replace that "
                    "stack, so write out the service's own {} lines first",
                    places.account == 0 ? "account" : "session", places.account == 0 ? "account" : "session"));
  }
  return places;
}

// The account line of ours that stands in the text, for its arguments.
std::optional<PamLine> old_line(std::string_view text) {
  const auto lines = logical_lines(text);
  if (!lines) return std::nullopt;
  for (const LogicalLine& line : *lines) {
    const auto rule = parse_rule(line, "");
    if (rule && rule->line.marked && rule->line.type == PamType::account) return rule->line;
  }
  return std::nullopt;
}

struct Change {
  std::string file;
  std::string text;
  std::string old;
};

// What write_lines would write, proven.
Result<Change> prepare(const std::string& pam_dir, const std::string& service, GateMode mode,
                       const std::vector<std::string>& services, const std::vector<std::string>& extra_args) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  const std::string path = fmt::format("{}/{}", pam_dir, service);
  auto text = read_file(path, kLargest);
  if (!text) return tl::unexpected(text.error());
  auto changed = with_lines(*text, mode, services, extra_args);
  if (!changed) return fail(changed.error().code, fmt::format("{}: {}", path, changed.error().message));

  const auto before = PamConfig::load(pam_dir, service, {{service, without_lines(*text)}});
  if (!before) return tl::unexpected(before.error());
  if (before->from_other(PamType::account) || before->from_other(PamType::session)) {
    return fail(Errc::refused,
                path + ": leaves account or session to the service \"other\"; write out its own lines first");
  }
  for (const std::string& reached : services) {
    const auto after = PamConfig::load(pam_dir, reached, {{service, *changed}});
    if (!after) return tl::unexpected(after.error());
    auto findings = prove_account(*after, std::string(name_of(mode)));
    const auto session = prove_session(*after, std::string(name_of(mode)));
    findings.insert(findings.end(), session.begin(), session.end());
    for (const StackFinding& finding : findings) {
      if (finding.fatal) {
        return fail(Errc::refused, fmt::format("nothing written, since {} of {} would not hold: {}", kModule, reached,
                                               finding.text));
      }
    }
  }
  return Change{service, std::move(*changed), std::move(*text)};
}

Result<void> replace_keeping(const std::string& pam_dir, const std::string& file, const std::string& text) {
  auto dir = open_dir(pam_dir);
  if (!dir) return tl::unexpected(dir.error());
  const std::string path = fmt::format("{}/{}", pam_dir, file);
  auto old = open_regular(dir->get(), file, O_RDONLY, path);
  if (!old) return tl::unexpected(old.error());
  auto mode = mode_of(old->get());
  if (!mode) return within(path, mode.error());
  auto written = replace_file(system_files(), dir->get(), file, text, *mode);
  if (!written) return within(pam_dir, written.error());
  return {};
}

using Edit = std::function<std::string(std::string_view text)>;

// Edits the file that PAM_DIR/NAME means, links followed as libpam follows them. True when that changed it.
Result<bool> edit_file(const std::string& pam_dir, const std::string& name, const Edit& edit) {
  const std::string path = fmt::format("{}/{}", pam_dir, name);
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) return fail_errno(error.value(), path);
  const auto text = read_file(real.string(), kLargest);
  if (!text) return tl::unexpected(text.error());
  const std::string changed = edit(*text);
  if (changed == *text) return false;
  auto written = replace_keeping(real.parent_path().string(), real.filename().string(), changed);
  if (!written) return tl::unexpected(written.error());
  return true;
}

// Whose gate a marked line is: with_lines puts the service whose file it is first.
std::string first_service(const std::string& line) {
  for (const std::string& word : pam_words(std::string_view(line).substr(0, line.find('#')))) {
    if (word.starts_with("services=")) return word.substr(9, word.find(',') - 9);
  }
  return {};
}

// Edits every file with marked lines of the family, whatever goes wrong with another of them. Returns their names.
Result<std::vector<std::string>> edit_marked(const std::string& pam_dir, const std::vector<std::string>& family,
                                             const Edit& edit) {
  const auto in_family = [&](const std::string& name) {
    return std::find(family.begin(), family.end(), name) != family.end();
  };
  const auto found = find_lines(pam_dir);
  if (!found) return tl::unexpected(found.error());
  std::vector<std::string> files;
  std::optional<Error> failed;
  for (const LineFound& line : *found) {
    const std::string name = line.file.substr(line.file.rfind('/') + 1);
    if (!line.marked || (!in_family(name) && !in_family(first_service(line.text)))) continue;
    if (!files.empty() && files.back() == name) continue;
    files.push_back(name);
    if (auto edited = edit_file(pam_dir, name, edit); !edited && !failed) failed = edited.error();
  }
  if (failed) return tl::unexpected(*failed);
  return files;
}

using EditValue = std::function<std::string(std::string_view value)>;

// One line's words of the form KEY=VALUE with another value, [KEY=VALUE] among them. `key` with its "=".
std::string line_with_value(std::string_view line, std::string_view key, const EditValue& edit) {
  const auto rule_end = std::min(line.find('#'), line.size());
  std::string out;
  std::size_t at = 0;
  for (std::size_t found = 0; (found = line.find(key, found)) < rule_end; found = at) {
    const bool word = found == 0 || std::string_view(" \t\n[").find(line[found - 1]) != std::string_view::npos;
    const auto end = std::min(line.find_first_of(" \t\n]\\", found), rule_end);
    out += line.substr(at, found - at);
    const auto value = line.substr(found + key.size(), end - found - key.size());
    out += word ? fmt::format("{}{}", key, edit(value)) : std::string(line.substr(found, end - found));
    at = end;
  }
  out += line.substr(at);
  return out;
}

// The text with each physical line of a marked rule edited.
std::string with_marked(std::string_view text, const Edit& edit) {
  std::string out;
  const auto raw = physical_lines(text);
  const auto lines = logical_lines(text);
  if (!lines) {
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const bool marked = looks_marked(raw[i], i == 0 ? std::string_view{} : raw[i - 1]);
      out += marked ? edit(raw[i]) : std::string(raw[i]);
    }
    return out;
  }
  std::size_t number = 1;
  for (const LogicalLine& line : *lines) {
    if (!is_marked(line)) continue;
    for (; number < line.first; ++number) out += raw[number - 1];
    for (; number <= line.last; ++number) out += edit(raw[number - 1]);
  }
  for (; number <= raw.size(); ++number) out += raw[number - 1];
  return out;
}

// The files of a gate that carry lines themselves, each with the services that it is about.
Result<std::vector<std::pair<std::string, std::vector<std::string>>>> owners(const std::string& pam_dir,
                                                                             const std::vector<std::string>& family) {
  std::vector<std::pair<std::string, std::vector<std::string>>> found;
  for (const std::string& member : family) {
    auto reaching = services_reaching(pam_dir, member);
    if (!reaching) return tl::unexpected(reaching.error());
    found.emplace_back(member, std::move(*reaching));
  }
  const auto reached_elsewhere = [&](const std::string& member) {
    return std::any_of(found.begin(), found.end(), [&](const auto& other) {
      return other.first != member &&
             std::find(other.second.begin(), other.second.end(), member) != other.second.end();
    });
  };
  auto kept = found;
  std::erase_if(kept, [&](const auto& one) { return reached_elsewhere(one.first); });
  return kept.empty() ? found : kept;
}

// What set_gate would write, proven.
Result<std::vector<Change>> changes_of(const std::string& pam_dir, const std::string& service, GateMode mode,
                                       const std::vector<std::string>& extra_args) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  auto owning = owners(pam_dir, service_family(pam_dir, service));
  if (!owning) return tl::unexpected(owning.error());
  std::vector<Change> changes;
  for (const auto& [file, services] : *owning) {
    auto change = prepare(pam_dir, file, mode, services, extra_args);
    if (!change) return tl::unexpected(change.error());
    changes.push_back(std::move(*change));
  }
  return changes;
}

}  // namespace

std::string_view name_of(GateMode mode) {
  return mode == GateMode::enforce ? "enforce" : "observe";
}

Result<std::string> with_lines(std::string_view text, GateMode mode, const std::vector<std::string>& services,
                               const std::vector<std::string>& extra_args) {
  if (services.empty()) return fail(Errc::invalid, "no service given");
  for (const std::string& service : services) {
    if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  }
  for (const std::string& arg : extra_args) {
    if (auto good = check_arg(arg); !good) return tl::unexpected(good.error());
  }
  std::string args = fmt::format("services={} mode={}", fmt::join(services, ","), name_of(mode));
  for (const std::string& arg : merged_args(extra_args, old_line(text))) args += " " + arg;

  const std::string bare = without_lines(text);
  auto lines = logical_lines(bare);
  if (!lines) return tl::unexpected(lines.error());
  auto places = find_places(*lines);
  if (!places) return tl::unexpected(places.error());

  std::string out;
  std::size_t number = 0;
  for (const std::string_view raw : physical_lines(bare)) {
    if (++number == places->account) out += compose("account", args);
    out += raw;
  }
  if (!out.ends_with('\n')) out += '\n';
  out += compose("session", args);
  // Read back with the same rules as libpam's: neither line may be longer than it reads.
  if (auto again = logical_lines(out); !again) return tl::unexpected(again.error());
  return out;
}

std::string without_lines(std::string_view text) {
  return with_marked(text, [](std::string_view) { return std::string(); });
}

std::string with_mode(std::string_view text, GateMode mode) {
  return with_marked(text, [mode](std::string_view line) {
    return line_with_value(line, "mode=", [mode](std::string_view) { return std::string(name_of(mode)); });
  });
}

std::string exempt_list(std::string_view list, std::string_view name, bool exempt) {
  std::vector<std::string_view> words;
  for (const std::string_view word : split(list, ','))
    if (!word.empty() && word != name) words.push_back(word);
  if (exempt) words.push_back(name);
  if (words.empty()) return std::string(list);
  return fmt::format("{}", fmt::join(words, ","));
}

std::string with_exempt(std::string_view text, std::string_view name, bool exempt) {
  return with_marked(text, [&](std::string_view line) {
    bool there = false;
    std::string changed = line_with_value(line, "exempt=", [&](std::string_view list) {
      there = true;
      return exempt_list(list, name, exempt);
    });
    const auto module = changed.find(kModule);
    // Where the rule goes on behind this line, so may its arguments.
    if (!there && exempt && module < std::min(changed.find('#'), changed.size()) && !changed.ends_with("\\\n"))
      changed.insert(module + kModule.size(), fmt::format(" exempt={}", name));
    return changed;
  });
}

Result<void> write_lines(const std::string& pam_dir, const std::string& service, GateMode mode,
                         const std::vector<std::string>& services, const std::vector<std::string>& extra_args) {
  auto change = prepare(pam_dir, service, mode, services, extra_args);
  if (!change) return tl::unexpected(change.error());
  return replace_keeping(pam_dir, change->file, change->text);
}

Result<bool> remove_lines(const std::string& pam_dir, const std::string& service) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  auto removed = edit_file(pam_dir, service, without_lines);
  if (!removed && removed.error().code == Errc::not_found) return false;
  return removed;
}

Result<void> prove_gate(const std::string& pam_dir, const std::string& service, GateMode mode,
                        const std::vector<std::string>& extra_args) {
  const auto changes = changes_of(pam_dir, service, mode, extra_args);
  if (!changes) return tl::unexpected(changes.error());
  return {};
}

Result<std::vector<std::string>> set_gate(const std::string& pam_dir, const std::string& service, GateMode mode,
                                          const std::vector<std::string>& extra_args) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  std::vector<std::string> eased;
  if (mode == GateMode::observe) {
    auto marked = edit_marked(pam_dir, service_family(pam_dir, service),
                              [](std::string_view text) { return with_mode(text, GateMode::observe); });
    if (!marked) return marked;
    eased = std::move(*marked);
  }
  const auto changes = changes_of(pam_dir, service, mode, extra_args);
  if (!changes && eased.empty()) return tl::unexpected(changes.error());
  if (!changes && extra_args.empty()) return eased;
  if (!changes) return within("observes now, with the arguments that it had", changes.error());
  std::vector<std::string> files;
  for (const Change& change : *changes) {
    if (auto written = replace_keeping(pam_dir, change.file, change.text); !written) {
      // Not half a gate: those before it are as they were.
      for (std::size_t i = 0; i < files.size(); ++i) {
        (void)replace_keeping(pam_dir, (*changes)[i].file, (*changes)[i].old);
      }
      return tl::unexpected(written.error());
    }
    files.push_back(change.file);
  }
  return files;
}

Result<std::vector<std::string>> remove_gate(const std::string& pam_dir, const std::string& service) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  return edit_marked(pam_dir, service_family(pam_dir, service), without_lines);
}

Result<std::vector<std::string>> exempt_in_gate(const std::string& pam_dir, const std::string& service,
                                                std::string_view name, bool exempt) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  return edit_marked(pam_dir, service_family(pam_dir, service),
                     [&](std::string_view text) { return with_exempt(text, name, exempt); });
}

std::vector<std::string> gate_problems(const std::string& pam_dir, const std::string& service, GateMode mode) {
  std::vector<std::string> problems;
  for (const std::string& member : service_family(pam_dir, service)) {
    const auto config = PamConfig::load(pam_dir, member);
    if (!config) {
      problems.push_back(config.error().message);
      continue;
    }
    for (const auto& findings :
         {prove_account(*config, std::string(name_of(mode))), prove_session(*config, std::string(name_of(mode)))}) {
      for (const StackFinding& finding : findings) problems.push_back(finding.text);
    }
  }
  return problems;
}

Result<std::vector<LineFound>> find_lines(const std::string& pam_dir) {
  auto names = pam_files(pam_dir);
  if (!names) return tl::unexpected(names.error());
  std::vector<LineFound> found;
  for (const std::string& name : *names) {
    const auto text = read_pam_file(pam_dir, name);
    const int error = text ? 0 : text.error().errnum;
    // What keeps only us from reading; all else keeps libpam, too.
    if (error == EMFILE || error == ENFILE || error == ENOMEM) return tl::unexpected(text.error());
    if (!text) continue;
    const std::string path = fmt::format("{}/{}", pam_dir, name);
    if (const auto lines = logical_lines(*text)) {
      for (const LogicalLine& line : *lines) {
        if (names_module(line.text)) found.push_back({path, line.first, is_marked(line), line.text});
      }
      continue;
    }
    const auto raw = physical_lines(*text);
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (!names_module(raw[i].substr(0, raw[i].find('#')))) continue;
      const bool marked = looks_marked(raw[i], i == 0 ? std::string_view{} : raw[i - 1]);
      found.push_back({path, static_cast<unsigned>(i + 1), marked, std::string(raw[i].substr(0, raw[i].find('\n')))});
    }
  }
  return found;
}

}  // namespace jit
