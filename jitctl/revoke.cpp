// jitctl revoke: a signed end of what is, by id, by user or of everything.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/paper.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::vector<std::string> ids, users, approvers;
  bool all = false, list = false;
  std::uint64_t number = 0;  // of the list; 0: one above what the host here knows
  std::string next_update = "1d";
  std::string reason;
  Where where;
  SignOptions sign;
};

// A digest given whole names a document that this host need not know, of either kind: both arrays get it, and by
// digest a revocation ends that document also when it arrives later. An id is looked up here.
Result<void> add_target(Context& context, Revocation& revocation, const std::string& id) {
  if (id.starts_with("sha256:")) {
    const auto digest = parse_digest(id);
    if (!digest) return tl::unexpected(digest.error());
    revocation.grants.push_back(*digest);
    revocation.requests.push_back(*digest);
    return {};
  }
  const auto row = find_grant(context, id);
  if (!row) return tl::unexpected(row.error());
  const auto digest = parse_digest(row->text(wire::Tag::digest));
  if (!digest) return tl::unexpected(digest.error());
  (row->text(wire::Tag::kind) == "grant" ? revocation.grants : revocation.requests).push_back(*digest);
  return {};
}

// Makes it a numbered list: the host's view of revocations goes on with it.
Result<void> make_list(Context& context, Revocation& revocation, const Options& options) {
  const auto next = parse_duration(options.next_update);
  if (!next) return tl::unexpected(next.error());
  auto number = options.number;
  if (number == 0) {
    const auto host = inspect(context);
    if (!host) return fail(host.error().code, host.error().message + "; or say its --number");
    number = host->newest_list + 1;
  }
  revocation.number = number;
  revocation.next_update = revocation.created + *next;
  return {};
}

Outcome revoke(Context& context, const Options& options) {
  const bool named = !options.ids.empty() || !options.users.empty() || !options.approvers.empty();
  if (!options.list && options.number != 0) return usage(context, "--number goes with --list");
  if (named && options.all) return usage(context, "revoke takes ids, --user, --approver, or --all alone");
  if (!named && !options.all && !options.list)
    return usage(context, "revoke takes ids, --user, --approver, or --all alone");
  Revocation revocation;
  for (const auto& id : options.ids) {
    if (auto added = add_target(context, revocation, id); !added) return tl::unexpected(added.error());
  }
  const auto where = where_to(context, options.where);
  if (!where) return tl::unexpected(where.error());
  revocation.hosts = where->hosts;
  revocation.segments = where->segments;
  revocation.users = options.users;
  revocation.approvers = options.approvers;
  revocation.all = options.all;
  revocation.reason = options.reason;
  revocation.created = context.now();
  revocation.nonce = make_nonce();
  if (options.list) {
    if (auto made = make_list(context, revocation, options); !made) return tl::unexpected(made.error());
  }
  const auto text = signed_document(context, revocation, options.sign.key);
  if (!text) return tl::unexpected(text.error());
  return hand_over(context, *text, options.sign);
}

}  // namespace

void add_revoke(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("revoke", "End grants and requests, signed",
                               [&context, options] { return revoke(context, *options); });
  command->add_option("ids", options->ids, "Ids, or whole digests (sha256:...)")->type_name("ID");
  command->add_option("--user", options->users, "Everything of this user")->check(user_problem)->type_name("USER");
  command->add_option("--approver", options->approvers, "Everything this person approved")
      ->check(role_problem)
      ->type_name("PERSON");
  command->add_flag("--all", options->all, "Everything on the host");
  command->add_flag("--list", options->list, "Make it a numbered list; it may name nothing");
  command->add_option("--number", options->number, "Number of the list (default: one above the newest here)")
      ->type_name("N");
  command->add_option("--next-update", options->next_update, "When the next list is due (default: in 1d)")
      ->check(duration_problem)
      ->type_name("D");
  add_where(*command, options->where);
  add_reason(*command, options->reason);
  add_sign_options(*command, options->sign);
  add_qr(*command, context);
}

}  // namespace jit::ctl
