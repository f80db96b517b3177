// The mailbox in etcd: what is listed, fetched, put and removed.
#include "jitd/sync/etcd.hpp"

#include "jitd/sync/etcd_leases.hpp"
#include "policy/document/envelope.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sync/etcd_fake.hpp"

using namespace jit;
using namespace jit::etcd_test;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

std::vector<std::string> names(const Listing& listed) {
  std::vector<std::string> all;
  for (const Item& item : listed.items) all.push_back(item.name);
  return all;
}
using Names = std::vector<std::string>;

WallTime at(std::int64_t seconds) {
  return WallTime(Seconds(seconds));
}

// Answers lease grants and puts; leases are numbered from 1.
struct Puts {
  explicit Puts(World& world) {
    world.http->answer = [this](const HttpRequest& request) -> Result<HttpResponse> {
      if (path_of(request) == "/v3/lease/grant") {
        ttl.push_back(asked_of(request).at("TTL"));
        return good({{"header", header(5)}, {"ID", std::to_string(ttl.size())}, {"TTL", ttl.back()}});
      }
      CHECK(path_of(request) == "/v3/kv/txn");
      const json put = asked_of(request).at("failure").at(0).at("request_put");
      leases.push_back(put.at("lease"));
      keys.push_back(from_base64(put.at("key").get<std::string>()).value());
      return answer(leases.back());
    };
  }
  std::function<HttpResponse(const std::string&)> answer = [](const std::string&) {
    return good({{"header", header(6)}});
  };
  std::vector<std::string> ttl, leases, keys;
};

}  // namespace

TEST_CASE("etcd: a box is listed page by page at one revision", "[sync][etcd]") {
  World world;
  std::vector<json> questions;
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    CHECK(path_of(request) == "/v3/kv/range");
    questions.push_back(asked_of(request));
    if (questions.size() == 1)
      return good({{"header", header(50)},
                   {"more", true},
                   {"kvs", {entry("jit/to/db1/a.jit", 3), entry("jit/to/db1/b.jit", 9)}}});
    return good({{"header", header(60)}, {"kvs", {entry("jit/to/db1/c.jit", 4)}}});
  };
  const auto listed = listing(world.mailbox(), kToDb1);
  REQUIRE(listed.result);
  CHECK(names(listed) == Names{"a.jit", "b.jit", "c.jit"});
  CHECK(listed.items[0].stamp == "3.99");
  REQUIRE(questions.size() == 2);
  CHECK(questions[0].at("key") == to_base64("jit/to/db1/"));
  CHECK(questions[0].at("range_end") == to_base64("jit/to/db10"));
  CHECK(questions[0].at("keys_only") == true);
  CHECK_FALSE(questions[0].contains("revision"));
  CHECK(questions[1].at("key") == to_base64(std::string("jit/to/db1/b.jit") + '\0'));
  CHECK(questions[1].at("revision") == "50");
}

TEST_CASE("etcd: a listing goes on when its revision is forgotten meanwhile", "[sync][etcd]") {
  World world;
  unsigned asked = 0;
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    ++asked;
    if (asked == 1) return good({{"header", header(50)}, {"more", true}, {"kvs", {entry("jit/to/db1/a.jit", 3)}}});
    if (asked_of(request).contains("revision"))
      return bad(400, 11, "etcdserver: mvcc: required revision has been compacted");
    CHECK(asked_of(request).at("key") == to_base64(std::string("jit/to/db1/a.jit") + '\0'));
    return good({{"header", header(70)}, {"kvs", {entry("jit/to/db1/b.jit", 66)}}});
  };
  const auto listed = listing(world.mailbox(), kToDb1);
  REQUIRE(listed.result);
  CHECK(names(listed) == Names{"a.jit", "b.jit"});
  CHECK(asked == 3);
}

