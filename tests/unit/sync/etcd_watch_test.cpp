// Waiting for news in an etcd mailbox: what is told, what could have been missed, and who is watched.
#include "jitd/sync/etcd_watch.hpp"

#include "tests/unit/catch.hpp"
#include "tests/unit/sync/etcd_fake.hpp"

using namespace jit;
using namespace jit::etcd_test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Boxes are listed at `revision`; streams are what the test queues, each for one opening.
struct Watching : World {
  std::uint64_t revision = 50;
  std::deque<std::deque<Step>> streams;
  std::deque<HttpResponse> probes;  // answers to what is asked besides; by default nothing has changed
  unsigned probed = 0;

  explicit Watching(const std::string& url = "etcd+https://a:2379,b:2379,c:2379/jit") : World(url) {
    http->answer = [this](const HttpRequest&) -> Result<HttpResponse> {
      ++probed;
      if (probes.empty()) return good({{"header", header(revision)}});
      auto next = probes.front();
      probes.pop_front();
      return next;
    };
    http->stream = [this](const HttpRequest&) -> Result<std::deque<Step>> {
      if (streams.empty()) return std::deque<Step>{created(1, revision)};
      auto next = streams.front();
      streams.pop_front();
      return next;
    };
  }
  void list(const Box& which) {
    REQUIRE(mailbox().list(which, [](const Item&) { return true; }));
    probed = 0;
  }
  // How long a wait of at most ten minutes took; -1: an error.
  std::int64_t wait(const std::vector<Box>& boxes, milliseconds at_most = std::chrono::minutes(10)) {
    const auto from = clock.at.boot_ms;
    last = mailbox().wait(boxes, -1, at_most, false);
    return last ? static_cast<std::int64_t>(clock.at.boot_ms - from) : -1;
  }
  Result<void> last;

  static Step created(int watch, std::uint64_t at) {
    return line_of({{"header", header(at)}, {"watch_id", std::to_string(watch)}, {"created", true}});
  }
  static Step change(const std::string& key, std::uint64_t at, int watch = 1) {
    return line_of(
        {{"header", header(at)}, {"watch_id", std::to_string(watch)}, {"events", {{{"kv", entry(key, at)}}}}});
  }
  static Step cancelled(int watch, const std::string& why) {
    return line_of({{"header", header(50)},
                    {"watch_id", std::to_string(watch)},
                    {"created", true},
                    {"canceled", true},
                    {"cancel_reason", why}});
  }
  static Step compacted(int watch) {
    return line_of({{"header", {{"raft_term", "2"}}},
                    {"watch_id", std::to_string(watch)},
                    {"canceled", true},
                    {"compact_revision", "40"}});
  }
};

constexpr std::int64_t kAll = 600'000;

}  // namespace

TEST_CASE("etcd: a box that was never listed may have changed", "[sync][etcd]") {
  Watching world;
  CHECK(world.wait({kToDb1}) == 0);
  CHECK(world.http->opened.empty());
}

TEST_CASE("etcd: boxes are watched on one connection, each from where it was listed", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.revision = 70;
  world.list(kFromDb1);
  world.streams = {{Watching::created(1, 70), Watching::created(2, 70)}};
  CHECK(world.wait({kToDb1, kFromDb1}) == kAll);
  REQUIRE(world.http->opened.size() == 1);
  const auto lines = split(world.http->opened[0].body, '\n');
  REQUIRE(lines.size() == 3);
  const json to = json::parse(lines[0]).at("create_request"), from = json::parse(lines[1]).at("create_request");
  CHECK(to.at("start_revision") == "51");
  CHECK(to.at("key") == to_base64("jit/to/db1/"));
  CHECK(to.at("filters") == json::array({"NODELETE"}));  // that a lease has ended is no news to a host
  CHECK(from.at("start_revision") == "71");
  CHECK_FALSE(from.contains("filters"));
  // Kept open between calls.
  CHECK(world.wait({kToDb1, kFromDb1}) == kAll);
  CHECK(world.http->opened.size() == 1);
}

