#include "jitd/core/running.hpp"

#include <algorithm>
#include <cerrno>
#include <map>

#include "jitd/effects/dropins.hpp"
#include "jitd/effects/frozen_users.hpp"
#include "jitd/sys/accounts.hpp"

namespace jit {
namespace {

constexpr int kPatienceMs = 50;  // a killed process is gone in a few ms, unless it is in the kernel's hands

std::string not_gone(std::size_t count) {
  return std::to_string(count) + " processes of grants that are over were killed and are not gone";
}

}  // namespace

void end_commands(const Processes& processes, NotedCommands& noted, const WhichGrants& over, Taken& taken,
                  const Commands& but) {
  for (const std::string& grant : processes.grants()) {
    if (!over(grant)) continue;
    const auto kept = but.find(grant);
    const std::size_t killed = processes.kill(grant, kept == but.end() ? std::set<pid_t>() : kept->second);
    if (killed > 0) taken.ended[grant] += killed;
  }
  const NotedCommands::Ended ended = noted.kill([&](const NotedProcess& one) {
    const auto kept = but.find(one.grant);
    return over(one.grant) && (kept == but.end() || !kept->second.contains(one.pid));
  });
  for (const auto& [grant, killed] : ended.killed) taken.ended[grant] += killed;
  if (ended.left > 0) taken.failures.push_back(not_gone(ended.left));
}

void end_logins(Logins& logins, const WhichGrants& over, Taken& taken) {
  for (const auto& [grant, killed] : logins.kill(over)) taken.ended[grant] += killed;
}

void end_waiting_sudos(const Processes& processes, const SudoEnds& ends, const std::map<uid_t, std::string>& grant_of,
                       Taken& taken) {
  if (ends.empty()) return;
  for (const auto& [uid, killed] : kill_waiting_sudos(processes, ends, sudo_paths())) {
    taken.notes.push_back(std::to_string(killed) + " sudo of uid " + std::to_string(uid) +
                          " that waited while a grant ended were ended");
    if (const auto grant = grant_of.find(uid); grant != grant_of.end()) taken.ended[grant->second] += killed;
  }
}

bool end_holders(const Processes& processes, const std::string& etc, const std::string& frozen,
                 const std::set<LostGroup>& lost, Taken& taken) {
  if (lost.empty()) return true;
  auto accounts = LocalAccounts::read(etc);
  if (!accounts && accounts.error().errnum == ENOENT) accounts = LocalAccounts();
  if (!accounts) {
    taken.failures.push_back("processes that hold a group of a grant that is over were not looked for: " +
                             accounts.error().message);
    return false;
  }
  const auto entitled = [&](uid_t uid, gid_t gid) {
    const LocalUser* user = accounts->user(uid);
    const LocalGroup* group = accounts->group(gid);
    if (user == nullptr) return false;
    return user->gid == gid ||
           (group != nullptr && std::ranges::find(group->members, user->name) != group->members.end());
  };
  Processes::Holders holders;
  std::map<uid_t, std::string> grant_of;
  for (const LostGroup& one : lost) {
    const LocalUser* user = accounts->user(one.uid);
    const LocalGroup* group = accounts->group(one.gid);
    if (user != nullptr && user->gid == one.gid) continue;
    if (group != nullptr && std::ranges::find(group->members, one.user) != group->members.end()) continue;
    // What the primary group of a user from a directory is, only their processes tell.
    holders[one.gid][one.uid] = user != nullptr;
    grant_of.emplace(one.uid, one.grant);
  }
  std::vector<uid_t> users;
  users.reserve(grant_of.size());
  for (const auto& [uid, grant] : grant_of) users.push_back(uid);
  const FrozenUsers still(processes.tree(), frozen, users);
  const Processes::Ended ended = processes.kill_holders(holders, entitled);
  for (const auto& [uid, killed] : ended.killed) taken.ended[grant_of[uid]] += killed;
  if (!ended.all) {
    std::string uids;
    for (const auto& [uid, killed] : ended.killed) uids += (uids.empty() ? "" : ", ") + std::to_string(uid);
    taken.failures.push_back("processes of uid " + uids +
                             " hold a group of a grant that is over, and go on forking faster than they are killed");
  }
  return ended.all;
}

void see_them_gone(const Processes& processes, Bus& bus, const WhichGrants& over, Taken& taken) {
  std::vector<std::string> slices;
  // What was let run on there has ended: nobody else drops the slice.
  for (const std::string& grant : processes.grants(Processes::AtEnd::left))
    if (over(grant) && processes.in_slice(grant, Processes::AtEnd::left).empty())
      slices.push_back(Processes::slice(grant, Processes::AtEnd::left));
  std::vector<std::string> grants = processes.grants();
  std::erase_if(grants, [&](const std::string& grant) { return !over(grant); });
  if (const std::size_t left = processes.left_after(grants, kPatienceMs); left > 0) {
    taken.failures.push_back(not_gone(left));
    return;
  }
  for (const std::string& grant : grants) slices.push_back(Processes::slice(grant, Processes::AtEnd::taken));
  if (!slices.empty()) bus.stop_slices(slices);
}

}  // namespace jit
