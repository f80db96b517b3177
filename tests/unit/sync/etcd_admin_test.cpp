// Users, roles and permissions for an etcd mailbox.
#include "jitd/sync/etcd_admin.hpp"

#include "tests/unit/catch.hpp"
#include "tests/unit/sync/etcd_fake.hpp"

using namespace jit;
using namespace jit::etcd_test;
using etcd::Admin;
using etcd::Permission;
using Access = etcd::Permission::Access;

namespace {

// Who there is in a cluster, and everything that was asked of it.
struct Administered : World {
  std::map<std::string, std::string> passwords;
  std::map<std::string, std::vector<std::string>> roles_of;
  std::map<std::string, std::vector<json>> permissions;
  std::vector<std::string> changes, said;
  bool root = true;

  Administered() {
    http->answer = [this](const HttpRequest& request) -> Result<HttpResponse> {
      if (!root) return bad(403, 7, "etcdserver: permission denied");
      return act(path_of(request).substr(9), asked_of(request));
    };
  }
  Admin admin() {
    return {*client, [this](const std::string& line) { said.push_back(line); }};
  }

 private:
  HttpResponse act(const std::string& path, const json& asked) {
    const bool looks = path.ends_with("/get");
    if (!looks) changes.push_back(path);
    if (path == "user/get") {
      const std::string name = asked.at("name");
      if (passwords.count(name) == 0) return bad(400, 9, "etcdserver: user name not found");
      return good({{"roles", roles_of[name]}});
    }
    if (path == "user/add") {
      if (!passwords.emplace(asked.at("name"), asked.at("password")).second)
        return bad(400, 9, "etcdserver: user name already exists");
    } else if (path == "user/changepw") {
      passwords[asked.at("name")] = asked.at("password");
    } else if (path == "user/grant") {
      roles_of[asked.at("user")].push_back(asked.at("role"));
    } else if (path == "user/delete") {
      if (passwords.erase(asked.at("name")) == 0) return bad(400, 9, "etcdserver: user name not found");
    } else if (path == "role/add") {
      if (!permissions.emplace(asked.at("name"), std::vector<json>()).second)
        return bad(400, 9, "etcdserver: role name already exists");
    } else if (path == "role/get") {
      return good({{"perm", permissions.at(asked.at("role"))}});
    } else if (path == "role/grant") {
      auto& all = permissions.at(asked.at("name"));
      std::erase_if(all, [&](const json& one) { return one.at("key") == asked.at("perm").at("key"); });
      all.push_back(asked.at("perm"));
    } else if (path == "role/revoke") {
      std::erase_if(permissions.at(asked.at("role")), [&](const json& one) {
        return one.at("key") == asked.at("key") && one.at("range_end") == asked.at("range_end");
      });
    } else if (path == "role/delete") {
      if (permissions.erase(asked.at("role")) == 0) return bad(400, 9, "etcdserver: role name not found");
    } else if (path != "enable") {
      return bad(404, 12, "Not Found");
    }
    return good(json::object());
  }
};

bool among(const std::vector<std::string>& all, const std::string& words) {
  return std::any_of(all.begin(), all.end(),
                     [&](const std::string& one) { return one.find(words) != std::string::npos; });
}

}  // namespace

TEST_CASE("etcd: a host reads what is for it and writes what it says, and nothing else", "[sync][etcd]") {
  const World world;
  const auto account = etcd::host_account(world.spec, "db1", {"pci", "eu"});
  REQUIRE(account);
  CHECK(account->name == "jit/host/db1");
  CHECK(account->permissions ==
        std::vector<Permission>{{Access::read, {"jit/to/db1/", "jit/to/db10"}},
                                {Access::read, {"jit/to/segment/pci/", "jit/to/segment/pci0"}},
                                {Access::read, {"jit/to/segment/eu/", "jit/to/segment/eu0"}},
                                {Access::read_write, {"jit/from/db1/", "jit/from/db10"}}});
  CHECK_FALSE(etcd::host_account(world.spec, "segment", {}));
  CHECK_FALSE(etcd::host_account(world.spec, "../x", {}));
  CHECK_FALSE(etcd::host_account(world.spec, "db1", {"a/b"}));
}

TEST_CASE("etcd: an approver writes to all hosts, who asks to those named", "[sync][etcd]") {
  const World world;
  CHECK(etcd::approver_account(world.spec, "carol")->permissions ==
        std::vector<Permission>{{Access::read_write, {"jit/to/", "jit/to0"}},
                                {Access::read, {"jit/from/", "jit/from0"}}});
  const auto asker = etcd::asker_account(world.spec, "ci", {"db1"}, {"pci"});
  REQUIRE(asker);
  CHECK(asker->name == "jit/asker/ci");
  CHECK(asker->permissions ==
        std::vector<Permission>{{Access::read_write, {"jit/to/db1/", "jit/to/db10"}},
                                {Access::read, {"jit/from/db1/", "jit/from/db10"}},
                                {Access::read_write, {"jit/to/segment/pci/", "jit/to/segment/pci0"}}});
  CHECK_FALSE(etcd::approver_account(world.spec, "a/b"));
  CHECK_FALSE(etcd::asker_account(world.spec, "", {"db1"}, {}));
}

