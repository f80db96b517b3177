#include "jitd/gates/lines.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
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
  const bool named = equals != std::string::npos && equals > 0;
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
  return Change{service, std::move(*changed)};
}

Result<void> replace_keeping(const std::string& pam_dir, const Change& change) {
  auto dir = open_dir(pam_dir);
  if (!dir) return tl::unexpected(dir.error());
  const std::string path = fmt::format("{}/{}", pam_dir, change.file);
  auto old = open_regular(dir->get(), change.file, O_RDONLY, path);
  if (!old) return tl::unexpected(old.error());
  auto mode = mode_of(old->get());
  if (!mode) return within(path, mode.error());
  auto written = replace_file(system_files(), dir->get(), change.file, change.text, *mode);
  if (!written) return within(pam_dir, written.error());
  return {};
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
  std::string out;
  const auto raw = physical_lines(text);
  const auto lines = logical_lines(text);
  if (!lines) {
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (!looks_marked(raw[i], i == 0 ? std::string_view{} : raw[i - 1])) out += raw[i];
    }
    return out;
  }
  std::size_t number = 1;
  for (const LogicalLine& line : *lines) {
    if (!is_marked(line)) continue;
    for (; number < line.first; ++number) out += raw[number - 1];
    number = line.last + 1;
  }
  for (; number <= raw.size(); ++number) out += raw[number - 1];
  return out;
}

Result<void> write_lines(const std::string& pam_dir, const std::string& service, GateMode mode,
                         const std::vector<std::string>& services, const std::vector<std::string>& extra_args) {
  auto change = prepare(pam_dir, service, mode, services, extra_args);
  if (!change) return tl::unexpected(change.error());
  return replace_keeping(pam_dir, *change);
}

Result<bool> remove_lines(const std::string& pam_dir, const std::string& service) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  auto text = read_file(fmt::format("{}/{}", pam_dir, service), kLargest);
  if (!text && text.error().code == Errc::not_found) return false;
  if (!text) return tl::unexpected(text.error());
  std::string bare = without_lines(*text);
  if (bare == *text) return false;
  if (auto written = replace_keeping(pam_dir, Change{service, std::move(bare)}); !written) {
    return tl::unexpected(written.error());
  }
  return true;
}

Result<std::vector<std::string>> set_gate(const std::string& pam_dir, const std::string& service, GateMode mode,
                                          const std::vector<std::string>& extra_args) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  const auto family = service_family(pam_dir, service);
  auto owning = owners(pam_dir, family);
  if (!owning) return tl::unexpected(owning.error());
  std::vector<Change> changes;
  for (const auto& [file, services] : *owning) {
    auto change = prepare(pam_dir, file, mode, services, extra_args);
    if (!change) return tl::unexpected(change.error());
    changes.push_back(std::move(*change));
  }
  std::vector<std::string> files;
  for (const Change& change : changes) {
    if (auto written = replace_keeping(pam_dir, change); !written) return tl::unexpected(written.error());
    files.push_back(change.file);
  }
  return files;
}

Result<std::vector<std::string>> remove_gate(const std::string& pam_dir, const std::string& service) {
  if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
  std::vector<std::string> files;
  for (const std::string& member : service_family(pam_dir, service)) {
    auto removed = remove_lines(pam_dir, member);
    if (!removed) return tl::unexpected(removed.error());
    if (*removed) files.push_back(member);
  }
  return files;
}

Result<std::vector<LineFound>> find_lines(const std::string& pam_dir) {
  auto names = pam_files(pam_dir);
  if (!names) return tl::unexpected(names.error());
  std::vector<LineFound> found;
  for (const std::string& name : *names) {
    const auto text = read_pam_file(pam_dir, name);
    if (!text && text.error().code == Errc::not_found) continue;  // a dangling link
    if (!text && text.error().code == Errc::invalid) continue;    // a directory: no service
    if (!text) return tl::unexpected(text.error());
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
