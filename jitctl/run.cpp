// jitctl run: one command with the least role that allows it. Asks, waits, runs it through sudo, gives the role back.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/filing.hpp"
#include "jitctl/output.hpp"
#include "jitctl/shared_use.hpp"
#include "policy/document/kinds.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

constexpr int kSignalled = 128;

struct Options {
  std::string role, reason, duration;
};

// Where sudo looks for a command by name (its secure_path): what a user puts in front of PATH counts for nothing.
constexpr std::array kFolders = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

// The command as roles name it: an absolute path without symbolic links to its folder (/bin is /usr/bin on most).
Result<std::string> find_command(const std::string& name) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (name.empty()) return fail(Errc::invalid, "the command is empty");
  fs::path path;
  if (name.find('/') != std::string::npos) {
    path = fs::absolute(name, error);
  } else {
    for (const char* folder : kFolders) {
      if (!fs::exists(fs::path(folder) / name, error)) continue;
      path = fs::path(folder) / name;
      break;
    }
    if (path.empty()) return fail(Errc::not_found, fmt::format("{}: no such command; name it by its path", name));
  }
  const fs::path folder = fs::canonical(path.parent_path(), error);
  if (error) return fail(Errc::not_found, fmt::format("{}: {}", name, error.message()));
  return (folder / path.filename()).string();
}

std::string command_line(const std::vector<std::string>& argv) {
  std::string line;
  for (const auto& word : argv) line += (line.empty() ? "" : " ") + word;
  return line;
}

// The role to use: one that is held, else the least that allows the command (jitd gives them in this order).
Result<Row> choose(Context& context, const Options& options, const std::vector<std::string>& argv) {
  Row question;
  for (const auto& word : argv) question.text(Tag::command, word);
  if (!options.role.empty()) question.text(Tag::role, options.role);
  const auto reply = ask_jitd(context, wire::Verb::roles, question);
  if (!reply) return tl::unexpected(reply.error());
  if (reply->items.empty()) {
    return fail(Errc::refused,
                fmt::format("{} of yours here allows exactly this: {}",
                            options.role.empty() ? "no role" : "role " + options.role + " is not one that",
                            shown(command_line(argv), 512)));
  }
  const auto held =
      std::find_if(reply->items.begin(), reply->items.end(), [](const Row& role) { return role.has(Tag::grant); });
  return held != reply->items.end() ? *held : reply->items.front();
}

Result<void> release(Context& context, const std::string& id) {
  const auto reply = ask_jitd(context, wire::Verb::release, Row().text(Tag::id, id));
  if (!reply) return within(fmt::format("{} was not given back (jitctl release {})", id, id), reply.error());
  return {};
}

// Files the request and waits for it. Its id, once it is active; nothing and `exit` otherwise.
Result<std::string> ask_for(Context& context, const Options& options, const std::string& role,
                            const std::vector<std::string>& argv, Exit& exit) {
  const auto reason = options.reason.empty() ? "run " + shown(command_line(argv), kMaxReason - 64) : options.reason;
  Row wish;
  wish.text(Tag::role, role).text(Tag::reason, reason);
  if (auto put = put_duration(wish, options.duration); !put) return tl::unexpected(put.error());
  const Interrupt interrupt(Interrupt::Signals::all);
  const auto reply = ask_jitd(context, wire::Verb::request, wish);
  if (!reply) return tl::unexpected(reply.error());
  const auto id = reply->result.text(Tag::id);
  if (reply->result.text(Tag::state) == "active") return id;
  if (context.json) {
    context.out << JsonObject()
                       .text("id", id)
                       .text("state", reply->result.text(Tag::state))
                       .text("message", reply->message)
                       .str()
                << '\n';
    exit = Exit::pending;
    return std::string();
  }
  context.err << fmt::format("{} filed for {}; Ctrl-C withdraws it.\n", shown(id), shown(role)) << std::flush;
  const auto grant = wait_decided(context, id, reply->result.text(Tag::state));
  if (!grant) {
    const int number = Interrupt::signal();
    if (auto released = release(context, id); !released) complain(context, released.error().message);
    if (number == 0) return tl::unexpected(grant.error());
    exit = static_cast<Exit>(kSignalled + number);
    return std::string();
  }
  if (grant->text(Tag::state) == "active") return id;
  return fail(Errc::refused, fmt::format("{}: {}", id, grant->text(Tag::end_reason)));
}

// A role to run it with, held, and who uses it beside us. Neither: `exit` says what became of it.
struct Held {
  Row role;
  SharedUse use;
  std::string id;
};

Result<Held> take_role(Context& context, const Options& options, const std::vector<std::string>& argv, Exit& exit) {
  Held held;
  for (;;) {
    auto role = choose(context, options, argv);
    if (!role) return tl::unexpected(role.error());
    held.role = std::move(*role);
    const auto id = held.role.text(Tag::grant);
    // Seen twice: before we were seen another run may have given it back.
    if (!id.empty() && id == held.id) return held;
    if (id.empty()) break;
    held.use = SharedUse::begin(context, id, false);
    held.id = id;
    if (!held.use.seen()) return held;
  }
  held.use = SharedUse();
  auto asked = ask_for(context, options, held.role.text(Tag::role), argv, exit);
  if (!asked) return tl::unexpected(asked.error());
  held.id = std::move(*asked);
  if (!held.id.empty()) held.use = SharedUse::begin(context, held.id, true);
  return held;
}

Outcome run_command(Context& context, const Options& options) {
  if (context.behind_dashes.empty()) return usage(context, "run wants a command behind --: jitctl run -- CMD ARG...");
  if (context.uid == 0) return fail(Errc::invalid, "root needs no role: run the command itself");
  auto argv = context.behind_dashes;
  auto path = find_command(argv.front());
  if (!path) return tl::unexpected(path.error());
  argv.front() = std::move(*path);
  auto exit = Exit::failed;
  auto held = take_role(context, options, argv, exit);
  if (!held) return tl::unexpected(held.error());
  if (held->id.empty()) return exit;
  std::vector<std::string> words = {"/usr/bin/sudo", "-u", held->role.text(Tag::target), "--"};
  words.insert(words.end(), argv.begin(), argv.end());
  context.out << std::flush;
  const auto status = context.foreground(words);
  if (held->use.over()) {
    if (auto released = release(context, held->id); !released) complain(context, released.error().message);
  }
  if (!status) return tl::unexpected(status.error());
  return static_cast<Exit>(*status);
}

}  // namespace

void add_run(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("run", "Run one command with the least role that allows it: run [...] -- CMD ARG...",
                               [&context, options] { return run_command(context, *options); });
  command->add_option("--role", options->role, "This role, and no other")->check(role_problem)->type_name("ROLE");
  command->add_option("-m,--message", options->reason, "Why, for approvers and the audit (default: the command)")
      ->check(words_problem)
      ->type_name("WHY");
  command->add_option("--for", options->duration, "For how long at most (default: 1h or the role's maximum)")
      ->check(duration_problem)
      ->type_name("D");
}

}  // namespace jit::ctl
