#include "jitd/server/board_gates.hpp"

#include <fmt/format.h>

#include <set>

#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxRolesInHelp = 4;

std::string default_help(const Policy& policy, const Gate& gate) {
  std::vector<std::string> roles;
  for (const auto& [name, role] : policy.roles)
    for (const auto& opens : role.opens)
      if (opens == gate.name) roles.push_back(name);
  const std::string asked = roles.size() == 1 ? roles.front() : "ROLE";
  std::string text = fmt::format(
      "No grant opens this host's gate \"{}\" for you now. Ask with: jitctl request {} -m WHY", gate.name, asked);
  if (roles.size() > 1 && roles.size() <= kMaxRolesInHelp) text += fmt::format(" (ROLE: {})", joined(roles, " or "));
  return text;
}

}  // namespace

BoardGates board_gates(const Policy& policy, const LocalAccounts& accounts) {
  BoardGates out;
  for (const Gate& gate : policy.gates) {
    wire::GateOnBoard board;
    board.name = gate.name;
    board.services = gate.services;
    board.enforce = gate.enforce;
    board.help = gate.help.empty() ? default_help(policy, gate) : gate.help;

    std::set<std::string> users, except;
    for (const Subject& subject : gate.users) switch (subject.kind) {
        case Subject::Kind::everybody:
          board.everybody = true;
          break;
        case Subject::Kind::user:
          users.insert(subject.name);
          break;
        case Subject::Kind::group:
          if (accounts.group(subject.name) == nullptr) {
            board.everybody = true;
            out.warnings.push_back(
                fmt::format("gate {}: there is no group {} in /etc/group: the gate covers everybody until there is",
                            gate.name, subject.name));
            break;
          }
          for (auto& member : accounts.members(subject.name)) users.insert(std::move(member));
          break;
      }
    for (const Subject& subject : gate.except) {
      if (subject.kind == Subject::Kind::group) {
        if (accounts.group(subject.name) == nullptr)
          out.warnings.push_back(
              fmt::format("gate {}: except names the group {}, which is not in /etc/group: it excepts nobody",
                          gate.name, subject.name));
        for (auto& member : accounts.members(subject.name))
          if (accounts.user(member) != nullptr) except.insert(std::move(member));
      } else if (subject.kind == Subject::Kind::user) {
        if (accounts.user(subject.name) != nullptr)
          except.insert(subject.name);
        else
          out.warnings.push_back(
              fmt::format("gate {}: except names {}, who is not in /etc/passwd: only local accounts can be excepted",
                          gate.name, subject.name));
      }
    }
    board.users.assign(users.begin(), users.end());
    board.except.assign(except.begin(), except.end());
    out.gates.push_back(std::move(board));
  }
  return out;
}

}  // namespace jit
