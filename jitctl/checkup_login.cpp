// Doctor's look at what lets people in: PAM stacks, exempt logins, sshd and sudo.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "jitctl/checkup.hpp"
#include "jitctl/exempt.hpp"
#include "jitctl/gate.hpp"
#include "jitctl/policy_files.hpp"
#include "jitd/gates/lines.hpp"
#include "jitd/gates/stack.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxSudoers = 1024 * 1024;

std::string_view trimmed(std::string_view line) {
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
  return line;
}

// sudo skips names with a dot in them and those that end in ~ (sudoers(5)).
bool sudo_reads(const std::string& name) {
  return name.find('.') == std::string::npos && !name.ends_with("~");
}

// Names of /etc/sudoers.d that sudo reads, in its order; and all sudoers files with their text.
std::vector<std::string> dropins(const Context& context) {
  const auto dir = open_dir(context.places.etc + "/sudoers.d");
  if (!dir) return {};
  const auto names = list_dir(dir->get());
  std::vector<std::string> read;
  for (const auto& name : names ? *names : std::vector<std::string>{}) {
    if (sudo_reads(name)) read.push_back(name);
  }
  std::sort(read.begin(), read.end());
  return read;
}

// `!pam_session` and their like switch our lines off from within sudoers.
void check_defaults(const std::string& file, std::string_view text, Findings& findings) {
  unsigned number = 0;
  for (const auto raw : split(text, '\n')) {
    ++number;
    const auto line = trimmed(raw);
    if (!line.starts_with("Defaults")) continue;
    for (const auto* word : {"!pam_acct_mgmt", "!pam_session"}) {
      if (line.find(word) != std::string_view::npos) {
        findings.problem(fmt::format("{}:{}: {} makes sudo pass over our lines", file, number, word), "take it out");
      }
    }
    for (const auto* word : {"pam_service", "pam_login_service", "pam_askpass_service"}) {
      const auto at = line.find(word);
      if (at == std::string_view::npos ||
          line.find("sudo", at + std::string_view(word).size()) != std::string_view::npos)
        continue;
      findings.problem(
          fmt::format("{}:{}: {} sends sudo to another PAM service, where our lines are not", file, number, word),
          "take it out, or gate that service too");
    }
  }
}

void check_sudo_rs(const Context& context, Findings& findings) {
  for (const auto* path : {"/bin/sudo-rs", "/lib/cargo/bin/sudo"}) {
    if (::access((context.places.usr + path).c_str(), X_OK) != 0) continue;
    findings.note("sudo-rs is installed: unrecorded sudo rules carry no NOTAFTER as a second lock",
                  "remove sudo-rs where classic sudo is what people use");
    return;
  }
}

void check_stack(Context& context, const std::string& service, const Policy* policy, Findings& findings) {
  const auto now = gate_now(context, service);
  if (!now) {
    findings.problem(now.error().message, "mend the file: PAM may refuse everybody");
    return;
  }
  const auto gates = policy != nullptr ? policy_gates(*policy, service) : std::string();
  if (now->mode.empty()) {
    if (!gates.empty()) {
      findings.note(fmt::format("{}: the policy has gate {} and the service has no line of ours", service, gates),
                    fmt::format("jitctl gate observe {}", service));
    }
    return;
  }
  for (const auto& problem : now->problems) {
    findings.problem(fmt::format("{}: {}", service, problem),
                     fmt::format("mend the stack, or write our lines anew: jitctl gate {} {}", now->mode, service));
  }
  if (now->problems.empty()) findings.fine(fmt::format("{}: {}, proven", service, now->mode));
  if (now->mode != "enforce") return;
  if (now->exempt.empty()) {
    findings.problem(
        fmt::format("{}: enforced without an exempt account: nobody gets in when jitd and its board are gone",
                    service),
        fmt::format("jitctl gate enforce {} --exempt root", service));
  } else if (auto login = need_exempt_login(context, service, now->exempt); !login) {
    findings.problem(fmt::format("{}: {}", service, login.error().message), "");
  }
}

}  // namespace

