// jitctl unlock: lifts a lock. Root of the host does it by the user's name, unsigned and audited; anybody else signs.
#include <fmt/format.h>

#include <algorithm>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/issue.hpp"
#include "jitctl/output.hpp"
#include "jitctl/own_state.hpp"
#include "jitctl/paper.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::string user, reason;
  std::vector<std::string> locks;
  IssueOptions issue;
};

// A lock by its digest, or by the document that it is.
Result<Digest> digest_of_lock(Context& context, const std::string& lock) {
  if (lock.starts_with("sha256:")) return parse_digest(lock);
  const auto text = read_document(context, lock);
  if (!text) return tl::unexpected(text.error());
  const auto envelope = parse_envelope(*text);
  if (!envelope) return within(lock, envelope.error());
  return sha256(envelope->payload);
}

Outcome lift_as_root(Context& context, const Options& options) {
  const auto reply = ask_jitd(context, wire::Verb::lift, Row().text(wire::Tag::user, options.user));
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    context.out << to_json(reply->result) << '\n';
  } else {
    context.out << shown(reply->message.empty() ? options.user + " is unlocked" : reply->message) << '\n';
  }
  return exit_of(reply->status);
}

// Locks on a user that were sent from here, as far as they may still hold.
Result<std::vector<Digest>> locks_on(Context& context, Elsewhere& elsewhere, const std::string& user) {
  std::vector<Digest> locks;
  for (const auto& sent : sent_documents(context, kSent)) {
    const auto* lock = std::get_if<Lock>(&sent.document);
    if (lock == nullptr || std::find(lock->users.begin(), lock->users.end(), user) == lock->users.end()) continue;
    if (!lock->until || *lock->until > context.now()) locks.push_back(sent.digest);
  }
  if (locks.empty()) {
    return fail(
        Errc::not_found,
        fmt::format("{}: no lock on them was sent from here to {}; name it: --lock FILE, or the sha256:... of it",
                    user, elsewhere.names()));
  }
  return locks;
}

Outcome unlock(Context& context, const Options& options) {
  auto elsewhere = open_elsewhere(context, options.issue.source, options.issue.sign.out);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  if (options.locks.empty() && (options.user.empty() || !*elsewhere)) {
    if (options.user.empty()) return usage(context, "unlock takes a user or --lock");
    if (context.uid != 0) {
      return usage(context,
                   "unlocking by name is root's; an approver names the lock: --lock FILE, or the sha256:... of it");
    }
    return lift_as_root(context, options);
  }
  if (!options.user.empty() && !options.locks.empty()) return usage(context, "unlock takes either a user or --lock");
  if (options.reason.empty()) return usage(context, "a signed unlock says why: -m TEXT");
  Lock document;
  if (!options.user.empty()) {
    auto locks = locks_on(context, **elsewhere, options.user);
    if (!locks) return tl::unexpected(locks.error());
    document.lifts = std::move(*locks);
  }
  for (const auto& lock : options.locks) {
    const auto digest = digest_of_lock(context, lock);
    if (!digest) return tl::unexpected(digest.error());
    document.lifts.push_back(*digest);
  }
  document.reason = options.reason;
  document.created = context.now();
  document.nonce = make_nonce();
  return issue(context, *elsewhere, document, options.issue, {{}, true});
}

}  // namespace

void add_unlock(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("unlock", "Lift a lock", [&context, options] { return unlock(context, *options); });
  command->add_option("user", options->user, "User: as root of the host unsigned and audited, with --source signed")
      ->check(user_problem)
      ->type_name("USER");
  command->add_option("--lock", options->locks, "The lock: its file or its digest")->type_name("FILE|sha256:...");
  command->add_option("-m,--message", options->reason, "Why")->check(words_problem)->type_name("TEXT");
  add_issue_options(*command, options->issue);
  add_qr(*command, context);
}

}  // namespace jit::ctl
