// Users and roles of an etcd cluster for its mailbox: whoever uses it may do there what they must, and nothing else.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "jitd/sync/etcd_client.hpp"
#include "jitd/sync/mailbox.hpp"

namespace jit::etcd {

// Somebody who uses a mailbox: a user, and a role of the same name that only this user has.
struct Account {
  std::string name;  // PREFIX/host/NAME, PREFIX/approver/NAME, PREFIX/asker/NAME
  std::vector<Permission> permissions;
};
// A host reads what is for it and its segments, and writes what it says. Errors: names that are none.
[[nodiscard]] Result<Account> host_account(const SourceSpec& spec, const std::string& host,
                                           const std::vector<std::string>& segments);
// An approver writes to every host and segment and reads what each host says.
[[nodiscard]] Result<Account> approver_account(const SourceSpec& spec, const std::string& name);
// Who asks writes to these hosts and segments and reads what these hosts say.
[[nodiscard]] Result<Account> asker_account(const SourceSpec& spec, const std::string& name,
                                            const std::vector<std::string>& hosts,
                                            const std::vector<std::string>& segments);

// Makes accounts what they are to be. Every call may be made again; what it changed, and what it left, it says.
class Admin {
 public:
  using Say = std::function<void(const std::string&)>;
  Admin(Client& client, Say say) : client_(client), say_(std::move(say)) {}

  // Also false where the account is there without its user.
  [[nodiscard]] Result<bool> has_user(const std::string& user);

  // The role gets exactly the account's permissions, the user the role. `password`: a new one; without it the user
  // must be there. What a permission that is taken away showed, a watch that is open goes on to show.
  [[nodiscard]] Result<void> make(const Account& account, const std::optional<std::string>& password);

  // Ends user and role: tokens of the user count no more, but a watch that is open stays so until its connection
  // ends.
  [[nodiscard]] Result<void> remove(const Account& account);

  // The user root, with this password, then authentication for the whole cluster: from there on nobody reads or
  // writes without a user.
  [[nodiscard]] Result<void> enable_auth(const std::string& root_password);

 private:
  // Asks, says `done` where that went well. `fine`: this failure is as good, and nothing is said.
  [[nodiscard]] Result<Client::Reply> ask(const std::string& path, const std::string& body, const std::string& what,
                                          Failure::Kind fine, const std::string& done);
  [[nodiscard]] Result<void> set_password(const std::string& user, const std::string& password);
  [[nodiscard]] Result<void> set_permissions(const Account& account);
  [[nodiscard]] Result<void> set_role(const std::string& user, const std::string& role);

  Client& client_;
  Say say_;
};

}  // namespace jit::etcd
