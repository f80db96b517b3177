#include "jitctl/ssh_mailbox.hpp"

#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "jitctl/gate.hpp"
#include "jitctl/policy_files.hpp"
#include "jitd/gates/lines.hpp"
#include "jitd/gates/stack.hpp"
#include "jitd/sys/accounts.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxDropIn = std::size_t{64} * 1024;
constexpr std::string_view kSyncGroup = "_jit-sync";

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trimmed(std::string_view line) {
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  return line;
}

std::string program(const Context& context, std::string_view name) {
  return fmt::format("{}/libexec/jit/{}", context.places.usr, name);
}

// sshd runs neither a key command nor a shell that others than root could have written.
std::string not_to_be_run(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return path + " is not there: install the package jitd-sync";
  if (!S_ISREG(status.st_mode) || (status.st_mode & S_IXOTH) == 0) return path + " cannot be run by the account jit";
  if (status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return path + " could be written by others than root: sshd does not run it";
  return {};
}

std::vector<std::string> values(const SshdSettings& settings, const std::string& keyword) {
  std::vector<std::string> found;
  const auto [from, to] = settings.equal_range(keyword);
  for (auto at = from; at != to; ++at) found.push_back(at->second);
  return found;
}

// Whether one of sshd's patterns names it: USER, USER@HOST or GROUP, with * and ?, and "!" before one that is not
// meant. Where a host is asked for, too, that may be the one.
bool named(const std::vector<std::string>& patterns, const std::set<std::string>& names) {
  bool found = false;
  for (const std::string& one : patterns) {
    const bool negated = one.starts_with('!');
    const std::string pattern = one.substr(negated ? 1 : 0, one.find('@') - (negated ? 1 : 0));
    for (const std::string& name : names) {
      if (::fnmatch(pattern.c_str(), name.c_str(), 0) != 0) continue;
      if (negated) return false;
      found = true;
    }
  }
  return found;
}

std::set<std::string> groups_of(const LocalAccounts& accounts, const LocalUser& user) {
  std::set<std::string> groups;
  if (const auto* primary = accounts.group(user.gid)) groups.insert(primary->name);
  for (const LocalGroup& group : accounts.groups())
    if (std::find(group.members.begin(), group.members.end(), user.name) != group.members.end())
      groups.insert(group.name);
  return groups;
}

}  // namespace

std::string sshd_program(const Context& context) {
  return context.places.usr + "/sbin/sshd";
}

std::string mailbox_drop_in(const Context& context) {
  return context.places.etc + "/ssh/sshd_config.d/50-jit.conf";
}

std::string mailbox_template(const Context& context) {
  return context.places.usr + "/share/jit/ssh/50-jit.conf";
}

bool mailbox_is_on(const Context& context) {
  struct stat status {};
  return ::lstat(mailbox_drop_in(context).c_str(), &status) == 0;
}

Result<SshdSettings> sshd_settings(Context& context, const std::string& user) {
  SpawnRequest request;
  request.argv = {sshd_program(context), "-T", "-C", fmt::format("user={},host=localhost,addr=127.0.0.1", user)};
  const auto outcome = context.spawn.run(request);
  if (!outcome) return tl::unexpected(outcome.error());
  if (outcome->exit_status != 0)
    return fail(Errc::system, "sshd does not take its configuration: " + shown(outcome->err, 512));
  SshdSettings settings;
  for (const auto line : split(outcome->out, '\n')) {
    const auto blank = std::min(line.find(' '), line.size());
    if (blank > 0)
      settings.emplace(lower(line.substr(0, blank)), std::string(line.substr(std::min(blank + 1, line.size()))));
  }
  return settings;
}

std::vector<std::pair<std::string, std::string>> drop_in_settings(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> settings;
  for (const auto raw : split(text, '\n')) {
    const auto line = trimmed(raw);
    const auto blank = line.find(' ');
    if (line.empty() || line.front() == '#' || blank == std::string_view::npos) continue;
    const std::string keyword = lower(line.substr(0, blank));
    if (keyword != "match") settings.emplace_back(keyword, std::string(line.substr(blank + 1)));
  }
  return settings;
}

std::string known_settings(std::string_view text, const SshdSettings& known) {
  // What newer releases, or builds with more in them, have; all else sshd must know.
  static const std::set<std::string> kOptional = {"unusedconnectiontimeout", "gssapiauthentication",
                                                  "kerberosauthentication"};
  std::string kept;
  for (const auto raw : split(text, '\n')) {
    const auto line = trimmed(raw);
    const std::string keyword = lower(line.substr(0, line.find(' ')));
    if (kOptional.contains(keyword) && !known.contains(keyword)) continue;
    (kept += raw) += '\n';
  }
  if (text.ends_with('\n')) kept.pop_back();  // what split gives behind the last LF
  return kept;
}