void check_gates(Context& context, Findings& findings) {
  const auto lines = find_lines(pam_dir(context));
  if (!lines) {
    findings.problem(lines.error().message, "");
    return;
  }
  std::set<std::string> services;
  for (const auto& line : *lines) {
    services.insert(line.file.substr(line.file.rfind('/') + 1));
    if (!line.marked) {
      findings.problem(
          fmt::format("{}:{}: a line with pam_jit.so that is not ours: removing the package would lock everybody out",
                      line.file, line.line),
          "take it out by hand, and use jitctl gate");
    }
  }
  bool module_there = false;
  for (const auto* path : {"/lib/security/pam_jit.so", "/lib/x86_64-linux-gnu/security/pam_jit.so",
                           "/lib/aarch64-linux-gnu/security/pam_jit.so", "/lib64/security/pam_jit.so"}) {
    module_there = module_there || ::access((context.places.usr + path).c_str(), R_OK) == 0;
  }
  if (!services.empty() && !module_there) {
    findings.problem("PAM lines name pam_jit.so and it is not there: those services refuse everybody",
                     "/usr/libexec/jit/gate-lines off --all, or install libpam-jit");
  }
  const auto policy = read_policy(context.places);
  if (policy) {
    for (const auto& gate : policy->gates) services.insert(gate.services.begin(), gate.services.end());
  }
  for (const auto& service : services) check_stack(context, service, policy ? &*policy : nullptr, findings);
  if (services.empty()) findings.note("no service is gated", "watch first: jitctl gate observe sshd");
  if (services.contains("sshd") && sshd_value(context, "usepam") == "no") {
    findings.problem("sshd says UsePAM no: its PAM stack, our gate with it, is never asked",
                     "set UsePAM yes in sshd_config");
  }
}

void check_sudo(Context& context, Findings& findings) {
  const auto& etc = context.places.etc;
  const auto sudoers = read_file(etc + "/sudoers", kMaxSudoers);
  if (!sudoers) {
    findings.note(sudoers.error().message, "without sudo, roles with sudo commands are not given");
    return;
  }
  check_defaults(etc + "/sudoers", *sudoers, findings);
  const auto names = dropins(context);
  for (const auto& name : names) {
    const auto path = etc + "/sudoers.d/" + name;
    if (const auto text = read_file(path, kMaxSudoers)) check_defaults(path, *text, findings);
  }
  bool includes = false;
  for (const auto raw : split(*sudoers, '\n')) {
    const auto line = trimmed(raw);
    includes = includes || ((line.starts_with("@includedir") || line.starts_with("#includedir")) &&
                            trimmed(line.substr(11)) == "/etc/sudoers.d");
  }
  const auto zz = read_file(etc + "/sudoers.d/zz-jit", kMaxSudoers);
  if (!includes) {
    findings.problem(etc + "/sudoers does not include /etc/sudoers.d: sudo sees no rule that jitd gives",
                     "add with visudo, as its last line: @includedir /etc/sudoers.d");
  }
  if (!zz || zz->find("@includedir /run/jit/sudoers.d") == std::string::npos) {
    findings.problem(etc + "/sudoers.d/zz-jit does not include /run/jit/sudoers.d: sudo sees no rule that jitd gives",
                     "install the package jitd again");
  } else if (!names.empty() && names.back() != "zz-jit") {
    findings.problem(
        fmt::format("{}/sudoers.d/{} sorts behind zz-jit: the last match wins, and a standing rule's tags would "
                    "hide ours",
                    etc, names.back()),
        "rename it so that it sorts before zz-jit");
  } else if (includes) {
    findings.fine("sudo reads jitd's rules last");
  }
  const auto conf = read_file(etc + "/sudo.conf", kMaxSudoers);
  bool dynamic = false;
  for (const auto raw : split(conf ? std::string_view(*conf) : std::string_view(), '\n')) {
    dynamic = dynamic || trimmed(raw) == "Set group_source dynamic";
  }
  if (!dynamic) {
    findings.note(
        "sudo matches %group rules against the groups a process has, not those its user has now: an open session "
        "keeps "
        "what a group's rule allowed",
        "add to /etc/sudo.conf: Set group_source dynamic");
  }
  check_sudo_rs(context, findings);
}

}  // namespace jit::ctl
