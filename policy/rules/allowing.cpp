#include "policy/rules/allowing.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

namespace jit {

bool allows(const Command& command, const std::vector<std::string>& argv) {
  if (argv.empty()) return false;
  if (command.path == "ALL") return true;
  if (command.path != argv.front()) return false;
  const std::size_t fixed = command.args.size(), given = argv.size() - 1;
  if (command.any_args ? given < fixed : given != fixed) return false;
  return std::equal(command.args.begin(), command.args.end(), argv.begin() + 1);
}

std::vector<Allowing> roles_allowing(const Policy& policy, const std::vector<std::string>& argv) {
  std::vector<Allowing> found;
  for (const auto& [name, role] : policy.roles) {
    std::optional<Allowing> best;
    std::size_t commands = 0;
    for (const SudoRule& rule : role.sudo) {
      commands += rule.commands.size();
      for (const Command& command : rule.commands) {
        if (!allows(command, argv)) continue;
        const bool exact = !command.any_args && command.path != "ALL";
        const auto order = [](const Allowing& one) { return std::tuple(!one.exact, one.as == "root", one.as); };
        Allowing one{name, rule.as, exact, role.dangerous, 0};
        if (!best || order(one) < order(*best)) best = std::move(one);
      }
    }
    if (!best) continue;
    best->commands = commands;
    found.push_back(std::move(*best));
  }
  std::stable_sort(found.begin(), found.end(), [](const Allowing& a, const Allowing& b) {
    return std::tuple(!a.exact, a.dangerous, a.commands, a.role) <
           std::tuple(!b.exact, b.dangerous, b.commands, b.role);
  });
  return found;
}

}  // namespace jit
