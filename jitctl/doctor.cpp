// jitctl doctor: what would lock you out, what is missing, and what to do about it.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/checkup.hpp"
#include "jitctl/output.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

std::string_view name_of(Finding::Level level) {
  switch (level) {
    case Finding::Level::fine:
      return "ok";
    case Finding::Level::note:
      return "note";
    default:
      return "PROBLEM";
  }
}

Outcome accept_clock(Context& context) {
  if (auto root = need_root(context, "taking over the clock"); !root) return tl::unexpected(root.error());
  const auto reply = ask_jitd(context, wire::Verb::accept_clock, {});
  if (!reply) return tl::unexpected(reply.error());
  context.out << (context.json ? to_json(reply->result) : shown(reply->message)) << '\n';
  return exit_of(reply->status);
}

Outcome doctor(Context& context, bool all) {
  if (auto root = need_root(context, "doctor reads files that only root may read, so it"); !root) {
    return tl::unexpected(root.error());
  }
  Findings findings;
  for (const auto check :
       {check_daemon, check_board, check_policy, check_config, check_trust, check_gates, check_door, check_mailbox,
        check_sudo, check_namespaces, check_host, check_disk, check_units}) {
    check(context, findings);
  }
  const auto outcome = findings.problems() == 0 ? Exit::done : Exit::failed;
  if (context.json) {
    std::vector<std::string> objects;
    for (const auto& finding : findings.all()) {
      objects.push_back(
          JsonObject()
              .text("level", finding.level == Finding::Level::problem ? "problem" : name_of(finding.level))
              .text("what", finding.what)
              .text("todo", finding.todo)
              .str());
    }
    context.out << json_list(objects) << '\n';
    return outcome;
  }
  for (const auto level : {Finding::Level::problem, Finding::Level::note, Finding::Level::fine}) {
    if (level == Finding::Level::fine && !all) continue;
    for (const auto& finding : findings.all()) {
      if (finding.level != level) continue;
      context.out << fmt::format("{:<8} {}\n", name_of(level), shown(finding.what));
      if (!finding.todo.empty()) context.out << fmt::format("         -> {}\n", shown(finding.todo));
    }
  }
  const auto problems = findings.problems();
  context.out << (problems == 0 ? std::string("No problem found.\n")
                                : fmt::format("{} problem{}.\n", problems, problems == 1 ? "" : "s"));
  return outcome;
}

}  // namespace

void add_doctor(Commands& commands) {
  struct Options {
    bool accept = false, all = false;
  };
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add(
      "doctor", "What would lock you out, what is missing, what to do (root)",
      [&context, options] { return options->accept ? accept_clock(context) : doctor(context, options->all); });
  command->add_flag("--accept-clock", options->accept,
                    "Take the wall clock over as it is, after a step that jitd does not believe");
  command->add_flag("--all", options->all, "Also what is fine");
}

}  // namespace jit::ctl
