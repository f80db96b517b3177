#include "jitd/core/host_facts.hpp"

#include <algorithm>

#include "policy/names.hpp"
#include "policy/rules/load.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

std::string in_quotes(std::string_view name) {
  return "\"" + shown(name, 256) + "\"";
}

tl::unexpected<Error> refused(const Role& role, const std::string& why) {
  return fail(Errc::refused, "role " + in_quotes(role.name) + " cannot be given on this host: " + why);
}

// A group that lifts a gate's exception by another name: what `except` and exempt= say is about ids in the end.
Result<void> check_exceptions(const Policy& policy, const Role& role, const GroupEffect& effect,
                              const HostFacts& facts) {
  const auto same = [&](const std::string& name) {
    const auto gid = facts.gid_of(name);
    return name == effect.group || (gid && *gid == effect.gid);
  };
  for (const Gate& gate : policy.gates)
    for (const Subject& subject : gate.except)
      if (subject.kind == Subject::Kind::group && same(subject.name))
        return refused(role, "group " + in_quotes(effect.group) + " is in `except` of gate " + in_quotes(gate.name));
  for (const std::string& name : facts.exempt_groups())
    if (same(name)) return refused(role, "group " + in_quotes(effect.group) + " is in exempt= of a PAM line");
  return {};
}

Result<void> add_group(const Policy& policy, const Role& role, const std::string& group, const HostFacts& facts,
                       Effects& effects) {
  const auto gid = facts.gid_of(group);
  if (!gid) return refused(role, gid.error().message);
  if (!usable_id(*gid) || dynamic_id(*gid))
    return refused(role,
                   "group " + in_quotes(group) + " has gid " + std::to_string(*gid) + ", which is nobody's to give");
  const auto dangerous = facts.root_equivalent(group, *gid);
  if (!dangerous) return refused(role, dangerous.error().message);
  if (*dangerous && !role.dangerous)
    return refused(role, "group " + in_quotes(group) +
                             " is as good as root here (by its gid, or a sudoers rule names it)" +
                             "; say dangerous = true in the role if that is meant");
  const GroupEffect effect{group, *gid};
  if (auto clear = check_exceptions(policy, role, effect, facts); !clear) return clear;
  effects.groups.push_back(effect);
  return {};
}

Result<void> add_sudo(const Role& role, const SudoRule& rule, const HostFacts& facts, Effects& effects) {
  const auto uid = facts.uid_of(rule.as);
  if (!uid) return refused(role, uid.error().message);
  if (!usable_id(*uid)) return refused(role, "user " + in_quotes(rule.as) + " has no usable uid");
  for (const Command& command : rule.commands) {
    if (auto good = facts.check_command(command); !good) return refused(role, good.error().message);
    const auto real = facts.resolved(command);
    if (!real) return refused(role, real.error().message);
    // The name behind a link tells an editor from a tool; its arguments are judged by the name that policy gives.
    const bool root_like = root_equivalent_command(command) || root_equivalent_command({*real, command.args, false});
    if (*uid == 0 && root_like && !role.dangerous)
      return refused(role,
                     in_quotes(to_text(command)) + " as " + shown(rule.as, 256) + " (uid 0, " + shown(*real) +
                         ") is as good as any command as root; say dangerous = true in the role if that is meant");
    effects.sudo.push_back({rule.as, *uid, command, !rule.password, rule.record});
  }
  return {};
}

// sudo lines work, and end in time, only where sudo asks us: behind an enforced gate that the role opens.
Result<void> check_sudo(const Policy& policy, const Role& role, const HostFacts& facts) {
  const bool opens = std::any_of(role.opens.begin(), role.opens.end(), [&](const std::string& name) {
    const Gate* gate = policy.gate(name);
    return gate != nullptr && gate->enforce && gate->guards_sudo();
  });
  if (!opens)
    return refused(role,
                   "it has sudo lines, but opens no gate on sudo that enforces, so they would be useless; add "
                   "such a gate to [[gates]] and to the role's opens");
  const HostFacts::SudoStack stack = facts.sudo_stack();
  if (!stack.account || !stack.session || !stack.enforce)
    return refused(role, "sudo is not gated here (" + stack.problem + "); run: jitctl gate enforce sudo");
  const bool records = std::any_of(role.sudo.begin(), role.sudo.end(),
                                   [](const SudoRule& rule) { return rule.record == Recording::required; });
  if (records && facts.dialect() == SudoDialect::sudo_rs)
    return refused(role,
                   "it has recorded sudo lines, and the only sudo here is sudo-rs, which cannot record; "
                   "install sudo, or say record = \"best-effort\" in the role if that is meant");
  return {};
}

}  // namespace

void Gifts::add(const std::string& user, std::optional<std::uint32_t> uid, const std::string& group) {
  by_user_.emplace(user, group);
  if (uid) by_uid_.emplace(*uid, group);
}

std::set<std::string> Gifts::of(const std::string& user, std::uint32_t uid) const {
  std::set<std::string> groups;
  const auto named = by_user_.equal_range(user);
  for (auto at = named.first; at != named.second; ++at) groups.insert(at->second);
  const auto numbered = by_uid_.equal_range(uid);
  for (auto at = numbered.first; at != numbered.second; ++at) groups.insert(at->second);
  return groups;
}

Result<Effects> make_effects(const Policy& policy, const Role& role, const HostFacts& facts) {
  Effects effects;
  for (const std::string& group : role.groups)
    if (auto added = add_group(policy, role, group, facts, effects); !added)
      return tl::unexpected<Error>(added.error());
  effects.opens = role.opens;
  for (const SudoRule& rule : role.sudo)
    if (auto added = add_sudo(role, rule, facts, effects); !added) return tl::unexpected<Error>(added.error());
  if (!role.sudo.empty())
    if (auto gated = check_sudo(policy, role, facts); !gated) return tl::unexpected<Error>(gated.error());
  return parse_effects(to_text(effects));  // in canonical order, and readable again
}

}  // namespace jit
