#include "jitctl/filing.hpp"

#include <fmt/format.h>

#include "jitctl/arguments.hpp"
#include "jitctl/grants.hpp"
#include "jitctl/output.hpp"
#include "jitctl/qr.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

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
  context.err << std::flush;
}

}  // namespace

void add_wish(Command& command, WishOptions& options) {
  add_reason(command, options.reason);
  command.add_option("-t,--ticket", options.ticket, "Ticket, where a rule asks for one")
      ->check(ticket_problem)
      ->type_name("TICKET");
  command.add_flag("--no-wait", options.filing.no_wait, "Do not wait for approvers");
  command
      .add_option("-o,--output", options.filing.out, "Write the signed request there, to be carried to an approver")
      ->type_name("FILE");
}

Result<void> put_wish(Row& wish, const WishOptions& options) {
  wish.text(Tag::reason, options.reason);
  if (!options.ticket.empty()) wish.text(Tag::ticket, options.ticket);
  return put_duration(wish, options.duration);
}

Result<Row> wait_decided(Context& context, const std::string& id, std::string state) {
  std::string note;
  bool first = true;
  for (;;) {
    auto question = Row().text(Tag::id, id).text(Tag::state, state).number(Tag::limit, first ? 1 : kWaitSeconds);
    question.text(Tag::note, note);
    auto reply = ask_jitd(context, wire::Verb::wait, question, std::chrono::seconds(kWaitSeconds + 30));
    if (!reply) return tl::unexpected(reply.error());
    Row& grant = reply->result;
    state = grant.text(Tag::state);
    if (state == "pending" && (first || grant.text(Tag::note) != note)) say_whom(context, grant);
    note = grant.text(Tag::note);
    first = false;
    if (state != "pending" && state != "activating") return std::move(grant);
    if (Interrupt::pressed()) return fail(Errc::busy, "interrupted");
  }
}

Result<void> put_duration(Row& wish, const std::string& duration) {
  if (duration.empty()) return {};
  const auto parsed = parse_duration(duration);
  if (!parsed) return tl::unexpected(parsed.error());
  wish.number(Tag::duration, static_cast<std::uint64_t>(parsed->count()));
  return {};
}

Outcome file_wish(Context& context, const Row& wish, const Filing& filing) {
  const auto reply = context.daemon.call(wire::Verb::request, wish);
  if (!reply) return tl::unexpected(reply.error());
  const auto id = reply->result.text(Tag::id);
  const auto state = reply->result.text(Tag::state);
  const bool taken = reply->status == wire::Status::done || reply->status == wire::Status::pending;
  if (!taken && (id.empty() || !context.json)) {
    return fail(reply->status == wire::Status::refused ? Errc::refused : Errc::invalid, reply->message);
  }

  const bool carried = !filing.out.empty() || context.qr;
  if (taken && carried) {
    auto text = reply->result.text(Tag::document);
    if (text.empty()) {
      return fail(Errc::invalid,
                  fmt::format("{} is {} already: there is nothing to carry to an approver", id, state));
    }
    if (auto given = hand_out(context, filing.out, text); !given) {
      return within(
          fmt::format("{} is filed, but not written (jitctl export {} does it again, with --to DIR or --qr)", id, id),
          given.error());
    }
  }
  if (context.qr) {
    context.err << fmt::format("{}  an approver runs: jitctl approve - --qr; then here: jitctl import -\n",
                               shown(id));
  }
  if (filing.out == "-" || context.qr) return exit_of(reply->status);
  if (context.json) {
    JsonObject object;
    object.text("id", id).text("state", state).text("message", reply->message);
    if (!filing.out.empty()) object.text("file", filing.out);
    context.out << object.str() << '\n';
    return exit_of(reply->status);
  }
  const bool wait = context.can_ask() && context.out_terminal && !filing.no_wait && !carried;
  if (reply->status == wire::Status::pending && wait) {
    context.err << fmt::format("{} filed; Ctrl-C leaves it filed.\n", shown(id)) << std::flush;
    const Interrupt interrupt;
    const auto grant = wait_decided(context, id, state);
    if (!grant && Interrupt::pressed()) {
      context.err << fmt::format("\nIt stays filed: jitctl status shows it, jitctl release {} withdraws it.\n", id);
      return Exit::pending;
    }
    if (!grant) return tl::unexpected(grant.error());
    context.out << fmt::format("{}  {}\n", shown(id), shown(state_text(*grant)));
    return exit_of_state(grant->text(Tag::state));
  }
  if (reply->status == wire::Status::pending && !context.out_terminal) {
    context.out << shown(id) << '\n';  // the id alone, for scripts
    context.err << shown(reply->message) << '\n';
  } else {
    context.out << fmt::format("{}  {}\n", shown(id), shown(reply->message.empty() ? state : reply->message));
  }
  if (!filing.out.empty()) {
    context.err << fmt::format("written to {}; an approver runs: jitctl approve {} -o answer.jit\n",
                               shown(filing.out), shown(filing.out));
  }
  return exit_of(reply->status);
}

}  // namespace jit::ctl
