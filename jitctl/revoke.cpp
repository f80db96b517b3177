// jitctl revoke: a signed end of what is, by id, by user or of everything.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::vector<std::string> ids, users, approvers;
  bool all = false;
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

Outcome revoke(Context& context, const Options& options) {
  const bool named = !options.ids.empty() || !options.users.empty() || !options.approvers.empty();
  if (named == options.all) return usage(context, "revoke takes ids, --user, --approver, or --all alone");
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
  add_where(*command, options->where);
  add_reason(*command, options->reason);
  add_sign_options(*command, options->sign);
  add_qr(*command, context);
}

}  // namespace jit::ctl
