// The command line: every subcommand registers itself, main parses and runs the one that was named.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "jitctl/command.hpp"
#include "jitctl/context.hpp"

namespace jit::ctl {

// Where subcommands register what is to run. The last callback of a parse wins: exactly one subcommand is required.
class Commands {
 public:
  Commands(CLI::App& app, Context& context) : app_(app), context_(context) {}
  [[nodiscard]] CLI::App& app() { return app_; }
  [[nodiscard]] Context& context() { return context_; }
  // `name`, with `run` called after parsing.
  Command* add(const std::string& name, const std::string& description, std::function<Outcome()> run);
  // The same below another subcommand ("policy check").
  Command* add_below(Command* parent, const std::string& name, const std::string& description,
                     std::function<Outcome()> run);
  // A subcommand that only has subcommands.
  Command* add_family(const std::string& name, const std::string& description);
  Command* add_family_below(Command* parent, const std::string& name, const std::string& description);
  [[nodiscard]] const std::function<Outcome()>& chosen() const { return chosen_; }

 private:
  Command* add_to(CLI::App& parent, const std::string& name, const std::string& description,
                  std::function<Outcome()> run);
  Command* add_family_to(CLI::App& parent, const std::string& name, const std::string& description);
  CLI::App& app_;
  std::deque<Command> commands_;  // their addresses are handed out
  Context& context_;
  std::function<Outcome()> chosen_;
};

// Every subcommand with its options.
void add_all(Commands& commands);

// Parses and runs. Usage errors: 2; --help and --version: 0. Errors are printed here, once, and nowhere else.
[[nodiscard]] Exit run(Context& context, const std::vector<std::string>& arguments);

// "1: approvals" and the like: all subcommands and their options by walking the app, for tests of man page and
// completions.
struct CommandShape {
  std::string path;                  // "policy check"
  std::vector<std::string> options;  // "--json", "-o"
};
[[nodiscard]] std::vector<CommandShape> shape_of_commands(Context& context);

// One file a subcommand, each adds its own.
void add_roles(Commands& commands);
void add_request(Commands& commands);
void add_extend(Commands& commands);
void add_run(Commands& commands);
void add_status(Commands& commands);
void add_show(Commands& commands);
void add_list(Commands& commands);
void add_release(Commands& commands);
void add_pending(Commands& commands);
void add_approve(Commands& commands);
void add_deny(Commands& commands);
void add_grant(Commands& commands);
void add_sign(Commands& commands);
void add_payload(Commands& commands);
void add_revoke(Commands& commands);
void add_lock(Commands& commands);
void add_unlock(Commands& commands);
void add_hosts(Commands& commands);
void add_import(Commands& commands);
void add_export(Commands& commands);
void add_verify(Commands& commands);
void add_source(Commands& commands);
void add_policy(Commands& commands);
void add_gate(Commands& commands);
void add_audit(Commands& commands);
void add_replay(Commands& commands);
void add_trust(Commands& commands);
void add_enrol(Commands& commands);
void add_doctor(Commands& commands);
void add_setup(Commands& commands);

}  // namespace jit::ctl
