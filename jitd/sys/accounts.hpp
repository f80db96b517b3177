// Accounts. LocalAccounts reads /etc/passwd and /etc/group themselves, for what must not depend on a name service
// (gates' exceptions, groups that we edit). Names from the network go through the helper process (server/helper.hpp),
// since NSS can hang.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

struct LocalUser {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string shell;
  std::string home;
};

struct LocalGroup {
  std::string name;
  std::uint32_t gid = 0;
  std::vector<std::string> members;
};

// passwd(5) and group(5) as they stand; malformed lines are skipped. The first entry of a name or id wins, as in
// nss_files.
class LocalAccounts {
 public:
  [[nodiscard]] static LocalAccounts parse(std::string_view passwd, std::string_view group);
  [[nodiscard]] static Result<LocalAccounts> read(const std::string& etc = "/etc");

  [[nodiscard]] const LocalUser* user(std::string_view name) const;
  [[nodiscard]] const LocalUser* user(std::uint32_t uid) const;
  [[nodiscard]] const LocalGroup* group(std::string_view name) const;
  [[nodiscard]] const LocalGroup* group(std::uint32_t gid) const;
  // Members by the group's list and by primary gid.
  [[nodiscard]] std::vector<std::string> members(std::string_view group) const;
  [[nodiscard]] const std::vector<LocalGroup>& groups() const { return groups_; }
  [[nodiscard]] const std::vector<LocalUser>& users() const { return users_; }

 private:
  std::vector<LocalUser> users_;
  std::vector<LocalGroup> groups_;
};

// What a name service says of one user: the answer of getpwnam and getgrouplist.
struct Account {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::string> groups;  // names of all, primary too
};

}  // namespace jit