TEST_CASE("etcd: an account is made once, and again is no change", "[sync][etcd]") {
  Administered cluster;
  auto admin = cluster.admin();
  const auto account = etcd::host_account(cluster.spec, "db1", {"pci"}).value();
  CHECK_FALSE(admin.has_user("jit/host/db1").value());
  REQUIRE(admin.make(account, "secret"));
  CHECK(cluster.passwords.at("jit/host/db1") == "secret");
  CHECK(cluster.roles_of.at("jit/host/db1") == std::vector<std::string>{"jit/host/db1"});
  CHECK(cluster.permissions.at("jit/host/db1").size() == 3);
  // The user comes last, so that it never has more than it is to have.
  CHECK(cluster.changes ==
        std::vector<std::string>{"role/add", "role/grant", "role/grant", "role/grant", "user/add", "user/grant"});
  CHECK(among(cluster.said, "made the user jit/host/db1"));
  CHECK(among(cluster.said, "gave: read and write what begins with jit/from/db1/"));
  CHECK_FALSE(among(cluster.said, "secret"));
  cluster.changes.clear();
  cluster.said.clear();
  CHECK(admin.has_user("jit/host/db1").value());
  REQUIRE(admin.make(account, std::nullopt));
  CHECK(cluster.changes == std::vector<std::string>{"role/add"});
  CHECK(among(cluster.said, "as it was: the user jit/host/db1"));
}

TEST_CASE("etcd: a role gets exactly what it is to have", "[sync][etcd]") {
  Administered cluster;
  auto admin = cluster.admin();
  REQUIRE(admin.make(etcd::host_account(cluster.spec, "db1", {"pci", "old"}).value(), "secret"));
  cluster.permissions.at("jit/host/db1")
      .push_back({{"permType", "READWRITE"}, {"key", to_base64("jit/")}, {"range_end", to_base64("jit0")}});
  cluster.permissions.at("jit/host/db1")[0]["permType"] = "READWRITE";
  cluster.roles_of.at("jit/host/db1").push_back("backup");
  cluster.said.clear();
  REQUIRE(admin.make(etcd::host_account(cluster.spec, "db1", {"pci"}).value(), std::nullopt));
  const auto& all = cluster.permissions.at("jit/host/db1");
  REQUIRE(all.size() == 3);
  for (const json& one : all) {
    CHECK(one.at("permType") == (one.at("key") == to_base64("jit/from/db1/") ? "READWRITE" : "READ"));
    CHECK(one.at("key") != to_base64("jit/to/segment/old/"));
  }
  CHECK(among(cluster.said, "took away: read what begins with jit/to/segment/old/"));
  CHECK(among(cluster.said, "took away: read and write what begins with jit/"));
  CHECK(among(cluster.said, "left alone: jit/host/db1 has the role backup too"));
  CHECK(cluster.passwords.at("jit/host/db1") == "secret");
  REQUIRE(admin.make(etcd::host_account(cluster.spec, "db1", {"pci"}).value(), "other"));
  CHECK(cluster.passwords.at("jit/host/db1") == "other");
}

TEST_CASE("etcd: a removed account leaves neither user nor role", "[sync][etcd]") {
  Administered cluster;
  auto admin = cluster.admin();
  const auto account = etcd::host_account(cluster.spec, "db1", {}).value();
  REQUIRE(admin.make(account, "secret"));
  REQUIRE(admin.remove(account));
  CHECK(cluster.passwords.empty());
  CHECK(cluster.permissions.empty());
  cluster.said.clear();
  REQUIRE(admin.remove(account));
  CHECK(cluster.said ==
        std::vector<std::string>{"not there: the user jit/host/db1", "not there: the role jit/host/db1"});
}

TEST_CASE("etcd: authentication is turned on once root can get in", "[sync][etcd]") {
  Administered cluster;
  auto admin = cluster.admin();
  REQUIRE(admin.enable_auth("secret"));
  CHECK(cluster.changes == std::vector<std::string>{"user/add", "user/grant", "enable"});
  CHECK(cluster.passwords.at("root") == "secret");
  CHECK(cluster.roles_of.at("root") == std::vector<std::string>{"root"});
}

TEST_CASE("etcd: only root may change who there is, and that is said", "[sync][etcd]") {
  Administered cluster;
  cluster.root = false;
  auto admin = cluster.admin();
  const auto made = admin.make(etcd::host_account(cluster.spec, "db1", {}).value(), "secret");
  REQUIRE_FALSE(made);
  CHECK(made.error().code == Errc::refused);
  CHECK(made.error().message.find("the role root") != std::string::npos);
  CHECK(cluster.said.empty());
}
