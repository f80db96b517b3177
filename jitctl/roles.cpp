// jitctl roles: what the caller may ask for on this host.
#include <fmt/format.h>

#include <algorithm>

#include "jitctl/app.hpp"
#include "jitctl/output.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

std::string gives(const Row& role) {
  std::vector<std::string> parts;
  for (const auto& group : role.all(Tag::group)) parts.push_back("group " + group);
  for (const auto& gate : role.all(Tag::opens)) parts.push_back("opens " + gate);
  const auto commands = role.all(Tag::command);
  if (!commands.empty()) {
    // Within a command '[' is escaped: what stands in brackets are flags.
    const auto is_recorded = [](const std::string& command) { return command.find(" [record") != std::string::npos; };
    const bool recorded = std::any_of(commands.begin(), commands.end(), is_recorded);
    parts.push_back(fmt::format("sudo ({} command{}{})", commands.size(), commands.size() == 1 ? "" : "s",
                                recorded ? ", recorded" : ""));
  }
  if (role.text(Tag::on_end) == "leave") parts.emplace_back("what runs goes on at its end");
  return joined(parts, ", ");
}

Outcome roles(Context& context, bool all) {
  const auto reply = ask_jitd(context, wire::Verb::roles, {});
  if (!reply) return tl::unexpected(reply.error());
  std::vector<Row> mine;
  for (const auto& role : reply->items) {
    if (all || role.text(Tag::eligible) == "yes") mine.push_back(role);
  }
  if (context.json) {
    context.out << to_json(mine) << '\n';
    return Exit::done;
  }
  if (mine.empty()) {
    // jitd names a role that is for others to root alone: to anybody else, nothing is not the same as none.
    context.out << (!reply->items.empty() ? "No role here is for you; jitctl roles --all shows those there are.\n"
                    : context.uid == 0    ? "This host's policy has no role.\n"
                                          : "None of this host's roles is for you.\n");
    return Exit::done;
  }
  Table table({"ROLE", "UP TO", "DECIDED BY", "GIVES", "HELD", "WHAT FOR"});
  for (const auto& role : mine) {
    table.add({role.text(Tag::role),
               in_words(Seconds(static_cast<Seconds::rep>(role.number(Tag::limit).value_or(0)))),
               role.text(Tag::eligible) == "yes" ? role.text(Tag::rule) : "not for you", gives(role),
               role.text(Tag::grant), role.text(Tag::description)});
  }
  table.print(context.out);
  return Exit::done;
}

}  // namespace

void add_roles(Commands& commands) {
  auto all = std::make_shared<bool>(false);
  auto& context = commands.context();
  auto* command =
      commands.add("roles", "What you may ask for on this host", [&context, all] { return roles(context, *all); });
  command->add_flag("--all", *all, "Roles that are not for you too");
}

}  // namespace jit::ctl
