// jitctl policy: what the policy files say, whether they load, and why a wish would be decided as it would.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/delivered.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/policy_files.hpp"
#include "policy/rules/people.hpp"
#include "policy/rules/view.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

struct Options {
  std::string directory, role, user, duration, ticket;
};

std::string directory_of(const Context& context, const Options& options) {
  return options.directory.empty() ? context.places.etc_jit + "/policy.d" : options.directory;
}

// Whether it is the host's own, and not a draft.
bool jitds(const Context& context, const Options& options) {
  std::error_code ignored;
  return options.directory.empty() ||
         std::filesystem::equivalent(options.directory, context.places.etc_jit + "/policy.d", ignored);
}

// What of it the owners delivered, in words; empty: nothing.
std::string delivered_to(const Context& context, const Options& options) {
  return jitds(context, options) ? in_words(delivered_here(context.places, Kind::policy)) : std::string();
}

Result<Policy> policy_of(const Context& context, const Options& options) {
  return jitds(context, options) ? read_policy(context.places) : read_draft(options.directory);
}

// Active grants that this policy would end, as far as jitctl can know: judged with every consent that could count,
// and with the groups of now. jitd decides with the consents and facts of the activation, and may end more.
std::vector<std::string> grants_that_would_end(Context& context, const Policy& policy) {
  std::vector<std::string> lines;
  const auto reply = context.daemon.call(wire::Verb::list, Row().number(Tag::all, 1));
  if (!reply || !reply->ok()) return lines;
  const auto info = inspect(context);
  for (const auto& row : reply->items) {
    if (row.text(Tag::state) != "active") continue;
    const auto user = row.text(Tag::user);
    const auto* role = policy.role(row.text(Tag::role));
    std::string why;
    auto facts = facts_of(user);
    if (role == nullptr) {
      why = "its role is gone";
    } else if (!facts) {
      why = facts.error().message;
    } else {
      if (info) facts->segments = info->segments;
      facts->view_age = Seconds(0);  // what is in force was judged by that when it was given
      const auto able = approvers_of(policy, *role);
      const std::vector<PersonRef> consents(able.begin(), able.end());
      const Wish wish{role->name, Seconds(static_cast<Seconds::rep>(row.number(Tag::duration).value_or(0))),
                      row.text(Tag::ticket), row.text(Tag::kind) == "grant"};
      const auto decision = decide(policy, wish, *facts, consents, kAbsoluteCeiling, context.now());
      if (decision.verdict == Verdict::approve) continue;
      why = decision.reasons.empty() ? "no rule grants it any more" : decision.reasons.back();
    }
    lines.push_back(fmt::format("{} ({} of {}): {}", row.text(Tag::id), row.text(Tag::role), user, why));
  }
  return lines;
}

Outcome check(Context& context, const Options& options) {
  const auto directory = directory_of(context, options);
  const auto policy = policy_of(context, options);
  if (!policy) {
    if (!context.json) return tl::unexpected(policy.error());
    context.out << JsonObject().boolean("good", false).text("error", policy.error().message).str() << '\n';
    return Exit::failed;
  }
  auto warnings = policy->warnings;
  const auto here = host_problems(*policy, context.places.etc);
  warnings.insert(warnings.end(), here.begin(), here.end());
  const auto ending = grants_that_would_end(context, *policy);
  const auto delivered = delivered_to(context, options);
  if (context.json) {
    context.out << JsonObject()
                       .boolean("good", true)
                       .text("delivered", delivered)
                       .text("digest", digest_text(policy->digest))
                       .number("roles", policy->roles.size())
                       .texts("warnings", warnings)
                       .texts("would_end", ending)
                       .str()
                << '\n';
    return Exit::done;
  }
  context.out << fmt::format("{}: good, {} role{}, {} gate{}, {}\n", shown(directory), policy->roles.size(),
                             policy->roles.size() == 1 ? "" : "s", policy->gates.size(),
                             policy->gates.size() == 1 ? "" : "s", digest_text(policy->digest));
  if (!delivered.empty()) context.out << "delivered: " << shown(delivered) << '\n';
  for (const auto& warning : warnings) context.out << "warning: " << shown(warning) << '\n';
  for (const auto& line : ending) context.out << "would end: " << shown(line) << '\n';
  if (context.uid != 0) context.out << "Which active grants would end is told to root, for all of them.\n";
  return Exit::done;
}

std::string_view recorded_in_words(Recording record) {
  switch (record) {
    case Recording::none:
      break;
    case Recording::required:
      return " (recorded)";
    case Recording::best_effort:
      return " (recorded where sudo can)";
  }
  return "";
}

