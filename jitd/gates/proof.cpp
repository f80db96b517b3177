// The proof over a stack: a walk over every way that libpam's _pam_dispatch can take through it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "jitd/gates/stack.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using Stack = std::vector<PamConfig::Entry>;

std::string at(const PamLine& line) {
  return fmt::format("{}:{}: ", line.file, line.line);
}

std::string seen(const PamLine& line) {
  return fmt::format("{} {}", shown(line.control, 80), shown(line.module, 80));
}

// Where a jump over `count` entries lands: entries of the same depth are counted, a substack as one. A jump never
// leaves its substack; one that is too long makes the stack fail (libpam: "bad jump in stack").
std::size_t jump_target(const Stack& stack, std::size_t from, std::uint64_t count, bool& too_long) {
  const unsigned depth = stack[from].depth;
  std::size_t index = from;
  while (count > 0 && index + 1 < stack.size() && stack[index + 1].depth >= depth) {
    do ++index;
    while (index + 1 < stack.size() && stack[index + 1].depth > depth);
    --count;
  }
  too_long = count > 0;
  return index + 1;
}

// The first entry behind the substack that `from` is in: where done and die of a substack lead.
std::size_t behind_substack(const Stack& stack, std::size_t from) {
  std::size_t index = from + 1;
  while (index < stack.size() && stack[index].depth >= stack[from].depth) ++index;
  return index;
}

// Everything that can keep the walk from entry `ours`.
std::vector<StackFinding> ways_around(const Stack& stack, std::size_t ours) {
  std::vector<StackFinding> findings;
  std::set<std::size_t> todo = {0};
  std::set<std::size_t> done;
  while (!todo.empty()) {
    const std::size_t index = *todo.begin();
    todo.erase(todo.begin());
    if (index >= ours || !done.insert(index).second) continue;
    const auto& [line, depth] = stack[index];
    if (line.control == "substack" && line.actions.empty()) {
      todo.insert(index + 1);
      continue;
    }
    for (const auto& [value, action] : line.actions) {
      std::size_t next = index + 1;
      if (action == "done" || action == "die") {
        next = depth > 0 ? behind_substack(stack, index) : stack.size();
        if (action == "done" && next > ours) {
          findings.push_back({true, fmt::format("{}\"{}\" ends the stack on {} before it reaches {}", at(line),
                                                seen(line), value, kModule)});
        }
        if (action == "die" && depth == 0) continue;  // refused: no way around
      } else if (const auto count = parse_number(action, 9999)) {
        bool too_long = false;
        next = jump_target(stack, index, *count, too_long);
        if (too_long) {
          findings.push_back(
              {false, fmt::format("{}\"{}\" jumps past the end of the stack on {}, which refuses everybody", at(line),
                                  seen(line), value)});
        } else if (next > ours) {
          findings.push_back(
              {true, fmt::format("{}\"{}\" jumps over {} on {}", at(line), seen(line), kModule, value)});
        }
      }
      todo.insert(next);
    }
  }
  return findings;
}

// The line itself: its control, arguments and mark.
void prove_line(const PamConfig& config, const PamConfig::Entry& ours, const std::string& wanted_mode,
                std::vector<StackFinding>& findings) {
  const PamLine& line = ours.line;
  if (line.control != "required" && line.control != "requisite") {
    findings.push_back(
        {true, fmt::format("{}{} must be \"required\", not \"{}\"", at(line), kModule, shown(line.control, 80))});
  }
  if (ours.depth > 0) {
    findings.push_back(
        {true, at(line) + "stands in a substack, whose end it cannot decide; put it into the service's own file"});
  }
  const std::string listed = line.argument("services");
  const auto services = split(listed, ',');
  if (std::find(services.begin(), services.end(), config.service()) == services.end()) {
    findings.push_back({true, fmt::format("{}services= does not name \"{}\", so {} lets everybody of it pass",
                                          at(line), config.service(), kModule)});
  }
  std::string mode = line.argument("mode");
  if (mode.empty()) mode = "observe";
  if (mode != "observe" && mode != "enforce") {
    findings.push_back({true, fmt::format("{}mode={} is neither observe nor enforce", at(line), shown(mode, 40))});
  } else if (!wanted_mode.empty() && mode != wanted_mode) {
    findings.push_back({true, fmt::format("{}the line says mode={}, wanted is {}", at(line), mode, wanted_mode)});
  }
  if (!line.marked) {
    findings.push_back({false, at(line) +
                                   "not written by `jitctl gate` (no mark): only by hand can it be taken out, and as "
                                   "long as it stands the package refuses to be removed"});
  }
}

std::vector<StackFinding> prove(const PamConfig& config, PamType type, const std::string& wanted_mode) {
  const std::string name = type == PamType::account ? "account" : "session";
  const Stack& stack = config.stack(type);
  std::vector<StackFinding> findings;
  const auto is_ours = [](const PamConfig::Entry& entry) { return entry.line.ours; };
  const auto it = std::find_if(stack.begin(), stack.end(), is_ours);
  if (it == stack.end()) {
    findings.push_back({true, fmt::format("{}/{}: no {} in the {} stack", kPamDir, config.service(), kModule, name)});
    return findings;
  }
  const auto ours = static_cast<std::size_t>(it - stack.begin());
  prove_line(config, *it, wanted_mode, findings);
  auto around = ways_around(stack, ours);
  findings.insert(findings.end(), around.begin(), around.end());

  for (std::size_t index = ours + 1; index < stack.size(); ++index) {
    const auto& [line, depth] = stack[index];
    if (line.ours) findings.push_back({false, fmt::format("{}{} stands a second time", at(line), kModule)});
    // A reset in a substack falls back to what held on entering it, our refusal included.
    const bool resets =
        std::any_of(line.actions.begin(), line.actions.end(), [](const auto& a) { return a.second == "reset"; });
    if (resets && depth == 0 && it->line.control != "requisite") {
      findings.push_back(
          {true, fmt::format("{}\"{}\" can forget a refusal by {} (reset)", at(line), seen(line), kModule)});
    }
    if (type == PamType::session && line.module.find("pam_systemd.so") != std::string::npos) {
      findings.push_back(
          {true, at(line) + "pam_systemd moves processes and must stand before " + std::string(kModule)});
    }
  }
  return findings;
}

}  // namespace

std::vector<StackFinding> prove_account(const PamConfig& config, const std::string& wanted_mode) {
  return prove(config, PamType::account, wanted_mode);
}

std::vector<StackFinding> prove_session(const PamConfig& config, const std::string& wanted_mode) {
  return prove(config, PamType::session, wanted_mode);
}

}  // namespace jit
