// etcd's JSON: what we say is what etcd takes, and whatever it says becomes a value or an error.
#include "jitd/sync/etcd_gateway.hpp"

#include <nlohmann/json.hpp>

#include "policy/text.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;
using namespace jit::etcd;
using nlohmann::json;

TEST_CASE("etcd: a prefix is a range up to the next byte", "[sync][etcd]") {
  CHECK(keys_below("jit/to/db1/") == KeyRange{"jit/to/db1/", "jit/to/db10"});
}

TEST_CASE("etcd: questions have its names, base64 and numbers as text", "[sync][etcd]") {
  const json all = json::parse(range_question({{"a/", "a0"}, 5, 7, 8, true}));
  CHECK(all == json{{"key", "YS8="},
                    {"range_end", "YTA="},
                    {"limit", "5"},
                    {"revision", "7"},
                    {"min_mod_revision", "9"},
                    {"keys_only", true}});
  CHECK(json::parse(range_question({{"a", ""}, 0, 0, 0, false})) == json{{"key", "YQ=="}});
  CHECK(json::parse(delete_question("a")) == json{{"key", "YQ=="}});
  CHECK(json::parse(lease_question(60)) == json{{"TTL", "60"}});
  CHECK(json::parse(words_question({{"name", "h\"1"}, {"password", "\xff"}})).at("name") == "h\"1");
  const json put = json::parse(put_question("k", "v", 12));
  CHECK(put.at("compare").size() == 2);
  CHECK(put.at("compare").at(0) ==
        json{{"key", "aw=="}, {"target", "VALUE"}, {"result", "EQUAL"}, {"value", "dg=="}});
  CHECK(put.at("compare").at(1) == json{{"key", "aw=="}, {"target", "LEASE"}, {"result", "EQUAL"}, {"lease", "12"}});
  CHECK(put.at("failure") == json::array({{{"request_put", {{"key", "aw=="}, {"value", "dg=="}, {"lease", "12"}}}}}));
  CHECK_FALSE(put.contains("success"));
}

TEST_CASE("etcd: several watches are asked for in one body, a line each", "[sync][etcd]") {
  const std::string body = watch_question({{keys_below("a/"), 4, 1, true}, {keys_below("b/"), 1, 2, false}});
  const auto lines = split(body, '\n');
  REQUIRE(lines.size() == 3);
  const json first = json::parse(lines[0]).at("create_request"), second = json::parse(lines[1]).at("create_request");
  CHECK(first.at("start_revision") == "4");
  CHECK(first.at("watch_id") == "1");
  CHECK(first.at("filters") == json::array({"NODELETE"}));
  CHECK(first.at("fragment") == true);
  CHECK(second.at("key") == "Yi8=");
  CHECK_FALSE(second.contains("filters"));
  CHECK(lines[2].empty());
}

TEST_CASE("etcd: a page is read as it comes from etcd 3.4", "[sync][etcd]") {
  const auto page = read_page(
      R"({"header":{"cluster_id":"5781844538971815671","member_id":"6635912115811125280","revision":"6","raft_term":"2"},)"
      R"("kvs":[{"key":"Yi8x","create_revision":"6","mod_revision":"6","version":"1","value":"dg==","lease":"77"}],)"
      R"("more":true,"count":"2"})");
  REQUIRE(page);
  CHECK(page->revision == 6);
  CHECK(page->more);
  REQUIRE(page->entries.size() == 1);
  CHECK(page->entries[0].key == "b/1");
  CHECK(page->entries[0].value == "v");
  CHECK(page->entries[0].changed == 6);
  CHECK(page->entries[0].lease == 77);
}

