// jitctl status: what the caller holds and waits for, here or on hosts elsewhere; --prompt for PS1.
#include <fmt/format.h>

#include <algorithm>

#include "jitctl/app.hpp"
#include "jitctl/grants.hpp"
#include "jitctl/output.hpp"
#include "jitctl/status_elsewhere.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

constexpr std::chrono::milliseconds kPromptDeadline{200};  // a prompt must never hang

// "jit:dba 42m", the grant that ends first, "+1" for each more; nothing when there is none or jitd does not answer.
Outcome prompt(Context& context) {
  const auto reply = context.daemon.call(wire::Verb::status, {}, kPromptDeadline);
  if (!reply || !reply->ok()) return Exit::done;
  const Row* first = nullptr;
  std::size_t more = 0;
  for (const auto& grant : reply->items) {
    if (grant.text(Tag::state) != "active") continue;
    if (first != nullptr) ++more;
    const auto left = [](const Row& row) { return row.number(Tag::remaining).value_or(UINT64_MAX); };
    if (first == nullptr || left(grant) < left(*first)) first = &grant;
  }
  if (first == nullptr) return Exit::done;
  const auto left = Seconds(static_cast<Seconds::rep>(first->number(Tag::remaining).value_or(0)));
  const auto words = in_words(left);
  // Backslash, $, ` and % mean something to a shell's prompt: a role's name has none of them (check_policy_name).
  context.out << fmt::format("jit:{} {}", shown(first->text(Tag::role)), words.substr(0, words.find(' ')));
  if (more > 0) context.out << fmt::format(" +{}", more);
  context.out << '\n';
  return Exit::done;
}

Outcome status(Context& context) {
  const auto reply = ask_jitd(context, wire::Verb::status, {});
  if (!reply) return tl::unexpected(reply.error());
  std::vector<Row> grants;
  std::vector<Row> sessions;
  for (const auto& row : reply->items) (row.text(Tag::kind) == "session" ? sessions : grants).push_back(row);
  if (context.json) {
    JsonObject object;
    object.text("host", reply->result.text(Tag::host)).text("policy", reply->result.text(Tag::policy));
    object.text("version", reply->result.text(Tag::value)).texts("warnings", reply->result.all(Tag::warning));
    if (const auto view = reply->result.text(Tag::note); !view.empty()) object.text("view", view);
    object.raw("grants", to_json(grants)).raw("sessions", to_json(sessions));
    context.out << object.str() << '\n';
    return Exit::done;
  }
  print_grants(context, grants, "You hold no role and wait for none.");
  for (const auto& grant : grants) {
    if (grant.text(Tag::state) != "pending") continue;
    for (const auto& line : grant.all(Tag::waiting_for)) {
      context.out << fmt::format("{} waits for {}\n", shown(grant.text(Tag::id)), shown(line));
    }
  }
  for (const auto& session : sessions) {
    context.out << fmt::format("{} let in {} as process {}\n", shown(session.text(Tag::grant)),
                               shown(session.text(Tag::service)), session.number(Tag::pid).value_or(0));
  }
  const bool active =
      std::any_of(grants.begin(), grants.end(), [](const Row& g) { return g.text(Tag::state) == "active"; });
  if (active) {
    context.out << "At its end a role's sudo rule, groups and gates are taken back, and what runs under it is ended "
                   "(unless jitctl roles says it goes on).\n";
  }
  if (reply->result.text(Tag::policy) == "last-good") {
    context.out
        << "The policy files of this host are bad; the last good policy is in force (root: jitctl policy check).\n";
  }
  if (const auto view = reply->result.text(Tag::note); !view.empty())
    context.out << "This host goes by " << shown(view) << ".\n";
  for (const auto& warning : reply->result.all(Tag::warning)) context.out << "warning: " << shown(warning) << '\n';
  return Exit::done;
}

}  // namespace

void add_status(Commands& commands) {
  struct Options {
    bool prompt = false;
    SourceOptions source;
  };
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("status", "What you hold and wait for", [&context, options]() -> Outcome {
    if (options->prompt) return prompt(context);
    const auto elsewhere = goes_elsewhere(context, options->source);
    if (!elsewhere) return tl::unexpected(elsewhere.error());
    return *elsewhere ? status_elsewhere(context, options->source) : status(context);
  });
  command->add_flag("--prompt", options->prompt, "A few characters for a shell prompt; silent when there is nothing");
  add_source_option(*command, options->source);
}

}  // namespace jit::ctl