TEST_CASE("etcd: a change wakes until its box is listed again", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.streams = {{Watching::created(1, 50), Watching::change("jit/to/db1/a.jit", 51),
                    Watching::change("jit/to/db1/b.jit", 52), Watching::change("jit/to/db1/c.jit", 60)}};
  CHECK(world.wait({kToDb1}) == 0);
  CHECK(world.wait({kToDb1}) == 0);
  world.revision = 52;
  world.list(kToDb1);
  CHECK(world.wait({kToDb1}) == 0);  // 52 was listed, 60 was not
  world.revision = 60;
  world.list(kToDb1);
  CHECK(world.wait({kToDb1}) == kAll);
  CHECK(world.http->opened.size() == 1);
}

TEST_CASE("etcd: what is no document, or was not asked for, does not wake", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.streams = {
      {Watching::created(1, 50), Watching::change("jit/to/db1/a.tmp", 51), Watching::change("jit/to/db2/a.jit", 52),
       Watching::change("jit/to/db10/a.jit", 53), Watching::change("", 54),
       line_of(
           {{"header", header(55)}, {"watch_id", "1"}, {"events", {7, {{"kv", "x"}}, {{"kv", {{"key", "!"}}}}}}})}};
  CHECK(world.wait({kToDb1}) == kAll);
}

TEST_CASE("etcd: it returns for the other descriptor, and when its time is over", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.streams = {{Watching::created(1, 50), Step{{}, {}, true}}};
  CHECK(world.wait({kToDb1}) == 0);
  CHECK(world.wait({kToDb1}, milliseconds(1500)) == 1500);
  CHECK(world.wait({kToDb1}, milliseconds(-1)) == 0);
  Watching polled;
  polled.spec.poll = Seconds(30);
  auto owned = std::make_unique<FakeHttp>(polled.clock);
  owned->answer = polled.http->answer;
  owned->stream = polled.http->stream;
  polled.client = std::make_unique<etcd::Client>(polled.spec, std::move(owned), polled.clock, etcd::Client::Spread{});
  polled.list(kToDb1);
  CHECK(polled.wait({kToDb1}) == 30000);
}

TEST_CASE("etcd: a stream that ends is opened at the next member, from the same revision", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.streams = {
      {Watching::created(1, 50), end_of("gone")},
      {Step{json({{"error", {{"grpc_code", 14}, {"message", "etcdserver: no leader"}}}}).dump(), {}, false}},
      {Watching::created(1, 51), Watching::change("jit/to/db1/a.jit", 51)}};
  CHECK(world.wait({kToDb1}) == 0);
  REQUIRE(world.http->opened.size() == 3);
  for (int i = 0; i < 3; ++i) {
    CHECK(server_of(world.http->opened[static_cast<std::size_t>(i)]) ==
          std::array{"https://a:2379", "https://b:2379", "https://c:2379"}.at(static_cast<std::size_t>(i)));
    CHECK(
        json::parse(world.http->opened[static_cast<std::size_t>(i)].body).at("create_request").at("start_revision") ==
        "51");
  }
}

TEST_CASE("etcd: streams that end one after the other are an error, not a loop", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.http->stream = [](const HttpRequest&) { return std::deque<Step>{end_of("gone")}; };
  CHECK(world.wait({kToDb1}) == -1);
  CHECK(world.last.error().code == Errc::unavailable);
  CHECK(world.http->opened.size() <= 4);
  world.http->stream = [](const HttpRequest&) { return Result<std::deque<Step>>(fail(Errc::unavailable, "down")); };
  CHECK(world.wait({kToDb1}) == -1);
  CHECK(world.http->opened.size() <= 7);
}