void show_role(std::ostream& out, const Role& role) {
  out << fmt::format("{}  up to {}{}\n", role.name, format_duration(role.max_duration),
                     role.dangerous ? ", dangerous" : "");
  const auto line = [&out](std::string_view label, const std::string& text) {
    if (!text.empty()) out << fmt::format("  {:<9}  {}\n", label, shown(text));
  };
  line("for", role.description);
  std::vector<std::string> eligible;
  for (const auto& subject : role.eligible) eligible.push_back(to_text(subject));
  line("eligible", joined(eligible, ", "));
  line("segments", joined(role.segments, ", "));
  line("groups", joined(role.groups, ", "));
  line("opens", joined(role.opens, ", "));
  if (role.view) line("view", "of revocations " + in_words(*role.view));
  for (const auto& sudo : role.sudo) {
    for (const auto& command : sudo.commands) {
      line("sudo", fmt::format("as {}: {}{}{}", sudo.as, to_text(command), sudo.password ? "" : " (no password)",
                               recorded_in_words(sudo.record)));
    }
  }
  for (std::size_t number = 0; number < role.rules.size(); ++number) {
    const auto& rule = role.rules[number];
    line(fmt::format("rule {}", number + 1), (rule.name.empty() ? "" : rule.name + ": ") + rule_in_words(rule));
  }
  line("else", "denied");
}

Outcome show(Context& context, const Options& options) {
  const auto policy = policy_of(context, options);
  if (!policy) return tl::unexpected(policy.error());
  if (!options.role.empty() && policy->role(options.role) == nullptr) {
    return fail(Errc::not_found, fmt::format("{}: no such role", shown(options.role)));
  }
  if (context.json) {
    std::vector<std::string> roles;
    for (const auto& [name, role] : policy->roles) {
      if (!options.role.empty() && name != options.role) continue;
      std::vector<std::string> eligible;
      for (const auto& subject : role.eligible) eligible.push_back(to_text(subject));
      std::vector<std::string> rules;
      for (const auto& rule : role.rules) rules.push_back(rule_in_words(rule));
      JsonObject object;
      object.text("role", name).text("description", role.description).texts("eligible", eligible);
      object.texts("group", role.groups).texts("opens", role.opens).texts("segment", role.segments);
      object.number("limit", static_cast<std::uint64_t>(role.max_duration.count()))
          .boolean("dangerous", role.dangerous);
      if (role.view) object.text("view", in_words(*role.view));
      roles.push_back(object.texts("rule", rules).str());
    }
    context.out << json_list(roles) << '\n';
    return Exit::done;
  }
  for (const auto& [name, role] : policy->roles) {
    if (!options.role.empty() && name != options.role) continue;
    show_role(context.out, role);
    context.out << '\n';
  }
  if (!options.role.empty()) return Exit::done;
  if (const auto delivered = delivered_to(context, options); !delivered.empty())
    context.out << fmt::format("delivered {}\n", shown(delivered));
  for (const auto& [name, members] : policy->approvers) {
    context.out << fmt::format("approvers {}: {}\n", name, shown(joined(members, ", ")));
  }
  for (const auto& gate : policy->gates) {
    std::vector<std::string> users;
    for (const auto& subject : gate.users) users.push_back(to_text(subject));
    std::vector<std::string> except;
    for (const auto& subject : gate.except) except.push_back(to_text(subject));
    context.out << fmt::format("gate {} ({}): {} for {}{}\n", gate.name, gate.enforce ? "enforce" : "observe",
                               shown(joined(gate.services, ", ")), shown(joined(users, ", ")),
                               except.empty() ? "" : " except " + shown(joined(except, ", ")));
  }
  return Exit::done;
}

// The longest that this host gives the role for, as jitd tells; without it what no host exceeds.
Seconds ceiling_of(Context& context, const std::string& role) {
  const auto reply = context.daemon.call(wire::Verb::roles, {});
  if (!reply || !reply->ok()) return kAbsoluteCeiling;
  for (const auto& row : reply->items) {
    if (row.text(Tag::role) != role) continue;
    if (const auto limit = row.number(Tag::limit)) return Seconds(static_cast<Seconds::rep>(*limit));
  }
  return kAbsoluteCeiling;
}

// Rules that a ticket would make match, when none is given.
std::vector<std::string> ticket_hints(const Policy& policy, const Wish& wish) {
  std::vector<std::string> hints;
  const auto* role = policy.role(wish.role);
  if (role == nullptr || !wish.ticket.empty()) return hints;
  for (std::size_t number = 0; number < role->rules.size(); ++number) {
    const auto& rule = role->rules[number];
    if (!rule.when.ticket || rule.then == Rule::Then::deny) continue;
    hints.push_back(fmt::format("with a ticket like {} (--ticket, in a request -t) rule {} could match",
                                *rule.when.ticket, number + 1));
  }
  return hints;
}

