#include "jitctl/app.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr const char* kVersion = "jitctl 0.1.0";

void configure(CLI::App& app, Context& context) {
  app.name("jitctl");
  app.require_subcommand(1);
  app.fallthrough();  // --json may stand behind the subcommand
  app.set_version_flag("--version", kVersion);
  app.add_flag("--json", context.json, "Print JSON for programs");
  app.footer(
      "Exit status: 0 done or active, 1 failed, 2 usage, 3 pending, 4 jitd not reachable, 5 denied or refused.");
}

void walk(CLI::App& app, const std::string& path, std::vector<CommandShape>& shapes) {
  CommandShape shape{path, {}};
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) shape.options.push_back("--" + name);
    for (const auto& name : option->get_snames()) shape.options.push_back("-" + name);
  }
  shapes.push_back(std::move(shape));
  for (auto* below : app.get_subcommands([](CLI::App*) { return true; })) {
    walk(*below, path.empty() ? below->get_name() : path + " " + below->get_name(), shapes);
  }
}

// What could not be said did not happen, as far as whoever reads it knows.
Exit written(Context& context, Exit exit) {
  if (context.out << std::flush) return exit;
  complain(context, "standard output could not be written");
  return Exit::failed;
}

}  // namespace

Command* Commands::add(const std::string& name, const std::string& description, std::function<Outcome()> run) {
  return add_to(app_, name, description, std::move(run));
}

Command* Commands::add_below(Command* parent, const std::string& name, const std::string& description,
                             std::function<Outcome()> run) {
  return add_to(parent->app(), name, description, std::move(run));
}

Command* Commands::add_to(CLI::App& parent, const std::string& name, const std::string& description,
                          std::function<Outcome()> run) {
  auto* command = parent.add_subcommand(name, description);
  command->callback([this, run = std::move(run)] { chosen_ = run; });
  return &commands_.emplace_back(*command);
}

Command* Commands::add_family(const std::string& name, const std::string& description) {
  return add_family_to(app_, name, description);
}

Command* Commands::add_family_below(Command* parent, const std::string& name, const std::string& description) {
  return add_family_to(parent->app(), name, description);
}

Command* Commands::add_family_to(CLI::App& parent, const std::string& name, const std::string& description) {
  auto* command = parent.add_subcommand(name, description);
  command->require_subcommand(1);
  return &commands_.emplace_back(*command);
}

void add_all(Commands& commands) {
  for (const auto add :
       {add_roles,   add_request, add_extend, add_run,    add_status, add_show,    add_list,   add_release,
        add_pending, add_approve, add_deny,   add_grant,  add_sign,   add_payload, add_revoke, add_lock,
        add_unlock,  add_hosts,   add_import, add_export, add_verify, add_source,  add_policy, add_gate,
        add_audit,   add_replay,  add_trust,  add_enrol,  add_doctor, add_setup}) {
    add(commands);
  }
}

Exit run(Context& context, const std::vector<std::string>& arguments) {
  CLI::App app("Just-in-time privilege: ask for a role, approve, end. See jitctl(1).");
  configure(app, context);
  Commands commands(app, context);
  add_all(commands);
  // CLI11 would only say that a subcommand is missing.
  const auto first = std::find_if(arguments.begin(), arguments.end(),
                                  [](const std::string& word) { return !word.starts_with("-"); });
  const auto named = [&](const CLI::App* command) { return command->get_name() == *first; };
  const auto known = app.get_subcommands([](CLI::App*) { return true; });
  if (first != arguments.end() && std::none_of(known.begin(), known.end(), named)) {
    complain(context, fmt::format("{}: no such command; see jitctl --help", *first));
    return Exit::usage;
  }
  auto ours = arguments;
  context.behind_dashes.clear();
  if (first != arguments.end() && *first == "run") {
    // Somebody else's command: CLI11 would read some words of it in ways of its own ("[a,b]" as two).
    const auto dashes = std::find(ours.begin(), ours.end(), "--");
    if (dashes != ours.end()) context.behind_dashes.assign(dashes + 1, ours.end());
    ours.erase(dashes, ours.end());
  }
  try {
    auto reversed = ours;  // CLI11 takes them from the back
    std::reverse(reversed.begin(), reversed.end());
    app.parse(reversed);
  } catch (const CLI::Success& asked_for) {  // --help, --version
    (void)app.exit(asked_for, context.out, context.err);
    return written(context, Exit::done);
  } catch (const CLI::ParseError& error) {
    complain(context, fmt::format("{}; see jitctl --help", error.what()));
    return Exit::usage;
  }
  if (context.qr && context.json) {
    complain(context, "--qr is for people and --json for programs; take one of them");
    return Exit::usage;
  }
  const auto outcome = commands.chosen()();
  if (outcome) return written(context, *outcome);
  context.out << std::flush;
  complain(context, outcome.error().message);
  return exit_of(outcome.error());
}

std::vector<CommandShape> shape_of_commands(Context& context) {
  CLI::App app;
  configure(app, context);
  Commands commands(app, context);
  add_all(commands);
  std::vector<CommandShape> shapes;
  walk(app, "", shapes);
  return shapes;
}

}  // namespace jit::ctl
