// jitctl unlock: lifts a lock. Root of the host does it by the user's name, unsigned and audited; anybody else signs.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::string user, reason;
  std::vector<std::string> locks;
  Where where;
  SignOptions sign;
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

Outcome unlock(Context& context, const Options& options) {
  if (options.locks.empty()) {
    if (options.user.empty()) return usage(context, "unlock takes a user (as root) or --lock");
    if (context.uid != 0) {
      return usage(context,
                   "unlocking by name is root's; an approver names the lock: --lock FILE, or the sha256:... of it");
    }
    return lift_as_root(context, options);
  }
  if (!options.user.empty()) return usage(context, "unlock takes either a user or --lock");
  if (options.reason.empty()) return usage(context, "a signed unlock says why: -m TEXT");
  Lock document;
  for (const auto& lock : options.locks) {
    const auto digest = digest_of_lock(context, lock);
    if (!digest) return tl::unexpected(digest.error());
    document.lifts.push_back(*digest);
  }
  const auto where = where_to(context, options.where);
  if (!where) return tl::unexpected(where.error());
  document.hosts = where->hosts;
  document.segments = where->segments;
  document.reason = options.reason;
  document.created = context.now();
  document.nonce = make_nonce();
  const auto text = signed_document(context, document, options.sign.key);
  if (!text) return tl::unexpected(text.error());
  return hand_over(context, *text, options.sign);
}

}  // namespace

void add_unlock(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("unlock", "Lift a lock", [&context, options] { return unlock(context, *options); });
  command->add_option("user", options->user, "User, as root of the host: unsigned, audited")
      ->check(user_problem)
      ->type_name("USER");
  command->add_option("--lock", options->locks, "The lock: its file or its digest")->type_name("FILE|sha256:...");
  command->add_option("-m,--message", options->reason, "Why")->check(words_problem)->type_name("TEXT");
  add_where(*command, options->where);
  add_sign_options(*command, options->sign);
  add_qr(*command, context);
}

}  // namespace jit::ctl
