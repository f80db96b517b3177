#include "jitd/effects/still_allowed.hpp"

#include <algorithm>
#include <array>

#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxListing = std::size_t{1} << 20U;

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

Result<SpawnOutcome> ask(Spawn& spawn, std::vector<std::string> argv) {
  SpawnRequest request;
  request.argv = std::move(argv);
  request.max_output = kMaxListing;
  return spawn.run(request);
}

bool plain_options(std::string_view options) {
  // A plain command sets no variables.
  constexpr std::array<std::string_view, 4> kHarmless = {"authenticate", "!authenticate", "setenv", "!setenv"};
  for (const std::string_view option : split(options, ',')) {
    const std::string_view one = trimmed(option);
    if (std::find(kHarmless.begin(), kHarmless.end(), one) == kHarmless.end()) return false;
  }
  return true;
}

bool has_secure_path(std::string_view listing) {
  // The Defaults come first, before what the user may run.
  const std::string_view defaults = listing.substr(0, listing.find("may run the following"));
  const auto at = defaults.find("secure_path=");
  return at != std::string_view::npos && defaults.find("!secure_path") == std::string_view::npos &&
         defaults.find("exempt_group=") == std::string_view::npos;
}

}  // namespace

bool plain_rules(std::string_view listing) {
  constexpr std::string_view kRules = "may run the following", kOptions = "Options:", kCommands = "Commands:";
  constexpr std::array<std::string_view, 3> kEntries = {"Sudoers entry:", "LDAP Role:", "SSSD Role:"};
  constexpr std::array<std::string_view, 4> kPlain = {"RunAsUsers:", "RunAsGroups:", "NotBefore:", "NotAfter:"};
  const auto begins = [](std::string_view line, const auto& words) {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return line.starts_with(word); });
  };
  bool in_rules = false, in_commands = false, any = false;
  for (const std::string_view line : split(listing, '\n')) {
    if (!in_rules) {  // Defaults come first
      in_rules = line.find(kRules) != std::string_view::npos;
      continue;
    }
    if (line.empty() || (in_commands && line.starts_with('\t'))) continue;
    const std::string_view said = trimmed(line);
    in_commands = said.starts_with(kCommands);
    if (begins(line, kEntries)) {
      any = true;
    } else if (said.starts_with(kOptions)) {
      if (!plain_options(said.substr(kOptions.size()))) return false;
    } else if (!in_commands && !begins(said, kPlain)) {
      return false;  // more than we know of
    }
  }
  return any;
}

Result<bool> still_allowed(Spawn& spawn, const SudoTool& tool, const std::string& user, const std::string& as,
                           const std::vector<std::string>& words) {
  if (words.empty() || !check_user_name(user) || !check_user_name(as)) return false;
  const bool absolute = words[0].starts_with('/');
  if (!absolute && words[0].find('/') != std::string::npos) return false;
  std::vector<std::string> argv{tool.sudo, "-l", "-U", user, "-u", as, "--"};
  argv.insert(argv.end(), words.begin(), words.end());
  const auto allowed = ask(spawn, std::move(argv));
  if (!allowed) return tl::unexpected(allowed.error());
  if (allowed->exit_status != 0) return false;
  const auto listing = ask(spawn, {tool.sudo, "-ll", "-U", user});
  if (!listing) return tl::unexpected(listing.error());
  return listing->exit_status == 0 && plain_rules(listing->out) && (absolute || has_secure_path(listing->out));
}

}  // namespace jit
