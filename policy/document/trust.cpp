#include "policy/document/trust.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kBlanks = " \t";

// Takes the next word off `rest`; a blank inside double quotes does not end it.
std::string_view take_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  bool quoted = false;
  std::size_t end = 0;
  for (; end < rest.size(); ++end) {
    if (rest[end] == '"') quoted = !quoted;
    if (!quoted && kBlanks.find(rest[end]) != std::string_view::npos) break;
  }
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

Result<void> check_principal(std::string_view principal) {
  if (principal.find_first_of("*?!") != std::string_view::npos) {
    return fail(Errc::invalid,
                fmt::format("principal \"{}\" is a pattern: write one name a line", shown(principal, 80)));
  }
  if (principal.find(',') != std::string_view::npos) {
    return fail(Errc::invalid,
                fmt::format("principal \"{}\" is a list: write one line for each name", shown(principal, 80)));
  }
  if (principal.find('"') != std::string_view::npos)
    return fail(Errc::invalid, "the principal is quoted: write it bare");
  if (auto ok = check_user_name(principal); !ok) return within("principal", ok.error());
  return {};
}

Result<std::vector<std::string>> parse_namespaces(std::string_view value) {
  std::vector<std::string> namespaces;
  for (const std::string_view one : split(value, ',')) {
    const std::size_t star = one.find('*');
    if (one.empty() || one.find_first_of("?! \t") != std::string_view::npos ||
        (star != std::string_view::npos && star + 1 != one.size())) {
      return fail(Errc::invalid,
                  fmt::format("namespaces=\"{}\": names separated by commas, with * at most at the end of one",
                              shown(value, 120)));
    }
    namespaces.emplace_back(one);
  }
  return namespaces;
}

// name="value" options, separated by commas outside quotes.
Result<void> parse_options(std::string_view text, TrustLine& line) {
  std::vector<std::string> seen;
  while (!text.empty()) {
    const std::size_t equals = text.find('=');
    const std::string_view name = text.substr(0, std::min(equals, text.find(',')));
    if (name == "cert-authority") {
      return fail(Errc::refused, "cert-authority: certificates are not accepted, list each person's own key");
    }
    if (name != "namespaces" && name != "valid-after" && name != "valid-before") {
      return fail(Errc::invalid,
                  fmt::format("unknown option \"{}\": namespaces, valid-after and valid-before are known, "
                              "or the key type is missing",
                              shown(name, 40)));
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      return fail(Errc::invalid, fmt::format("option {} stands there twice", name));
    }
    seen.emplace_back(name);
    if (equals != name.size() || text.substr(equals + 1, 1) != "\"") {
      return fail(Errc::invalid, fmt::format("option {}: write {}=\"...\"", name, name));
    }
    text.remove_prefix(equals + 2);
    const std::size_t quote = text.find('"');
    if (quote == std::string_view::npos)
      return fail(Errc::invalid, fmt::format("option {}: its quote is not closed", name));
    const std::string_view value = text.substr(0, quote);
    text.remove_prefix(quote + 1);

    if (name == "namespaces") {
      auto namespaces = parse_namespaces(value);
      if (!namespaces) return tl::unexpected(namespaces.error());
      line.namespaces = std::move(*namespaces);
    } else {
      const auto time = parse_compact_utc(value);
      if (!time) return within(std::string(seen.back()), time.error());
      (seen.back() == "valid-after" ? line.valid_after : line.valid_before) = *time;
    }
    if (text.empty()) break;
    if (text.front() != ',' || text.size() == 1)
      return fail(Errc::invalid, "options are separated by one comma, without blanks");
    text.remove_prefix(1);
  }
  if (line.valid_after && line.valid_before && *line.valid_before <= *line.valid_after) {
    return fail(Errc::invalid, "valid-before is not later than valid-after: the key would never count");
  }
  return {};
}

