// jitctl request: files a wish with jitd and, on a terminal, waits for what becomes of it.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/grants.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

struct Options {
  std::string role, duration, reason, ticket, out;
  bool no_wait = false;
};

constexpr std::uint64_t kWaitSeconds = 60;

Exit exit_of_state(const std::string& state) {
  if (state == "active") return Exit::done;
  if (state == "pending" || state == "activating") return Exit::pending;
  return Exit::refused;
}

void say_whom(Context& context, const Row& grant) {
  const auto waiting = grant.all(Tag::waiting_for);
  const auto note = grant.text(Tag::note);
  if (waiting.empty() && !note.empty()) context.err << "  " << shown(note) << '\n';
  for (const auto& line : waiting) context.err << "  waits for " << shown(line) << '\n';
}

// Waits until the request is decided. Ctrl-C leaves it filed.
Outcome wait_for(Context& context, const std::string& id, std::string state) {
  const Interrupt interrupt;
  std::string note;
  bool first = true;
  while (state == "pending" || state == "activating") {
    auto question = Row().text(Tag::id, id).text(Tag::state, state).number(Tag::limit, first ? 1 : kWaitSeconds);
    question.text(Tag::note, note);
    const auto reply = ask_jitd(context, wire::Verb::wait, question, std::chrono::seconds(kWaitSeconds + 30));
    if (!reply && Interrupt::pressed()) {
      context.err << fmt::format("\nIt stays filed: jitctl status shows it, jitctl release {} withdraws it.\n", id);
      return Exit::pending;
    }
    if (!reply) return tl::unexpected(reply.error());
    const auto& grant = reply->result;
    state = grant.text(Tag::state);
    if (state == "pending" && (first || grant.text(Tag::note) != note)) say_whom(context, grant);
    note = grant.text(Tag::note);
    first = false;
    if (state == "pending" || state == "activating") continue;
    context.out << fmt::format("{}  {}\n", shown(id), shown(state_text(grant)));
  }
  return exit_of_state(state);
}

Outcome request(Context& context, const Options& options) {
  Row wish;
  wish.text(Tag::role, options.role).text(Tag::reason, options.reason);
  if (!options.duration.empty()) {
    const auto duration = parse_duration(options.duration);
    if (!duration) return tl::unexpected(duration.error());
    wish.number(Tag::duration, static_cast<std::uint64_t>(duration->count()));
  }
  if (!options.ticket.empty()) wish.text(Tag::ticket, options.ticket);

  const auto reply = context.daemon.call(wire::Verb::request, wish);
  if (!reply) return tl::unexpected(reply.error());
  const auto id = reply->result.text(Tag::id);
  const auto state = reply->result.text(Tag::state);
  const bool taken = reply->status == wire::Status::done || reply->status == wire::Status::pending;
  if (!taken && (id.empty() || !context.json)) {
    return fail(reply->status == wire::Status::refused ? Errc::refused : Errc::invalid, reply->message);
  }

  if (taken && !options.out.empty()) {
    auto text = reply->result.text(Tag::document);
    if (text.empty()) {
      return fail(Errc::invalid,
                  fmt::format("{} is {} already: there is nothing to carry to an approver", id, state));
    }
    if (auto written = write_new(context, options.out, text); !written) {
      return within(fmt::format("{} is filed, but not written (jitctl export {} --to DIR does it again)", id, id),
                    written.error());
    }
  }
  if (options.out == "-") return exit_of(reply->status);
  if (context.json) {
    JsonObject object;
    object.text("id", id).text("state", state).text("message", reply->message);
    if (!options.out.empty()) object.text("file", options.out);
    context.out << object.str() << '\n';
    return exit_of(reply->status);
  }
  const bool wait = context.can_ask() && context.out_terminal && !options.no_wait && options.out.empty();
  if (reply->status == wire::Status::pending && wait) {
    context.err << fmt::format("{} filed; Ctrl-C leaves it filed.\n", shown(id));
    return wait_for(context, id, state);
  }
  if (reply->status == wire::Status::pending && !context.out_terminal) {
    context.out << shown(id) << '\n';  // the id alone, for scripts
    context.err << shown(reply->message) << '\n';
  } else {
    context.out << fmt::format("{}  {}\n", shown(id), shown(reply->message.empty() ? state : reply->message));
  }
  if (!options.out.empty()) {
    context.err << fmt::format("written to {}; an approver runs: jitctl approve {} -o answer.jit\n",
                               shown(options.out), shown(options.out));
  }
  return exit_of(reply->status);
}

}  // namespace

void add_request(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command =
      commands.add("request", "Ask for a role", [&context, options] { return request(context, *options); });
  command->add_option("role", options->role, "Role, by name (jitctl roles)")
      ->required()
      ->check(role_problem)
      ->type_name("ROLE");
  command->add_option("duration", options->duration, "For how long: 30m, 2h (default: 1h or the role's maximum)")
      ->check(duration_problem)
      ->type_name("D");
  add_reason(*command, options->reason);
  command->add_option("-t,--ticket", options->ticket, "Ticket, where a rule asks for one")
      ->check(ticket_problem)
      ->type_name("TICKET");
  command->add_flag("--no-wait", options->no_wait, "Do not wait for approvers");
  command->add_option("-o,--output", options->out, "Write the signed request there, to be carried to an approver")
      ->type_name("FILE");
}

}  // namespace jit::ctl
