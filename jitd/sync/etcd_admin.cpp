#include "jitd/sync/etcd_admin.hpp"

#include <algorithm>

#include "jitd/sync/etcd_watch.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit::etcd {
namespace {

using Access = Permission::Access;
using Kind = Failure::Kind;

std::string in_words(const Permission& permission) {
  const KeyRange& keys = permission.keys;
  const bool below = !keys.first.empty() && keys == keys_below(keys.first);
  const std::string what = permission.access == Access::read         ? "read "
                           : permission.access == Access::read_write ? "read and write "
                                                                     : "write ";
  if (keys.end.empty()) return what + "the key " + shown(keys.first);
  return what + (below ? "what begins with " + shown(keys.first) : shown(keys.first) + " up to " + shown(keys.end));
}

Result<void> add(Account& account, const SourceSpec& spec, Access access, const Result<Box>& box) {
  if (!box) return tl::unexpected(box.error());
  account.permissions.push_back({access, keys_of(spec, *box)});
  return {};
}

}  // namespace

Result<Account> host_account(const SourceSpec& spec, const std::string& host,
                             const std::vector<std::string>& segments) {
  Account account{spec.path + "/host/" + host, {}};
  if (auto added = add(account, spec, Access::read, Box::to_host(host)); !added) return tl::unexpected(added.error());
  for (const std::string& segment : segments) {
    auto added = add(account, spec, Access::read, Box::to_segment(segment));
    if (!added) return tl::unexpected(added.error());
  }
  auto added = add(account, spec, Access::read_write, Box::from_host(host));
  if (!added) return tl::unexpected(added.error());
  return account;
}

Result<Account> approver_account(const SourceSpec& spec, const std::string& name) {
  if (auto good = check_policy_name(name, "approver"); !good) return tl::unexpected(good.error());
  return Account{
      spec.path + "/approver/" + name,
      {{Access::read_write, keys_below(spec.path + "/to/")}, {Access::read, keys_below(spec.path + "/from/")}}};
}

Result<Account> asker_account(const SourceSpec& spec, const std::string& name, const std::vector<std::string>& hosts,
                              const std::vector<std::string>& segments) {
  if (auto good = check_policy_name(name, "asker"); !good) return tl::unexpected(good.error());
  Account account{spec.path + "/asker/" + name, {}};
  for (const std::string& host : hosts) {
    for (const auto& [access, box] :
         {std::pair{Access::read_write, Box::to_host(host)}, std::pair{Access::read, Box::from_host(host)}}) {
      if (auto added = add(account, spec, access, box); !added) return tl::unexpected(added.error());
    }
  }
  for (const std::string& segment : segments) {
    auto added = add(account, spec, Access::read_write, Box::to_segment(segment));
    if (!added) return tl::unexpected(added.error());
  }
  return account;
}

Result<Client::Reply> Admin::ask(const std::string& path, const std::string& body, const std::string& what, Kind fine,
                                 const std::string& done) {
  auto reply = client_.call(path, body);
  if (!reply) return reply;
  if (reply->good()) {
    if (!done.empty()) say_(done);
    return reply;
  }
  if (fine != Kind::none && reply->failure.kind == fine) return reply;
  if (reply->failure.kind == Kind::denied)
    return fail(Errc::refused, "etcd does not let \"" + shown(client_.spec().user) + "\" " + what +
                                   ": only a user with the role root may");
  return tl::unexpected(error_of(reply->failure, what, client_.spec()));
}

Result<bool> Admin::has_user(const std::string& user) {
  const auto reply =
      ask("/v3/auth/user/get", words_question({{"name", user}}), "look at the user " + user, Kind::missing, "");
  if (!reply) return tl::unexpected(reply.error());
  return reply->good();
}

Result<void> Admin::set_password(const std::string& user, const std::string& password) {
  const auto body = words_question({{"name", user}, {"password", password}});
  const auto made = ask("/v3/auth/user/add", body, "make the user " + user, Kind::exists, "made the user " + user);
  if (!made) return tl::unexpected(made.error());
  if (made->good()) return {};
  const auto changed = ask("/v3/auth/user/changepw", body, "change the password of " + user, Kind::none,
                           "changed the password of " + user);
  if (!changed) return tl::unexpected(changed.error());
  return {};
}

