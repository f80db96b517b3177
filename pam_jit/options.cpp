#include "pam_jit/options.hpp"

namespace jit::pam {
namespace {

constexpr std::string_view kServices = "services=";
constexpr std::string_view kMode = "mode=";
constexpr std::string_view kExempt = "exempt=";
constexpr std::string_view kTimeout = "timeout=";
constexpr std::string_view kRequest = "request";

// Takes `key` off the front of `argument`, if it is there.
bool take(std::string_view& argument, std::string_view key) noexcept {
  if (argument.size() < key.size() || std::string_view(argument.data(), key.size()) != key) return false;
  argument.remove_prefix(key.size());
  return true;
}

// matches(word) for each word of every comma list under `key`, until one does.
template <class Matches>
bool any_word(std::span<const char* const> arguments, std::string_view key, Matches&& matches) noexcept {
  for (const char* argument : arguments) {
    std::string_view list = argument;
    if (!take(list, key)) continue;
    for (;;) {
      const std::size_t comma = list.find(',');
      const std::string_view word(list.data(), comma == std::string_view::npos ? list.size() : comma);
      if (!word.empty() && matches(word)) return true;
      if (comma == std::string_view::npos) break;
      list.remove_prefix(comma + 1);
    }
  }
  return false;
}

// False unless `text` is a number within the limits; `into` is then the nearest that is, or the default.
bool parse_timeout(std::string_view text, unsigned& into) noexcept {
  if (text.empty() || text.size() > 9) return false;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  into = value < kMinTimeoutMs ? kMinTimeoutMs : value > kMaxTimeoutMs ? kMaxTimeoutMs : value;
  return into == value;
}

}  // namespace

Options parse_options(std::span<const char* const> arguments) noexcept {
  Options options;
  options.arguments = arguments;
  for (const char* argument : arguments) {
    std::string_view rest = argument;
    bool understood = true;
    if (take(rest, kServices)) {
      options.has_services = options.has_services || !rest.empty();
      understood = !rest.empty();
    } else if (take(rest, kExempt)) {
      options.has_exempt = true;
    } else if (take(rest, kTimeout)) {
      understood = parse_timeout(rest, options.timeout_ms);
    } else if (rest == kRequest) {
      options.request = true;
    } else if (take(rest, kMode)) {
      understood = rest == "observe" || rest == "enforce";
      if (rest != "observe") options.enforce = true;
    } else {
      understood = false;
    }
    if (!understood && options.mistake == nullptr) options.mistake = argument;
  }
  if (!options.has_services && options.mistake == nullptr) options.mistake = "services= (missing)";
  return options;
}

bool Options::lists_service(std::string_view service) const noexcept {
  return any_word(arguments, kServices, [&](std::string_view word) noexcept { return word == service; });
}

bool Options::exempts_user(std::string_view user) const noexcept {
  return any_word(arguments, kExempt, [&](std::string_view word) noexcept { return word[0] != '@' && word == user; });
}

bool Options::exempts_group(std::string_view group) const noexcept {
  return any_word(arguments, kExempt,
                  [&](std::string_view word) noexcept { return take(word, "@") && word == group; });
}

bool Options::exempts_groups() const noexcept {
  return any_word(arguments, kExempt, [](std::string_view word) noexcept { return word[0] == '@'; });
}

}  // namespace jit::pam
