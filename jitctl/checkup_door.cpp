// Doctor's look at lines that ask at the door (`request`, pam_jit(8)): is there a conversation, does who is asked
// prove first who they are, and do others' timers leave the time.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "jitctl/checkup.hpp"
#include "jitctl/exempt.hpp"
#include "jitctl/gate.hpp"
#include "jitd/gates/lines.hpp"
#include "jitd/gates/stack.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::uint64_t kGraceSeconds = 180;  // to type, and the minute
constexpr std::uint64_t kStartups = 6;        // three who wait, and as many who log in meanwhile
constexpr std::uint64_t kLoginTimeout = 60;   // login(1) without LOGIN_TIMEOUT
constexpr std::size_t kMaxLoginDefs = 256 * 1024;

// Modules of Linux-PAM whose success in auth says nothing about who somebody is.
constexpr std::array<std::string_view, 22> kProveNothing = {
    "pam_permit", "pam_env",     "pam_nologin",    "pam_faildelay", "pam_group",  "pam_securetty",
    "pam_shells", "pam_echo",    "pam_succeed_if", "pam_listfile",  "pam_access", "pam_motd",
    "pam_warn",   "pam_debug",   "pam_faillock",   "pam_time",      "pam_cap",    "pam_keyinit",
    "pam_mail",   "pam_lastlog", "pam_rootok",     "pam_jit"};

bool proves(const PamLine& line) {
  auto name = std::string_view(line.module);
  name = name.substr(name.rfind('/') + 1);
  name = name.substr(0, name.find(".so"));
  return std::find(kProveNothing.begin(), kProveNothing.end(), name) == kProveNothing.end();
}

// Whether this auth stack lets nobody through who did not prove something.
bool authenticates(const PamConfig& config) {
  for (const auto& entry : config.stack(PamType::auth)) {
    if (proves(entry.line)) return true;
    const auto success = entry.line.actions.find("success");
    if (success != entry.line.actions.end() && success->second == "done") return false;
  }
  return false;
}

// "publickey,keyboard-interactive:pam password,keyboard-interactive": something before it in each list.
bool proven_before(std::string_view methods) {
  if (methods.empty() || methods == "any") return false;
  for (const auto list : split(methods, ' '))
    if (list.starts_with("keyboard-interactive")) return false;
  return true;
}

void check_sshd(Context& context, const PamConfig& config, Findings& findings) {
  if (sshd_value(context, "kbdinteractiveauthentication") == "no") {
    findings.problem("sshd: the line asks at the door, and sshd has no conversation for it",
                     "set KbdInteractiveAuthentication yes in sshd_config, as pam_jit(8) shows");
  }
  const auto methods = sshd_value(context, "authenticationmethods");
  if (!authenticates(config) && !proven_before(methods)) {
    findings.problem(
        "sshd: its auth stack asks for no proof of who comes, and AuthenticationMethods for none before "
        "keyboard-interactive: anybody could log in, or ask in anybody's name",
        "set AuthenticationMethods publickey,keyboard-interactive:pam, or include common-auth again");
  }
  const auto grace = parse_number(sshd_value(context, "logingracetime"));
  if (grace && *grace != 0 && *grace < kGraceSeconds) {
    findings.note(fmt::format("sshd: LoginGraceTime {} ends a login while somebody waits at the door", *grace),
                  fmt::format("set LoginGraceTime {}", kGraceSeconds));
  }
  const auto startups = sshd_value(context, "maxstartups");
  const auto begin = parse_number(std::string_view(startups).substr(0, startups.find(':')));
  if (begin && *begin < kStartups) {
    findings.note(
        fmt::format("sshd: with MaxStartups {} three who wait at the door keep others out", shown(startups)),
        "set MaxStartups 10:30:100");
  }
  const auto penalties = sshd_value(context, "persourcepenalties");
  if (!penalties.empty() && penalties != "no" && penalties.find("authfail:0") == std::string::npos) {
    findings.note(
        "sshd: PerSourcePenalties counts whoever is refused at the door as a failed login, and shuts out "
        "their address for a while",
        "list your networks in PerSourcePenaltyExemptList");
  }
}

void check_login(Context& context, const PamConfig& config, Findings& findings) {
  if (!authenticates(config)) {
    findings.problem("login: its auth stack asks for no proof of who comes", "include common-auth again");
  }
  std::uint64_t timeout = kLoginTimeout;
  const auto text = read_file(context.places.etc + "/login.defs", kMaxLoginDefs);
  for (const auto line : split(text ? std::string_view(*text) : std::string_view(), '\n')) {
    constexpr std::string_view kKey = "LOGIN_TIMEOUT";
    if (!line.starts_with(kKey)) continue;
    auto value = line.substr(kKey.size());
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    timeout = parse_number(value.substr(0, value.find_first_of(" \t"))).value_or(timeout);
  }
  if (timeout != 0 && timeout < kGraceSeconds) {
    findings.note(fmt::format("login: LOGIN_TIMEOUT {} ends a login while somebody waits at the door", timeout),
                  fmt::format("set LOGIN_TIMEOUT {} in /etc/login.defs", kGraceSeconds));
  }
}

}  // namespace

void check_door(Context& context, Findings& findings) {
  const auto lines = find_lines(pam_dir(context));
  if (!lines) return;  // check_gates says so
  std::set<std::string> services;
  for (const auto& line : *lines) services.insert(line.file.substr(line.file.rfind('/') + 1));
  for (const auto& service : services) {
    const auto config = PamConfig::load(pam_dir(context), service);
    if (!config) continue;  // likewise
    const auto& account = config->stack(PamType::account);
    const bool asks = std::any_of(account.begin(), account.end(), [](const PamConfig::Entry& entry) {
      const auto& args = entry.line.args;
      return entry.line.ours && std::find(args.begin(), args.end(), "request") != args.end();
    });
    if (!asks) continue;
    if (service == "sshd") check_sshd(context, *config, findings);
    if (service == "login") check_login(context, *config, findings);
    if (service.starts_with("sudo"))
      findings.note(fmt::format("{}: asks nobody at the door, since sudo's rules are read by then", service),
                    "take the word request off its lines");
  }
}

}  // namespace jit::ctl