TEST_CASE("etcd: what was not asked for, and what is no document's name, is not listed", "[sync][etcd]") {
  World world;
  world.http->answer = [&](const HttpRequest&) {
    return Result<HttpResponse>(good({{"header", header(50)},
                                      {"kvs",
                                       {entry("jit/to/db1/", 3),
                                        entry("jit/to/db1/.x.jit", 3),
                                        entry("jit/to/db1/a.jit", 3),
                                        entry("jit/to/db1/a.jit", 3),
                                        entry("jit/to/db1/../db2/x.jit", 3),
                                        entry("jit/to/db1/b/c.jit", 3),
                                        entry("jit/to/db1/d.txt", 3),
                                        entry("jit/to/db1/e.jit", 3),
                                        entry("jit/to/db10/f.jit", 3),
                                        entry("jit/to/db2/g.jit", 3),
                                        entry("other", 3),
                                        {{"key", "!"}, {"mod_revision", "3"}},
                                        entry("jit/to/db1/" + std::string(300, 'x') + ".jit", 3),
                                        entry("jit/to/db1/a\x1b[2J.jit", 3)}}}));
  };
  const auto listed = listing(world.mailbox(), kToDb1);
  REQUIRE(listed.result);
  CHECK(names(listed) == Names{"a.jit", "e.jit"});
}

TEST_CASE("etcd: a server that promises more for ever is an error", "[sync][etcd]") {
  World world;
  unsigned asked = 0;
  world.http->answer = [&](const HttpRequest&) {
    ++asked;
    return Result<HttpResponse>(
        good({{"header", header(50)}, {"more", true}, {"kvs", {entry("jit/to/db1/a.jit", 3)}}}));
  };
  const auto listed = listing(world.mailbox(), kToDb1);
  REQUIRE_FALSE(listed.result);
  CHECK(listed.result.error().code == Errc::invalid);
  CHECK(asked == 2);
  CHECK(listed.items.size() == 1);
}

TEST_CASE("etcd: a box with more keys than come in a minute is not listed for ever", "[sync][etcd]") {
  World world;
  std::uint64_t asked = 0;
  world.http->answer = [&](const HttpRequest&) {
    world.clock.pass(std::chrono::seconds(1));
    const std::string number = std::to_string(1000 + ++asked);
    return Result<HttpResponse>(
        good({{"header", header(50)}, {"more", true}, {"kvs", {entry("jit/to/db1/" + number + ".jit", 3)}}}));
  };
  const auto listed = listing(world.mailbox(), kToDb1);
  REQUIRE_FALSE(listed.result);
  CHECK(listed.result.error().code == Errc::unavailable);
  CHECK(asked == 60);
}

TEST_CASE("etcd: long keys make smaller pages", "[sync][etcd]") {
  World world;
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    const std::string limit = asked_of(request).at("limit");
    if (limit != "1") return HttpResponse{200, {}, std::string(2U << 20U, 'x')};
    return good({{"header", header(50)}, {"kvs", {entry("jit/to/db1/a.jit", 3)}}});
  };
  const auto listed = listing(world.mailbox(), kToDb1);
  REQUIRE(listed.result);
  CHECK(names(listed) == Names{"a.jit"});
}

TEST_CASE("etcd: whoever has seen enough stops a listing", "[sync][etcd]") {
  World world;
  unsigned asked = 0;
  world.http->answer = [&](const HttpRequest&) {
    ++asked;
    return Result<HttpResponse>(good({{"header", header(50)},
                                      {"more", true},
                                      {"kvs", {entry("jit/to/db1/a.jit", 3), entry("jit/to/db1/b.jit", 3)}}}));
  };
  unsigned seen = 0;
  CHECK(world.mailbox().list(kToDb1, [&](const Item&) { return ++seen < 1; }));
  CHECK(seen == 1);
  CHECK(asked == 1);
}