TEST_CASE("etcd: an entry that makes no sense is left out, the others are read", "[sync][etcd]") {
  for (const std::string bad :
       {R"({"key":"!!","mod_revision":"3"})", R"({"key":"YQ","mod_revision":"3"})", R"({"mod_revision":"3"})",
        R"({"key":"YQ=="})", R"({"key":"YQ==","mod_revision":"99999999999999999999999"})",
        R"({"key":"YQ==","mod_revision":"9223372036854775808"})", R"({"key":"YQ==","mod_revision":-1})",
        R"({"key":"YQ==","mod_revision":"3","lease":"x"})", R"({"key":"YQ==","mod_revision":"3","value":7})",
        R"({"key":["YQ=="],"mod_revision":"3"})", "7", "null", "[]"}) {
    INFO(bad);
    const auto page =
        read_page(R"({"header":{"revision":9},"kvs":[)" + bad + R"(,{"key":"Yg==","mod_revision":4}]})");
    REQUIRE(page);
    REQUIRE(page->entries.size() == 1);
    CHECK(page->entries[0].key == "b");
    CHECK(page->entries[0].changed == 4);  // a number may be one
  }
}

TEST_CASE("etcd: what is no answer of it is an error", "[sync][etcd]") {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "[";
  for (const std::string& bad :
       {std::string(), std::string("{"), std::string("[]"), std::string("7"), std::string("null"),
        std::string("<html>"), std::string("{}"), std::string(R"({"header":{}})"),
        std::string(R"({"header":{"revision":"x"}})"), std::string(R"({"header":7})"),
        std::string(R"({"header":{"revision":"5"}} {})"), deep, "{\"a\":" + deep}) {
    INFO(bad.substr(0, 40));
    const auto page = read_page(bad);
    REQUIRE_FALSE(page);
    CHECK(page.error().code == Errc::invalid);
    CHECK_FALSE(read_watch_line(bad));
    CHECK_FALSE(read_lease(bad));
    CHECK_FALSE(read_token(bad));
    CHECK(read_failure(500, bad).kind == Failure::Kind::away);
  }
  CHECK(read_page(R"({"header":{"revision":"1"},"kvs":{"a":1},"more":"yes"})").value().entries.empty());
}

TEST_CASE("etcd: lines of a watch", "[sync][etcd]") {
  const auto created = read_watch_line(R"({"result":{"header":{"revision":"5"},"watch_id":"2","created":true}})");
  REQUIRE(created);
  CHECK(created->created);
  CHECK(created->watch == 2);
  CHECK(created->revision == 5);
  const auto changes = read_watch_line(
      R"({"result":{"header":{"revision":"9"},"watch_id":"1","events":[{"kv":{"key":"YQ==","mod_revision":"8","value":"dg=="}},)"
      R"({"type":"DELETE","kv":{"key":"Yg==","mod_revision":"9"}},{"kv":{}},{},7]}})");
  REQUIRE(changes);
  REQUIRE(changes->changes.size() == 2);
  CHECK(changes->changes[0].key == "a");
  CHECK(changes->changes[1].revision == 9);
  const auto compacted = read_watch_line(
      R"({"result":{"header":{"raft_term":"2"},"watch_id":"1","canceled":true,"compact_revision":"6"}})");
  REQUIRE(compacted);
  CHECK(compacted->cancelled);
  CHECK(compacted->compacted == 6);
  const auto refused = read_watch_line(
      R"({"result":{"header":{"revision":"7"},"watch_id":"-1","created":true,"canceled":true,)"
      R"("cancel_reason":"rpc error: code = PermissionDenied desc = etcdserver: permission denied\u001b[0m"}})");
  REQUIRE(refused);
  CHECK(refused->watch == -1);
  CHECK(refused->cancelled);
  CHECK(refused->compacted == 0);
  CHECK(refused->why.find('\x1b') == std::string::npos);
  for (
      const std::string failed :
      {R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}})",
       R"({"error":{"code":14,"message":"etcdserver: no leader","details":[]}})",
       R"({"error":"etcdserver: no leader"})"}) {
    const auto line = read_watch_line(failed);
    REQUIRE(line);
    CHECK(line->failed);
    CHECK(line->why == "etcdserver: no leader");
  }
  CHECK_FALSE(read_watch_line(R"({"result":{"header":{"revision":"7"},"watch_id":"-2"}})"));
  CHECK_FALSE(read_watch_line(R"({"result":{"header":{"revision":"7"},"compact_revision":"y"}})"));
}