std::string_view verdict_name(Verdict verdict) {
  return verdict == Verdict::approve ? "approve" : verdict == Verdict::review ? "review" : "deny";
}

Outcome explain(Context& context, const Options& options) {
  const auto policy = policy_of(context, options);
  if (!policy) return tl::unexpected(policy.error());
  auto facts = facts_of(options.user.empty() ? context.user : options.user);
  if (!facts) return tl::unexpected(facts.error());
  const auto info = inspect(context);
  if (info) {
    facts->segments = info->segments;
    facts->view_age = info->view_age;
    facts->max_view_age = info->max_view_age;
  }
  Wish wish;
  wish.role = options.role;
  wish.ticket = options.ticket;
  if (!options.duration.empty()) {
    const auto duration = parse_duration(options.duration);
    if (!duration) return tl::unexpected(duration.error());
    wish.duration = *duration;
  }
  const auto ceiling = ceiling_of(context, wish.role);
  auto decision = decide(*policy, wish, *facts, {}, ceiling, context.now());
  // A request for more than could be given is refused, not cut, so that nobody plans with time they do not have.
  if (decision.verdict != Verdict::deny && wish.duration > decision.duration) {
    const auto most = std::min(policy->role(wish.role)->max_duration, ceiling);
    decision.verdict = Verdict::deny;
    decision.needs.clear();
    const auto said = wish.duration > most ? at_most(most) : at_most(decision);
    decision.reasons.push_back(said + "; ask for that or less");
  }
  for (auto& hint : ticket_hints(*policy, wish)) decision.reasons.push_back(std::move(hint));
  const std::vector<std::string> groups(facts->groups.begin(), facts->groups.end());
  if (context.json) {
    std::vector<std::string> needs;
    for (const auto& need : decision.needs) {
      needs.push_back(
          JsonObject().text("by", need.by).number("count", need.count).texts("candidates", need.candidates).str());
    }
    JsonObject object;
    object.text("verdict", verdict_name(decision.verdict))
        .text("rule", decision.rule)
        .text("message", decision.message);
    object.number("duration", static_cast<std::uint64_t>(decision.duration.count())).raw("needs", json_list(needs));
    context.out << object.texts("reasons", decision.reasons).texts("groups", groups).str() << '\n';
  } else {
    context.out << fmt::format("{} asks for {}: {}\n", shown(facts->user), shown(wish.role),
                               verdict_name(decision.verdict));
    for (const auto& reason : decision.reasons) context.out << "  " << shown(reason) << '\n';
    for (const auto& need : decision.needs) {
      context.out << fmt::format("  needs {} of {}: {}\n", need.count, shown(need.by),
                                 shown(joined(need.candidates, ", ")));
    }
    if (!decision.message.empty()) context.out << "  message: " << shown(decision.message) << '\n';
    if (decision.verdict != Verdict::deny)
      context.out << fmt::format("  for {}\n", format_duration(decision.duration));
    context.out << fmt::format("  groups now: {}\n", shown(joined(groups, ", ")));
    if (!info)
      context.out << "  jitd did not answer: the host's segments and view of revocations are not known here\n";
  }
  return decision.verdict == Verdict::deny ? Exit::refused : Exit::done;
}

}  // namespace

void add_policy(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* family = commands.add_family("policy", "What the policy says");
  auto* checks = commands.add_below(family, "check", "Load the policy, name errors with file, line and key, and warn",
                                    [&context, options] { return check(context, *options); });
  checks->add_option("dir", options->directory, "Directory (default: /etc/jit/policy.d)")->type_name("DIR");
  auto* shows = commands.add_below(family, "show", "Roles, rules and gates in words",
                                   [&context, options] { return show(context, *options); });
  shows->add_option("role", options->role, "This role alone")->check(role_problem)->type_name("ROLE");
  shows->add_option("--dir", options->directory, "Directory (default: /etc/jit/policy.d)")->type_name("DIR");
  auto* why = commands.add_below(family, "explain", "How a wish would be decided, and why",
                                 [&context, options] { return explain(context, *options); });
  why->add_option("role", options->role, "Role")->required()->check(role_problem)->type_name("ROLE");
  why->add_option("--user", options->user, "Who asks (default: you)")->check(user_problem)->type_name("USER");
  why->add_option("--duration", options->duration, "For how long")->check(duration_problem)->type_name("D");
  why->add_option("--ticket", options->ticket, "With this ticket")->check(ticket_problem)->type_name("TICKET");
  why->add_option("--dir", options->directory, "Directory (default: /etc/jit/policy.d)")->type_name("DIR");
  add_policy_sign(commands, family);
}

}  // namespace jit::ctl
