// jitctl revoke: a signed end of what is, by id, by user or of everything.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/find.hpp"
#include "jitctl/issue.hpp"
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
  IssueOptions issue;
};

// What hosts elsewhere know by this id, and which of them: it is for those then, unless others were named.
Result<void> add_target_elsewhere(Elsewhere& elsewhere, const Where& where, Revocation& revocation,
                                  const std::string& id, std::set<std::string>& hosts) {
  const auto found = find_grant_elsewhere(elsewhere, where.hosts.empty() ? elsewhere.hosts() : where.hosts, id);
  if (!found) return tl::unexpected(found.error());
  hosts.insert(found->hosts.begin(), found->hosts.end());
  revocation.requests.push_back(found->digest);
  if (!found->request) revocation.grants.push_back(found->digest);
  return {};
}

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

// The number of the newest list, as this host says it or the hosts elsewhere do.
Result<std::uint64_t> newest_list(Context& context, std::optional<Elsewhere>& elsewhere) {
  if (!elsewhere) {
    const auto host = inspect(context);
    if (!host) return fail(host.error().code, host.error().message + "; or say its --number");
    return host->newest_list;
  }
  if (auto done = elsewhere->look(elsewhere->hosts(), {false, 1, {}, false}); !done)
    return tl::unexpected(done.error());
  std::uint64_t newest = 0;
  for (const auto& name : elsewhere->hosts()) {
    const auto sight = elsewhere->sight(name);
    if (const auto* last = sight.last()) newest = std::max(newest, last->event.view.value_or(0));
  }
  if (newest == 0) return fail(Errc::not_found, "no host has said that it has a numbered list: say its --number");
  return newest;
}

// Makes it a numbered list: the host's view of revocations goes on with it.
Result<void> make_list(Context& context, std::optional<Elsewhere>& elsewhere, Revocation& revocation,
                       const Options& options) {
  const auto next = parse_duration(options.next_update);
  if (!next) return tl::unexpected(next.error());
  auto number = options.number;
  if (number == 0) {
    const auto newest = newest_list(context, elsewhere);
    if (!newest) return tl::unexpected(newest.error());
    number = *newest + 1;
  }
  revocation.number = number;
  revocation.next_update = revocation.created + *next;
  return {};
}

Outcome revoke(Context& context, const Options& options) {
  const bool named = !options.ids.empty() || !options.users.empty() || !options.approvers.empty();
  if (!options.list && options.number != 0) return usage(context, "--number goes with --list");
  if ((named && options.all) || (!named && !options.all && !options.list))
    return usage(context, "revoke takes ids, --user, --approver, or --all alone");
  auto elsewhere = open_elsewhere(context, options.issue.source, options.issue.sign.out);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  auto issuing = options.issue;
  const bool to_named = !issuing.where.hosts.empty() || !issuing.where.segments.empty() || issuing.on_all;
  std::set<std::string> hosts;
  Revocation revocation;
  for (const auto& id : options.ids) {
    const bool whole = id.starts_with("sha256:");
    const auto added = *elsewhere && !(whole && to_named)
                           ? add_target_elsewhere(**elsewhere, issuing.where, revocation, id, hosts)
                           : add_target(context, revocation, id);
    if (!added) return tl::unexpected(added.error());
  }
  const bool by_id = options.users.empty() && options.approvers.empty() && !options.all;
  if (*elsewhere && by_id && !to_named) issuing.where.hosts.assign(hosts.begin(), hosts.end());
  revocation.users = options.users;
  revocation.approvers = options.approvers;
  revocation.all = options.all;
  revocation.reason = options.reason;
  revocation.created = context.now();
  revocation.nonce = make_nonce();
  if (options.list) {
    if (auto made = make_list(context, *elsewhere, revocation, options); !made) return tl::unexpected(made.error());
  }
  return issue(context, *elsewhere, revocation, issuing, {});
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
  add_reason(*command, options->reason);
  add_issue_options(*command, options->issue);
  add_qr(*command, context);
}

}  // namespace jit::ctl