std::vector<std::string> account_problems(const Context& context) {
  std::vector<std::string> problems;
  const auto note = [&](std::string what) {
    if (!what.empty()) problems.push_back(std::move(what));
  };
  note(not_to_be_run(program(context, "authorized-keys")));
  note(not_to_be_run(program(context, "mailbox")));
  const auto accounts = LocalAccounts::read(context.places.etc);
  if (!accounts) {
    note(accounts.error().message);
    return problems;
  }
  const auto* user = accounts->user(kMailboxAccount);
  if (user == nullptr) {
    note("there is no account jit in " + context.places.etc + "/passwd: install the package jitd-sync");
    return problems;
  }
  if (user->shell != program(context, "mailbox"))
    note(fmt::format("the login shell of jit is {}: it is somebody else's account, or run usermod -s {} jit",
                     shown(user->shell), program(context, "mailbox")));
  if (user->uid == 0) note("jit is root by its uid");
  auto groups = groups_of(*accounts, *user);
  if (groups.erase(std::string(kSyncGroup)) == 0)
    note(fmt::format("jit is no member of {0} and can read no outbox: run usermod -a -G {0} jit", kSyncGroup));
  groups.erase(std::string(kMailboxAccount));
  if (!groups.empty())
    note(fmt::format("jit is a member of {}, and should not be: nobody who reaches the mailbox is",
                     joined({groups.begin(), groups.end()})));
  return problems;
}

std::vector<std::string> access_problems(const Context& context, const SshdSettings& settings) {
  std::vector<std::string> problems;
  std::set<std::string> groups;
  if (const auto accounts = LocalAccounts::read(context.places.etc))
    if (const auto* user = accounts->user(kMailboxAccount)) groups = groups_of(*accounts, *user);
  const std::set<std::string> user = {std::string(kMailboxAccount)};
  struct List {
    const char *keyword, *shown_as;
    bool allows;
    const std::set<std::string>& names;
  };
  for (const List& list :
       {List{"denyusers", "DenyUsers", false, user}, List{"allowusers", "AllowUsers", true, user},
        List{"denygroups", "DenyGroups", false, groups}, List{"allowgroups", "AllowGroups", true, groups}}) {
    const auto patterns = values(settings, list.keyword);
    if (patterns.empty() || named(patterns, list.names) == list.allows) continue;
    problems.push_back(list.allows ? fmt::format("sshd's {} leaves jit out: add jit to it", list.shown_as)
                                   : fmt::format("sshd's {} names jit: take it off there", list.shown_as));
  }
  if (values(settings, "usepam") == std::vector<std::string>{"no"})
    problems.emplace_back("sshd says UsePAM no, and takes no account without a password then: set UsePAM yes");
  return problems;
}

std::vector<std::string> setting_problems(std::string_view drop_in, const SshdSettings& settings) {
  std::vector<std::string> problems;
  for (const auto& [keyword, value] : drop_in_settings(drop_in)) {
    const auto now = values(settings, keyword);
    if (now.size() == 1 && lower(now.front()) == lower(value)) continue;
    problems.push_back(fmt::format("for jit, sshd has {} \"{}\" and not \"{}\": a Match block before {} says so",
                                   keyword, shown(joined(now, ", "), 200), value, "50-jit.conf"));
  }
  return problems;
}

std::vector<std::string> mailbox_problems(Context& context) {
  auto problems = account_problems(context);
  const auto add = [&](const std::vector<std::string>& more) {
    problems.insert(problems.end(), more.begin(), more.end());
  };
  const auto settings = sshd_settings(context, std::string(kMailboxAccount));
  const auto drop_in = read_file(mailbox_drop_in(context), kMaxDropIn);
  if (settings && drop_in) {
    add(access_problems(context, *settings));
    add(setting_problems(*drop_in, *settings));
  } else {
    add({settings ? drop_in.error().message : settings.error().message});
  }
  const auto gated = mailbox_is_gated(context);
  if (!gated) add({gated.error().message});
  if (gated && *gated) add({"sshd's gate asks jit for a grant, so nobody reaches the mailbox: jitctl source ssh on"});
  const auto policy = read_policy(context.places);
  const auto accounts = LocalAccounts::read(context.places.etc);
  const auto* user = accounts ? accounts->user(kMailboxAccount) : nullptr;
  if (!policy || user == nullptr) return problems;  // said elsewhere
  const auto groups = groups_of(*accounts, *user);
  for (const auto& [name, role] : policy->roles)
    for (const auto& group : role.groups)
      if (groups.contains(group))
        add({fmt::format("role {} gives the group {}, which jit is in: what is for the mailbox would be for them",
                         name, group)});
  return problems;
}

std::string exempt_with_mailbox(const Context& context, const std::string& service, const std::string& exempt) {
  const auto family = service_family(pam_dir(context), service);
  const bool sshd = service == "sshd" || std::find(family.begin(), family.end(), "sshd") != family.end();
  return sshd && mailbox_is_on(context) ? exempt_list(exempt, kMailboxAccount, true) : exempt;
}

Result<bool> mailbox_is_gated(const Context& context) {
  const auto now = gate_now(context, "sshd");
  if (!now) return tl::unexpected(now.error());
  if (now->mode.empty()) return false;
  const auto words = split(now->exempt, ',');
  return std::find(words.begin(), words.end(), kMailboxAccount) == words.end();
}

}  // namespace jit::ctl