TEST_CASE("etcd: a server that ends its streams is not asked again by everybody at once", "[sync][etcd]") {
  Watching world;
  auto owned = std::make_unique<FakeHttp>(world.clock);
  owned->answer = world.http->answer;
  owned->stream = world.http->stream;
  world.client = std::make_unique<etcd::Client>(world.spec, std::move(owned), world.clock,
                                                etcd::Client::Spread{0, milliseconds(60)});
  world.list(kToDb1);
  world.streams = {{Watching::created(1, 50), end_of("restarted")}, {Watching::created(1, 50)}};
  const auto from = std::chrono::steady_clock::now();
  CHECK(world.wait({kToDb1}, seconds(5)) == 5000);
  CHECK(std::chrono::steady_clock::now() - from >= milliseconds(60));
}

TEST_CASE("etcd: a compacted history means listing again, and going on from there", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.list(kToPci);
  world.streams = {{Watching::created(1, 50), Watching::created(2, 50), Watching::compacted(2)}};
  CHECK(world.wait({kToDb1, kToPci}) == 0);
  CHECK(world.wait({kToDb1}) == kAll);  // nothing was missed there
  world.streams = {};
  CHECK(world.wait({kToDb1, kToPci}) == 0);
  world.revision = 80;
  world.list(kToPci);
  world.streams = {{Watching::created(1, 80), Watching::created(2, 80)}};
  CHECK(world.wait({kToDb1, kToPci}) == kAll);
  CHECK(json::parse(split(world.http->opened.back().body, '\n')[1]).at("create_request").at("start_revision") ==
        "81");
  CHECK(server_of(world.http->opened.back()) == "https://a:2379");  // the member did nothing wrong
}

TEST_CASE("etcd: a cluster that was restored from a backup is listed and watched anew", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.streams = {{Watching::created(1, 20)}};
  CHECK(world.wait({kToDb1}) == 0);
  world.revision = 20;
  world.list(kToDb1);
  world.streams = {{Watching::created(1, 20), Watching::change("jit/to/db1/a.jit", 21)}};
  CHECK(world.wait({kToDb1}) == 0);
  REQUIRE(world.http->opened.size() == 2);
  CHECK(json::parse(world.http->opened[1].body).at("create_request").at("start_revision") == "21");
}

TEST_CASE("etcd: a line without sense counts as news", "[sync][etcd]") {
  for (const std::string bad : {"", "{", "<html>", "{}", R"({"result":{"header":{"revision":"x"}}})"}) {
    INFO(bad);
    Watching world;
    world.list(kToDb1);
    world.streams = {{Watching::created(1, 50), Step{bad, {}, false}}};
    CHECK(world.wait({kToDb1}) == 0);
    world.list(kToDb1);
    CHECK(world.wait({kToDb1}) == kAll);
    CHECK(server_of(world.http->opened.back()) == "https://b:2379");
  }
  Watching world;
  world.list(kToDb1);
  world.streams = {{Watching::created(1, 50), Step{std::string(9U << 20U, 'x'), {}, false}}};
  CHECK(world.wait({kToDb1}) == 0);
}

TEST_CASE("etcd: a watch that is forbidden is a refusal that names keys", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.list(kToPci);
  world.streams = {{Watching::created(1, 50), Watching::cancelled(-1, "rpc error: code = PermissionDenied")}};
  world.probes = {good({{"header", header(50)}}), bad(403, 7, "etcdserver: permission denied")};
  CHECK(world.wait({kToDb1, kToPci}) == -1);
  CHECK(world.last.error().code == Errc::refused);
  CHECK(world.last.error().message.find("jit/to/segment/pci/") != std::string::npos);
}

TEST_CASE("etcd: a watch that is refused for an old token is opened again with a new one", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  // etcd 3.4.0 says "permission denied" for this too.
  world.streams = {{Watching::cancelled(-1, "rpc error: code = PermissionDenied")},
                   {Watching::created(1, 50), Watching::change("jit/to/db1/a.jit", 51)}};
  CHECK(world.wait({kToDb1}) == 0);
  CHECK(world.http->opened.size() == 2);
  CHECK(world.probed == 1);
  Watching stubborn;
  stubborn.list(kToDb1);
  stubborn.http->stream = [](const HttpRequest&) {
    return std::deque<Step>{Watching::cancelled(-1, "no such watch")};
  };
  CHECK(stubborn.wait({kToDb1}) == -1);
  CHECK(stubborn.last.error().code == Errc::refused);
  CHECK(stubborn.last.error().message.find("no such watch") != std::string::npos);
  CHECK(stubborn.http->opened.size() == 2);
}

