#include "jitctl/policy_files.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "jitctl/delivered.hpp"
#include "jitd/sys/accounts.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/own_files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxPolicyFiles = 1000;

std::string names(const std::vector<std::string>& list) {
  return joined(list, " or ");
}

// The first part of `path` that somebody but root can change; empty: none.
std::string changeable(const std::string& path) {
  std::string part;
  for (const auto& word : split(path, '/')) {
    if (word.empty() && !part.empty()) continue;
    part += part == "/" ? std::string(word) : "/" + std::string(word);
    if (part == "//" || part.empty()) part = "/";
    struct stat status {};
    if (::stat(part.c_str(), &status) != 0)
      return part + " (" + std::string(errno == ENOENT ? "is not there" : "cannot be read") + ")";
    if (status.st_uid != 0) return part + " (not owned by root)";
    if ((status.st_mode & 022) != 0 && (status.st_mode & S_ISVTX) == 0) return part + " (others may write)";
  }
  return {};
}

Result<Policy> load(const std::string& directory, const Result<UniqueFd>& dir, bool as_jitd,
                    std::vector<PolicyText> files = {}) {
  const auto bad = [](const Error& error) {  // a bad policy, however it is bad, and no refusal of who asks
    return tl::unexpected<Error>(
        {error.code == Errc::refused ? Errc::invalid : error.code, error.message, error.errnum});
  };
  if (!dir) return bad(dir.error());
  const auto found = list_dir(dir->get(), kMaxPolicyFiles);
  if (!found) return within(directory, found.error());
  for (const auto& name : *found) {
    if (name.starts_with('.') || !name.ends_with(".toml")) continue;
    const auto file = directory + "/" + shown(name, 300);
    auto text = as_jitd ? read_own_file(dir->get(), name, kMaxPolicyFile, file)
                        : read_file_at(dir->get(), name, kMaxPolicyFile);
    if (!text) return as_jitd ? bad(text.error()) : within(directory, text.error());
    files.push_back({file, std::move(*text)});
  }
  return load_policy(std::move(files));
}

}  // namespace

Result<Policy> read_policy(const Places& places) {
  const auto directory = places.etc_jit + "/policy.d";
  const auto state = delivered_here(places, Kind::policy);
  if (state.damaged) return fail(Errc::invalid, state.why_not);
  std::vector<PolicyText> delivered;
  if (state.counts)
    for (const auto& file : state.counts->files)
      delivered.push_back({fmt::format("delivered {}/{}", name_of(*state.counts), file.name), file.text});
  return load(directory, open_own_dir(directory), true, std::move(delivered));
}

Result<Policy> read_draft(const std::string& directory) {
  return load(directory, open_dir(directory), false);
}

std::vector<std::string> host_problems(const Policy& policy, const std::string& etc) {
  std::vector<std::string> problems;
  const auto accounts = LocalAccounts::read(etc);
  if (!accounts) return {"the local accounts cannot be read: " + accounts.error().message};
  for (const auto& [name, role] : policy.roles) {
    const auto say = [&problems, &of = name](const std::string& what) {
      problems.push_back(fmt::format("role {}: {}", of, what));
    };
    for (const auto& subject : role.eligible) {
      if (subject.kind == Subject::Kind::user && ::getpwnam(subject.name.c_str()) == nullptr)
        say(fmt::format("eligible: no user {} here", shown(subject.name)));
      if (subject.kind == Subject::Kind::group && ::getgrnam(subject.name.c_str()) == nullptr)
        say(fmt::format("eligible: no group {} here", shown(subject.name)));
    }
    for (const auto& group : role.groups) {
      if (accounts->group(group) == nullptr) say(fmt::format("group {} is not in {}/group", shown(group), etc));
    }
    bool opens_sudo = false;
    for (const auto& gate_name : role.opens) {
      const auto* gate = policy.gate(gate_name);
      if (gate == nullptr || !gate->enforce) continue;
      opens_sudo =
          opens_sudo || std::find(gate->services.begin(), gate->services.end(), "sudo") != gate->services.end();
    }
    if (!role.sudo.empty() && !opens_sudo) {
      say("it has sudo lines and opens no enforced gate on sudo, so it is refused as useless; add a gate on sudo and "
          "opens");
    }
    for (const auto& rule : role.sudo) {
      if (accounts->user(rule.as) == nullptr) say(fmt::format("sudo as {}: no such local account", shown(rule.as)));
      for (const auto& command : rule.commands) {
        if (command.path == "ALL") continue;
        if (const auto what = changeable(command.path); !what.empty()) {
          say(what.starts_with(command.path + " ") ? shown(what)
                                                   : fmt::format("{}: {}", shown(command.path), shown(what)));
        }
      }
    }
  }
  return problems;
}

Result<Facts> facts_of(const std::string& user) {
  errno = 0;
  const auto* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) return fail(Errc::not_found, fmt::format("{}: no such user here", shown(user)));
  Facts facts;
  facts.user = entry->pw_name;
  facts.uid = entry->pw_uid;
  std::vector<gid_t> gids(64);
  int count = static_cast<int>(gids.size());
  while (::getgrouplist(entry->pw_name, entry->pw_gid, gids.data(), &count) < 0) {
    if (count <= static_cast<int>(gids.size()) || count > 65536) {
      return fail(Errc::system, fmt::format("{}: groups cannot be read", shown(user)));
    }
    gids.resize(static_cast<std::size_t>(count));
  }
  gids.resize(static_cast<std::size_t>(count));
  for (const auto gid : gids) {
    if (const auto* group = ::getgrgid(gid); group != nullptr) facts.groups.insert(group->gr_name);
  }
  return facts;
}

std::string rule_in_words(const Rule& rule) {
  std::vector<std::string> conditions;
  if (!rule.when.users.empty()) conditions.push_back("for " + names(rule.when.users));
  if (!rule.when.groups.empty()) conditions.push_back("in group " + names(rule.when.groups));
  if (rule.when.duration) conditions.push_back("for at most " + format_duration(*rule.when.duration));
  if (rule.when.ticket) conditions.push_back("with a ticket like " + *rule.when.ticket);
  std::string words = conditions.empty() ? "always" : "when " + joined(conditions);
  switch (rule.then) {
    case Rule::Then::approve:
      words += ": approved by itself";
      break;
    case Rule::Then::deny:
      words += ": denied";
      break;
    case Rule::Then::review: {
      std::vector<std::string> needs;
      for (const auto& approval : rule.approvals)
        needs.push_back(fmt::format("{} of {}", approval.count, approval.by));
      words += ": needs " + joined(needs);
      break;
    }
  }
  if (rule.limit_duration) words += ", for at most " + format_duration(*rule.limit_duration);
  if (rule.limit_total) words += ", " + format_duration(*rule.limit_total) + " in 24 hours in all";
  if (!rule.message.empty()) words += " (" + rule.message + ")";
  return words;
}

}  // namespace jit::ctl