TEST_CASE("etcd: a document is fetched by its key, and no other is taken for it", "[sync][etcd]") {
  World world;
  std::string key = "jit/from/db1/a.jit", value = "text\n";
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    CHECK(asked_of(request).at("key") == to_base64("jit/from/db1/a.jit"));
    CHECK_FALSE(asked_of(request).contains("range_end"));
    return good({{"header", header(50)}, {"kvs", {entry(key, 3, value)}}});
  };
  const Item item{"a.jit", 0, "3.99"};
  CHECK(world.mailbox().get(kFromDb1, item).value() == "text\n");
  value = std::string(kMaxDocument, 'x');
  CHECK(world.mailbox().get(kFromDb1, item).value() == value);
  value += 'x';
  CHECK(world.mailbox().get(kFromDb1, item).error().code == Errc::invalid);
  value = std::string(100000, 'x');
  CHECK(world.mailbox().get(kFromDb1, item).error().code == Errc::invalid);
  key = "jit/from/db1/b.jit";
  value = "other";
  CHECK(world.mailbox().get(kFromDb1, item).error().code == Errc::not_found);
  world.http->answer = [&](const HttpRequest&) { return Result<HttpResponse>(good({{"header", header(50)}})); };
  CHECK(world.mailbox().get(kFromDb1, item).error().code == Errc::not_found);
}