Result<void> Admin::set_permissions(const Account& account) {
  const std::string& role = account.name;
  const auto made = ask("/v3/auth/role/add", words_question({{"name", role}}), "make the role " + role, Kind::exists,
                        "made the role " + role);
  if (!made) return tl::unexpected(made.error());
  const auto got =
      ask("/v3/auth/role/get", words_question({{"role", role}}), "look at the role " + role, Kind::none, "");
  if (!got) return tl::unexpected(got.error());
  const auto has = read_permissions(got->body);
  if (!has) return tl::unexpected(has.error());
  const auto among = [](const std::vector<Permission>& all, const Permission& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  // etcd knows one permission for a range: another access to the same keys replaces it.
  for (const Permission& one : *has) {
    const bool wanted = std::any_of(account.permissions.begin(), account.permissions.end(),
                                    [&](const Permission& other) { return other.keys == one.keys; });
    if (wanted) continue;
    const auto taken = ask("/v3/auth/role/revoke", forbid_question(role, one.keys), "change the role " + role,
                           Kind::missing, "took away: " + in_words(one));
    if (!taken) return tl::unexpected(taken.error());
  }
  for (const Permission& one : account.permissions) {
    if (among(*has, one)) {
      say_("as it was: " + in_words(one));
      continue;
    }
    const auto given = ask("/v3/auth/role/grant", permit_question(role, one), "change the role " + role, Kind::none,
                           "gave: " + in_words(one));
    if (!given) return tl::unexpected(given.error());
  }
  return {};
}

Result<void> Admin::set_role(const std::string& user, const std::string& role) {
  const auto got =
      ask("/v3/auth/user/get", words_question({{"name", user}}), "look at the user " + user, Kind::none, "");
  if (!got) return tl::unexpected(got.error());
  const auto roles = read_roles(got->body);
  if (!roles) return tl::unexpected(roles.error());
  for (const std::string& one : *roles)
    if (one != role) say_("left alone: " + user + " has the role " + shown(one) + " too, which is not of ours");
  if (std::find(roles->begin(), roles->end(), role) != roles->end()) return {};
  const auto given = ask("/v3/auth/user/grant", words_question({{"user", user}, {"role", role}}),
                         "give " + user + " a role", Kind::none, "gave the user " + user + " the role " + role);
  if (!given) return tl::unexpected(given.error());
  return {};
}

Result<void> Admin::make(const Account& account, const std::optional<std::string>& password) {
  // The user last: it never has more than it is to have.
  if (auto set = set_permissions(account); !set) return set;
  if (password) {
    if (auto set = set_password(account.name, *password); !set) return set;
  } else {
    say_("as it was: the user " + account.name + " and its password");
  }
  return set_role(account.name, account.name);
}

Result<void> Admin::remove(const Account& account) {
  const std::string& name = account.name;
  const auto user = ask("/v3/auth/user/delete", words_question({{"name", name}}), "remove the user " + name,
                        Kind::missing, "removed the user " + name);
  if (!user) return tl::unexpected(user.error());
  if (!user->good()) say_("not there: the user " + name);
  const auto role = ask("/v3/auth/role/delete", words_question({{"role", name}}), "remove the role " + name,
                        Kind::missing, "removed the role " + name);
  if (!role) return tl::unexpected(role.error());
  if (!role->good()) say_("not there: the role " + name);
  return {};
}

Result<void> Admin::enable_auth(const std::string& root_password) {
  if (auto set = set_password("root", root_password); !set) return set;
  if (auto set = set_role("root", "root"); !set) return set;
  const auto enabled = ask("/v3/auth/enable", "{}", "turn on authentication", Kind::none,
                           "turned on authentication: nobody reads or writes without a user now");
  if (!enabled) return tl::unexpected(enabled.error());
  return {};
}

}  // namespace jit::etcd
