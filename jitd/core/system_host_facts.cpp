#include "jitd/core/system_host_facts.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "jitd/core/root_path.hpp"
#include "jitd/core/sudoers_groups.hpp"
#include "jitd/effects/dropins.hpp"
#include "jitd/gates/lines.hpp"
#include "jitd/gates/stack.hpp"
#include "jitd/store/records.hpp"
#include "jitd/sys/accounts.hpp"
#include "jitd/sys/files.hpp"
#include "policy/rules/load.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The first fatal finding's text, or nothing.
std::string fatal(const std::vector<StackFinding>& findings) {
  for (const StackFinding& finding : findings)
    if (finding.fatal) return finding.text;
  return {};
}

}  // namespace

Result<std::uint32_t> SystemHostFacts::gid_of(const std::string& group) const {
  const auto accounts = LocalAccounts::read(paths_.etc);
  if (!accounts) return tl::unexpected<Error>(accounts.error());
  const LocalGroup* found = accounts->group(group);
  if (found == nullptr) return fail(Errc::not_found, "there is no group \"" + shown(group, 256) + "\" in /etc/group");
  return found->gid;
}

Result<std::uint32_t> SystemHostFacts::uid_of(const std::string& user) const {
  const auto accounts = LocalAccounts::read(paths_.etc);
  if (!accounts) return tl::unexpected<Error>(accounts.error());
  const LocalUser* found = accounts->user(user);
  if (found == nullptr) return fail(Errc::not_found, "there is no user \"" + shown(user, 256) + "\" in /etc/passwd");
  return found->uid;
}

bool SystemHostFacts::local_member(const std::string& user, const std::string& group) const {
  const auto accounts = LocalAccounts::read(paths_.etc);
  return accounts && contains(accounts->members(group), user);
}

Result<bool> SystemHostFacts::root_equivalent(const std::string& group, std::uint32_t gid) const {
  if (gid == 0 || root_equivalent_group(group)) return true;
  const auto accounts = LocalAccounts::read(paths_.etc);
  if (!accounts) return tl::unexpected<Error>(accounts.error());
  const auto sudoers = sudoers_groups(paths_.etc);
  if (!sudoers) return tl::unexpected<Error>(sudoers.error());
  if (sudoers->names.contains(group) || sudoers->gids.contains(gid)) return true;
  return std::any_of(accounts->groups().begin(), accounts->groups().end(), [&](const LocalGroup& other) {
    return other.gid == gid && (root_equivalent_group(other.name) || sudoers->names.contains(other.name));
  });
}

Result<void> SystemHostFacts::check_command(const Command& command) const {
  const auto path = resolved(command);
  if (!path) return tl::unexpected<Error>(path.error());
  return {};
}

Result<std::string> SystemHostFacts::resolved(const Command& command) const {
  if (command.path == "ALL") return command.path;
  const auto root = open_dir(root_);
  if (!root) return tl::unexpected<Error>(root.error());
  return check_root_path(root->get(), command.path);
}

std::vector<std::string> SystemHostFacts::exempt_groups() const {
  std::vector<std::string> result;
  const auto lines = find_lines(paths_.etc + "/pam.d");
  if (!lines) return result;
  constexpr std::string_view kKey = "exempt=";
  for (const LineFound& line : *lines) {
    for (std::size_t at = line.text.find(kKey); at != std::string::npos; at = line.text.find(kKey, at + 1)) {
      const std::size_t start = at + kKey.size();
      const std::string list = line.text.substr(start, line.text.find_first_of(" \t]#", start) - start);
      for (const std::string_view name : split(list, ','))
        if (name.starts_with('@')) result.emplace_back(name.substr(1));
    }
  }
  return result;
}

HostFacts::SudoStack SystemHostFacts::sudo_stack() const {
  const std::string pam_dir = paths_.etc + "/pam.d";
  SudoStack result;
  const auto note = [&](std::string problem) {
    if (result.problem.empty()) result.problem = std::move(problem);
    return false;
  };
  const std::vector<std::string> services = service_family(pam_dir, "sudo");
  if (!contains(services, "sudo")) {
    note("there is no " + pam_dir + "/sudo");
    return result;
  }
  result.account = result.session = result.enforce = true;
  for (const std::string& service : services) {
    const auto config = PamConfig::load(pam_dir, service);
    if (!config) {
      result.account = result.session = result.enforce = note(config.error().message);
      return result;
    }
    if (const auto why = fatal(prove_account(*config, "")); !why.empty()) result.account = note(why);
    if (const auto why = fatal(prove_session(*config, "")); !why.empty()) result.session = note(why);
    if (const auto why = fatal(prove_account(*config, "enforce")); !why.empty()) result.enforce = note(why);
    if (const auto why = fatal(prove_session(*config, "enforce")); !why.empty()) result.enforce = note(why);
  }
  return result;
}

SudoDialect SystemHostFacts::dialect() const {
  return dialect_of(find_sudos(spawn_));
}

Gifts SystemHostFacts::gifts() const {
  Gifts gifts;
  const auto file = HeldFile::open(system_files(), paths_.var, "held", false);
  if (!file && file.error().code == Errc::not_found) return gifts;
  const auto slots = file ? file->read() : tl::unexpected<Error>(file.error());
  const auto accounts = LocalAccounts::read(paths_.etc);
  if (!slots) {
    if (accounts)
      for (const LocalGroup& group : accounts->groups())
        for (const std::string& user : group.members) gifts.add(user, std::nullopt, group.name);
    return gifts;
  }
  struct Named {
    std::string name;
    std::set<std::string> members;
  };
  std::unordered_multimap<std::uint32_t, Named> groups;
  if (accounts)
    for (const LocalGroup& group : accounts->groups())
      groups.emplace(group.gid, Named{group.name, {group.members.begin(), group.members.end()}});
  std::set<std::pair<std::string, std::string>> held;  // group, user
  for (const HeldFile::Slot& slot : *slots)
    if (slot.record && slot.record->held) held.emplace(slot.record->group, slot.record->user);
  for (const HeldFile::Slot& slot : *slots) {
    if (!slot.record || !slot.record->held) continue;
    const HeldRecord& record = *slot.record;
    gifts.add(record.user, record.uid, record.group);
    const auto [begin, end] = groups.equal_range(record.gid);
    // A group that was renamed has our member on its line.
    const bool stands = std::any_of(begin, end, [&](const auto& entry) { return entry.second.name == record.group; });
    for (auto at = begin; at != end; ++at) {
      const Named& group = at->second;
      const bool own = stands && group.members.contains(record.user) && !held.contains({group.name, record.user});
      if (!own) gifts.add(record.user, record.uid, group.name);
    }
  }
  return gifts;
}

}  // namespace jit