TEST_CASE("etcd: leases and tokens", "[sync][etcd]") {
  CHECK(read_lease(R"({"header":{},"ID":"585646240298366731","TTL":"100"})").value() == 585646240298366731U);
  CHECK_FALSE(read_lease(R"({"ID":"0"})"));
  CHECK_FALSE(read_lease(R"({"ID":"-5"})"));
  CHECK(read_token(R"({"token":"FBRNwCWTuhqrqUYm.31"})").value() == "FBRNwCWTuhqrqUYm.31");
  CHECK_FALSE(read_token(R"({"token":"a\r\nX: y"})"));
  CHECK_FALSE(read_token(R"({"token":""})"));
  CHECK_FALSE(read_token(json({{"token", std::string(9000, 'x')}}).dump()));
}

TEST_CASE("etcd: permissions of a role", "[sync][etcd]") {
  const auto read = read_permissions(
      R"({"perm":[{"key":"YS8=","range_end":"YTA="},{"permType":"READWRITE","key":"YQ=="},{"permType":"WRITE","key":"Yg=="}]})");
  REQUIRE(read);
  using Access = Permission::Access;
  CHECK(*read == std::vector<Permission>{
                     {Access::read, {"a/", "a0"}}, {Access::read_write, {"a", ""}}, {Access::other, {"b", ""}}});
  CHECK(read_permissions("{}").value().empty());
  CHECK_FALSE(read_permissions(R"({"perm":[{"key":"!"}]})"));
  CHECK(json::parse(permit_question("r", {Access::read_write, {"a/", "a0"}})) ==
        json{{"name", "r"}, {"perm", {{"permType", "READWRITE"}, {"key", "YS8="}, {"range_end", "YTA="}}}});
  CHECK(read_roles(R"({"roles":["a","b"]})").value() == std::vector<std::string>{"a", "b"});
}

TEST_CASE("etcd: why there is no answer", "[sync][etcd]") {
  using Kind = Failure::Kind;
  const auto kind = [](int status, int code, const std::string& message) {
    return read_failure(status, json({{"error", message}, {"message", message}, {"code", code}}).dump()).kind;
  };
  CHECK(kind(401, 16, "etcdserver: invalid auth token") == Kind::login);
  CHECK(kind(400, 3, "etcdserver: user name is empty") == Kind::login);
  CHECK(kind(400, 3, "etcdserver: revision of auth store is old") == Kind::login);
  CHECK(kind(400, 3, "etcdserver: authentication failed, invalid user ID or password") == Kind::password);
  CHECK(kind(412, 9, "etcdserver: authentication is not enabled") == Kind::auth_off);
  CHECK(kind(403, 7, "etcdserver: permission denied") == Kind::denied);
  CHECK(kind(404, 5, "etcdserver: requested lease not found") == Kind::no_lease);
  CHECK(kind(400, 11, "etcdserver: mvcc: required revision has been compacted") == Kind::compacted);
  CHECK(kind(503, 14, "etcdserver: no leader") == Kind::away);
  CHECK(kind(503, 14, "etcdserver: request timed out") == Kind::away);
  CHECK(kind(500, 2, "context deadline exceeded") == Kind::away);
  CHECK(kind(429, 8, "etcdserver: mvcc: database space exceeded") == Kind::away);
  CHECK(kind(400, 3, "etcdserver: request is too large") == Kind::other);
  CHECK(read_failure(404, "Not Found\n").kind == Kind::not_etcd);
  CHECK(read_failure(502, "<html>").kind == Kind::away);
  CHECK(read_failure(407, "").kind == Kind::other);
  CHECK(read_failure(502, "\x1b[2J").message.find('\x1b') == std::string::npos);
  CHECK(read_failure(400, "CommonName of client sending a request against gateway will be ignored\n").kind ==
        Kind::certificate);
  CHECK(read_failure(400, R"({"message":"\u001b[2J","code":3})").message.find('\x1b') == std::string::npos);
}