TEST_CASE("etcd: no permission names the keys and the user", "[sync][etcd]") {
  World world;
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (path_of(request) == "/v3/lease/grant") return good({{"ID", "1"}});
    return bad(403, 7, "etcdserver: permission denied");
  };
  const auto listed = listing(world.mailbox(), kToPci);
  REQUIRE_FALSE(listed.result);
  CHECK(listed.result.error().code == Errc::refused);
  CHECK(listed.result.error().message.find("jit/to/segment/pci/") != std::string::npos);
  CHECK(world.mailbox().get(kToDb1, {"a.jit", 0, ""}).error().code == Errc::refused);
  const auto put = world.mailbox().put(kToDb1, "a.jit", "x", at(1'800'000'100));
  REQUIRE_FALSE(put);
  CHECK(put.error().code == Errc::refused);
  CHECK(put.error().message.find("write jit/to/db1/a.jit") != std::string::npos);
  CHECK(world.mailbox().remove(kToDb1, "a.jit").error().code == Errc::refused);
}

TEST_CASE("etcd: a document ends with a lease, and those of one hour share it", "[sync][etcd]") {
  World world;
  Puts puts(world);
  const std::int64_t now = 1'800'000'000;  // a whole hour
  REQUIRE(world.mailbox().put(kFromDb1, "a.jit", "x", at(now + 600)));
  REQUIRE(world.mailbox().put(kFromDb1, "b.jit", "y", at(now + 1800)));
  REQUIRE(world.mailbox().put(kFromDb1, "c.jit", "z", at(now + 3600)));
  CHECK(puts.leases == std::vector<std::string>{"1", "1", "2"});
  CHECK(puts.ttl == std::vector<std::string>{"3600", "7200"});
  CHECK(puts.keys.front() == "jit/from/db1/a.jit");
  world.clock.pass(hours(1));
  REQUIRE(world.mailbox().put(kFromDb1, "d.jit", "x", at(now + 600)));  // its lease has ended
  CHECK(puts.leases.back() == "2");
}

TEST_CASE("etcd: how long a document stays", "[sync][etcd]") {
  const WallTime now = at(1'800'000'000);
  const auto left = [&](auto until) { return etcd::lease_end(now + until, now) - now; };
  CHECK(left(minutes(1)) == hours(1));
  CHECK(left(minutes(50)) == hours(1));
  CHECK(left(minutes(51)) == hours(2));
  CHECK(left(-hours(9000)) == hours(1));
  CHECK(etcd::lease_end(at(0), at(1'800'003'599)) == at(1'800'007'200));
  for (std::int64_t minute = 1; minute < 60 * 24 * 16; minute += 7) {
    const Seconds wanted = minutes(minute) + minutes(10), got = left(minutes(minute));
    INFO(minute);
    CHECK(got >= wanted);
    CHECK(got <= std::max<Seconds>(wanted + hours(1), wanted * 5 / 4));
  }
  // A host's events of two weeks: so many leases at once.
  std::set<WallTime> ends;
  for (std::int64_t hour = 0; hour < 14 * 24; ++hour)
    ends.insert(etcd::lease_end(now + hours(hour) + hours(14 * 24), now + hours(hour)));
  CHECK(ends.size() <= 8);
  for (const WallTime far : {now + hours(24 * 366 * 100), WallTime::max()}) {
    CHECK(etcd::lease_end(far, now) > now + hours(24 * 366 * 10));
    CHECK(etcd::lease_end(far, now) < now + hours(24 * 366 * 13));
  }
  CHECK(etcd::lease_end(WallTime::min(), now) - now == hours(1));
}

TEST_CASE("etcd: a lease that is gone is made again, once", "[sync][etcd]") {
  World world;
  Puts puts(world);
  REQUIRE(world.mailbox().put(kFromDb1, "a.jit", "x", at(1'800'000'600)));
  puts.answer = [](const std::string& lease) {
    return lease == "1" ? bad(404, 5, "etcdserver: requested lease not found") : good({{"header", header(6)}});
  };
  REQUIRE(world.mailbox().put(kFromDb1, "b.jit", "x", at(1'800'000'600)));
  CHECK(puts.leases == std::vector<std::string>{"1", "1", "2"});
  puts.answer = [](const std::string&) { return bad(404, 5, "etcdserver: requested lease not found"); };
  CHECK_FALSE(world.mailbox().put(kFromDb1, "c.jit", "x", at(1'800'000'600)));
  CHECK(puts.leases == std::vector<std::string>{"1", "1", "2", "2", "3"});
}

TEST_CASE("etcd: a lease that holds a key which is no longer ours to write stands in nobody's way", "[sync][etcd]") {
  World world;
  Puts puts(world);
  REQUIRE(world.mailbox().put(kToDb1, "a.jit", "x", at(1'800'000'600)));
  puts.answer = [](const std::string& lease) {
    return lease == "1" ? bad(403, 7, "etcdserver: permission denied") : good({{"header", header(6)}});
  };
  REQUIRE(world.mailbox().put(kToPci, "b.jit", "x", at(1'800'000'600)));
  CHECK(puts.leases == std::vector<std::string>{"1", "1", "2"});
  // Where it is the key itself, no lease is made for each try.
  World other;
  Puts denied(other);
  denied.answer = [](const std::string&) { return bad(403, 7, "etcdserver: permission denied"); };
  for (int i = 0; i < 5; ++i) CHECK_FALSE(other.mailbox().put(kToDb1, "a.jit", "x", at(1'800'000'600)));
  CHECK(denied.ttl.size() == 1);
}

TEST_CASE("etcd: no name leads out of its box", "[sync][etcd]") {
  World world;
  for (const std::string name : {"", "../db2/a.jit", "a/b.jit"}) {
    CHECK(world.mailbox().put(kToDb1, name, "x", at(1'800'000'600)).error().code == Errc::invalid);
  }
  CHECK(world.mailbox().put(kToDb1, "a.jit", std::string(kMaxDocument + 1, 'x'), at(1'800'000'600)).error().code ==
        Errc::invalid);
  CHECK(world.http->asked.empty());
}

TEST_CASE("etcd: removing is one key's", "[sync][etcd]") {
  World world;
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    CHECK(path_of(request) == "/v3/kv/deleterange");
    CHECK(asked_of(request) == json{{"key", to_base64("jit/from/db1/a.jit")}});
    return good({{"header", header(5)}});
  };
  CHECK(world.mailbox().remove(kFromDb1, "a.jit"));
}

TEST_CASE("etcd: only what says etcd is one", "[sync][etcd]") {
  CHECK_FALSE(make_etcd_mailbox(parse_source_url("https://a/x").value()));
  auto spec = parse_source_url("etcd+http://127.0.0.1:1/jit").value();
  CHECK(make_etcd_mailbox(spec));
  spec.user = "u";
  CHECK_FALSE(make_etcd_mailbox(spec));
}