Result<TrustLine> parse_line(std::string_view text) {
  if (text.size() > kMaxTrustLine) return fail(Errc::invalid, fmt::format("longer than {} bytes", kMaxTrustLine));
  if (!text.empty() && text.back() == '\r') {
    return fail(Errc::invalid, "the line ends with CR LF: save the file with LF line ends");
  }
  std::string blanked(text);
  std::replace(blanked.begin(), blanked.end(), '\t', ' ');
  if (const auto bad = unclean(blanked)) return fail(Errc::invalid, *bad);

  TrustLine line;
  std::string_view rest = blanked;
  line.principal = take_word(rest);
  if (auto ok = check_principal(line.principal); !ok) return tl::unexpected(ok.error());
  std::string_view ahead = rest;
  const std::string_view word = take_word(ahead);
  // Options have '=' or are a bare word that is no key type; key types never have '='.
  if (word.find('=') != std::string_view::npos || word.substr(0, 14) == "cert-authority") {
    if (auto ok = parse_options(word, line); !ok) return tl::unexpected(ok.error());
    rest = ahead;
  }
  const std::string_view type = take_word(rest);
  const std::string_view base64 = take_word(rest);
  if (type.empty() || base64.empty()) return fail(Errc::invalid, "the line needs PRINCIPAL [OPTIONS] KEYTYPE KEY");
  auto key = parse_public_key_line(fmt::format("{} {}", type, base64));
  if (!key) return tl::unexpected(key.error());
  line.key = std::move(*key);
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  line.comment = rest;
  while (!line.comment.empty() && line.comment.back() == ' ') line.comment.pop_back();
  return line;
}

}  // namespace

bool TrustLine::allows_namespace(std::string_view name_space) const {
  if (namespaces.empty()) return true;
  return std::any_of(namespaces.begin(), namespaces.end(), [&](const std::string& one) {
    if (one.back() != '*') return one == name_space;
    return name_space.substr(0, one.size() - 1) == std::string_view(one).substr(0, one.size() - 1);
  });
}

bool TrustLine::valid_at(WallTime now) const {
  return (!valid_after || now >= *valid_after) && (!valid_before || now < *valid_before);
}

Result<TrustLine> parse_trust_line(std::string_view text) {
  if (text.find('\n') != std::string_view::npos) return fail(Errc::invalid, "it is more than one line");
  return parse_line(text);
}

TrustFile parse_trust(std::string path, std::string_view text) {
  TrustFile file;
  file.path = std::move(path);
  if (text.size() > kMaxTrustFile) {
    // All or nothing here: a cut could fall inside a line, and which keys fell off nobody would see.
    file.bad.push_back(
        {Errc::invalid, fmt::format("{}: larger than {} bytes, no key of it counts", file.path, kMaxTrustFile), 0});
    return file;
  }
  unsigned number = 0;
  for (const std::string_view one : split(text, '\n')) {
    ++number;
    const std::size_t start = one.find_first_not_of(" \t\r");
    if (start == std::string_view::npos || one[start] == '#') continue;
    auto line = parse_line(one.substr(one.find_first_not_of(kBlanks)));
    if (line) {
      line->line = number;
      file.lines.push_back(std::move(*line));
    } else {
      file.bad.push_back(within(fmt::format("{}:{}", file.path, number), line.error()).value());
    }
  }
  return file;
}

std::string to_text(const TrustLine& line) {
  std::string options;
  const auto add = [&](std::string_view name, const std::string& value) {
    options += fmt::format("{}{}=\"{}\"", options.empty() ? " " : ",", name, value);
  };
  if (!line.namespaces.empty()) add("namespaces", fmt::format("{}", fmt::join(line.namespaces, ",")));
  if (line.valid_after) add("valid-after", format_compact_utc(*line.valid_after));
  if (line.valid_before) add("valid-before", format_compact_utc(*line.valid_before));
  return fmt::format("{}{} {}{}{}\n", line.principal, options, public_key_line(line.key),
                     line.comment.empty() ? "" : " ", line.comment);
}

}  // namespace jit