TEST_CASE("etcd: a member that is cut off is left after fifteen seconds", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  std::string silent = "https://a:2379";
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (server_of(request) != silent) return good({{"header", header(50)}});
    world.clock.pass(request.total);
    return fail(Errc::unavailable, "timed out");
  };
  world.streams = {{Watching::created(1, 50)}, {Watching::created(1, 51), Watching::change("jit/to/db1/a.jit", 51)}};
  const auto took = world.wait({kToDb1});
  CHECK(took > 0);
  CHECK(took <= 15000);
  CHECK(server_of(world.http->opened.back()) == "https://b:2379");
}

TEST_CASE("etcd: a member that answers without most of the others behind it is left too", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.probes = {bad(503, 14, "etcdserver: request timed out")};
  world.streams = {{Watching::created(1, 50)}, {Watching::created(1, 51), Watching::change("jit/to/db1/a.jit", 51)}};
  CHECK(world.wait({kToDb1}) == 10000);
  CHECK(server_of(world.http->opened.back()) == "https://b:2379");
}

TEST_CASE("etcd: news that a proxy holds back are found by asking, box by box", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.list(kToPci);
  world.streams = {{Watching::created(1, 50), Watching::created(2, 50)}};
  world.probes = {good({{"header", header(55)}}),
                  good({{"header", header(55)}, {"kvs", {entry("jit/to/segment/pci/a.jit", 54)}}})};
  CHECK(world.wait({kToDb1, kToPci}) == 20000);
  const json question = asked_of(world.http->asked.back());
  CHECK(question.at("key") == to_base64("jit/to/segment/pci/"));
  CHECK(question.at("min_mod_revision") == "51");
  CHECK(question.at("limit") == "1");
  // Its answer for other keys, or old ones, is none.
  world.revision = 54;
  world.list(kToPci);
  world.probes = {good({{"header", header(55)}, {"kvs", {entry("jit/to/db2/a.jit", 90)}}}),
                  good({{"header", header(55)}, {"kvs", {entry("jit/to/segment/pci/a.jit", 54)}}})};
  CHECK(world.wait({kToDb1, kToPci}, seconds(25)) == 25000);
}

TEST_CASE("etcd: a permission that is taken away is noticed", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.streams = {{Watching::created(1, 50)}};
  const auto denied = bad(403, 7, "etcdserver: permission denied");
  world.probes = {denied, denied};
  CHECK(world.wait({kToDb1}) == -1);
  CHECK(world.last.error().code == Errc::refused);
  CHECK(world.last.error().message.find("jit/to/db1/") != std::string::npos);
}

TEST_CASE("etcd: whoever else found the watched member wanting, the watch leaves it too", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  CHECK(world.wait({kToDb1}, seconds(1)) == 1000);
  const auto answer = world.http->answer;
  world.http->answer = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (server_of(request) == "https://a:2379") return fail(Errc::unavailable, "gone");
    return answer(request);
  };
  world.list(kToDb1);
  CHECK(world.wait({kToDb1}, seconds(1)) == 1000);
  REQUIRE(world.http->opened.size() == 2);
  CHECK(server_of(world.http->opened[1]) == "https://b:2379");
}

TEST_CASE("etcd: other boxes are another stream", "[sync][etcd]") {
  Watching world;
  world.list(kToDb1);
  world.list(kFromDb1);
  CHECK(world.wait({kToDb1}, seconds(1)) == 1000);
  CHECK(world.wait({kFromDb1}, seconds(1)) == 1000);
  REQUIRE(world.http->opened.size() == 2);
  CHECK(json::parse(world.http->opened[1].body).at("create_request").at("key") == to_base64("jit/from/db1/"));
  CHECK(world.wait({}, milliseconds(1)) == 0);
  CHECK(world.http->opened.size() == 2);
}
