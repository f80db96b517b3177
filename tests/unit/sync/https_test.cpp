// The mailbox on files behind HTTP, over a web server in memory.
#include "jitd/sync/https.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <random>

#include "jitd/sys/fd.hpp"
#include "policy/document/envelope.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/sync/fake_web.hpp"
#include "tests/unit/sync/stage.hpp"

using namespace jit;
using namespace jit::synctest;
using std::chrono::milliseconds;

namespace {

const std::string kBase = "https://web/mail";
const Box kTo = *Box::to_host("db1");
const Box kFrom = *Box::from_host("db1");
const WallTime kUntil{};

struct World {
  FakeWeb web;
  std::chrono::steady_clock::time_point time{std::chrono::hours(1)};
  milliseconds slept{0};
  Seconds poll{0};

  [[nodiscard]] HttpsMailbox mailbox() {
    auto spec = *parse_source_url(kBase);
    spec.poll = poll;
    return {spec, std::make_unique<FakeHttp>(web),
            Pace{[this] { return time; },
                 [this](milliseconds ms) {
                   time += ms;
                   slept += ms;
                 },
                 7}};
  }
  void put(const Box& box, const std::string& name, const std::string& bytes) {
    web.files[kBase + "/" + box.path() + "/" + name] = {bytes, ++web.versions};
  }
  // A box whose index speaks of these documents.
  void fill(const Box& box, const std::map<std::string, std::string>& documents) {
    std::vector<Item> items;
    for (const auto& [name, bytes] : documents) {
      put(box, name, bytes);
      (void)put_item(items, index_item(name, bytes));
    }
    put(box, "index", *index_text(items));
  }
  [[nodiscard]] std::string index(const Box& box) { return web.files[kBase + "/" + box.path() + "/index"].body; }
};

std::vector<std::string> listed(Mailbox& mailbox, const Box& box) {
  std::vector<std::string> names;
  const auto done = mailbox.list(box, [&](const Item& item) {
    names.push_back(item.name);
    return true;
  });
  INFO((done ? "" : done.error().message));
  REQUIRE(done.has_value());
  return names;
}

Error failing(Mailbox& mailbox, const Box& box) {
  const auto done = mailbox.list(box, [](const Item&) { return true; });
  REQUIRE_FALSE(done.has_value());
  return done.error();
}

using Names = std::vector<std::string>;

std::string line_of(const std::string& name, std::string_view bytes) {
  return *index_text({index_item(name, bytes)});
}

}  // namespace

TEST_CASE("a box is what its index says", "[https]") {
  World world;
  auto mailbox = world.mailbox();
  CHECK(listed(mailbox, kTo).empty());
  world.fill(kTo, {{"a.jit", "one"}, {"b c%.jit", "two"}});
  CHECK(listed(mailbox, kTo) == Names{"a.jit", "b c%.jit"});
  CHECK(mailbox.get(kTo, index_item("a.jit", "one")) == "one");
  world.put(kTo, "b%20c%25.jit", "two");  // as it is asked for
  CHECK(mailbox.get(kTo, index_item("b c%.jit", "two")) == "two");
  unsigned seen = 0;
  CHECK(mailbox.list(kTo, [&](const Item&) { return ++seen, false; }).has_value());
  CHECK(seen == 1);
}

TEST_CASE("an index that did not change costs one answer without a body", "[https]") {
  World world;
  world.fill(kTo, {{"a.jit", "one"}});
  auto mailbox = world.mailbox();
  for (int i = 0; i < 3; ++i) CHECK(listed(mailbox, kTo) == Names{"a.jit"});
  CHECK(header_of(world.web.requests[0], "If-None-Match").empty());
  CHECK(header_of(world.web.requests[1], "If-None-Match") == "\"v3\"");
  world.fill(kTo, {{"b.jit", "two"}});
  CHECK(listed(mailbox, kTo) == Names{"b.jit"});
  world.web.files.clear();
  CHECK(listed(mailbox, kTo).empty());
  CHECK(listed(mailbox, kTo).empty());
  CHECK(header_of(world.web.requests.back(), "If-None-Match").empty());
}

TEST_CASE("an index younger than its time can tell is asked for whole", "[https]") {
  World world;
  world.fill(kTo, {{"a.jit", "one"}});
  world.web.modified = "Sun, 29 Nov 2026 12:00:00 GMT";
  world.web.date = "Sun, 29 Nov 2026 12:00:01 GMT";
  auto mailbox = world.mailbox();
  for (int i = 0; i < 2; ++i) CHECK(listed(mailbox, kTo).size() == 1);
  CHECK(header_of(world.web.requests.back(), "If-None-Match").empty());
  CHECK(header_of(world.web.requests.back(), "If-Modified-Since").empty());
  world.web.date = "Sun, 29 Nov 2026 12:00:02 GMT";
  for (int i = 0; i < 2; ++i) CHECK(listed(mailbox, kTo).size() == 1);
  CHECK(header_of(world.web.requests.back(), "If-None-Match") == "\"v3\"");
  CHECK(header_of(world.web.requests.back(), "If-Modified-Since") == world.web.modified);
}

TEST_CASE("an index that broke off goes on where it was", "[https]") {
  World world;
  std::map<std::string, std::string> documents;
  for (int i = 100; i < 200; ++i) documents["n" + std::to_string(i) + ".jit"] = "x";
  world.fill(kTo, documents);
  const std::size_t whole = world.index(kTo).size();
  world.web.break_after = whole / 3;
  auto mailbox = world.mailbox();
  CHECK(failing(mailbox, kTo).code == Errc::unavailable);
  CHECK(failing(mailbox, kTo).code == Errc::unavailable);
  CHECK(header_of(world.web.requests.back(), "Range") == "bytes=" + std::to_string(whole / 3) + "-");
  CHECK(header_of(world.web.requests.back(), "If-Range") == "\"v102\"");
  CHECK(failing(mailbox, kTo).code == Errc::unavailable);  // whole / 3 is rounded down
  CHECK(listed(mailbox, kTo).size() == 100);
  std::size_t asked = 0;
  for (const auto& request : world.web.requests) asked += header_of(request, "Range").empty() ? 0U : 1U;
  CHECK(asked == 3);
  CHECK(listed(mailbox, kTo).size() == 100);  // a 304

  SECTION("changed meanwhile, it is another") {
    world.fill(kTo, {{"a.jit", std::string(500, 'x')}, {"b.jit", "y"}});
    world.web.break_after = 80;
    auto other = world.mailbox();
    CHECK(failing(other, kTo).code == Errc::unavailable);
    world.fill(kTo, {{"c.jit", "z"}});
    CHECK(listed(other, kTo) == Names{"c.jit"});
  }
  SECTION("without a strong ETag, it is fetched whole") {
    world.web.etag = GENERATE(std::string("weak"), std::string("none"));
    world.web.break_after = 80;
    auto other = world.mailbox();
    CHECK(failing(other, kTo).code == Errc::unavailable);
    world.web.break_after = 1U << 30U;
    CHECK(listed(other, kTo).size() == 100);
    CHECK(header_of(world.web.requests.back(), "Range").empty());
  }
  SECTION("a server that knows no ranges sends it whole") {
    world.web.break_after = 80;
    auto other = world.mailbox();
    CHECK(failing(other, kTo).code == Errc::unavailable);
    world.web.knows_ranges = false;
    world.web.break_after = 1U << 30U;
    CHECK(listed(other, kTo).size() == 100);
  }
}

TEST_CASE("an index that makes no sense is an error, and what was known of it is not the answer", "[https]") {
  World world;
  world.put(kTo, "index", "<html>\n");
  auto mailbox = world.mailbox();
  const auto error = failing(mailbox, kTo);
  CHECK(error.code == Errc::invalid);
  CHECK(error.message.find(kBase + "/to/db1/index: line 1") == 0);
  CHECK_FALSE(mailbox.put(kTo, "a.jit", "one", kUntil).has_value());
  CHECK(world.index(kTo) == "<html>\n");  // nothing of somebody else's is overwritten
}

TEST_CASE("bytes that are not those of the index are not there", "[https]") {
  World world;
  auto mailbox = world.mailbox();
  world.put(kTo, "a.jit", "another");
  const auto wrong = mailbox.get(kTo, index_item("a.jit", "the one"));
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().code == Errc::not_found);
  auto longer = index_item("a.jit", "another");
  longer.size = 8;
  CHECK(mailbox.get(kTo, longer).error().code == Errc::not_found);
  CHECK(mailbox.get(kTo, index_item("b.jit", "gone")).error().code == Errc::not_found);
  auto large = index_item("a.jit", "another");
  large.size = kMaxDocument + 1;
  CHECK(mailbox.get(kTo, large).error().code == Errc::invalid);
  CHECK(mailbox.get(kTo, index_item("../a.jit", "another")).error().code == Errc::invalid);
  CHECK(world.web.count("GET", "") == 3);
}

TEST_CASE("what is posted is there for whoever reads, and goes when it is removed", "[https]") {
  World world;
  world.web.etag = GENERATE(std::string("strong"), std::string("weak"), std::string("none"));
  world.web.wants_folders = GENERATE(false, true);
  world.web.folders = {kBase + "/"};
  const Box box = std::array{kTo, kFrom, *Box::to_segment("pci-db")}.at(GENERATE(0U, 1U, 2U));
  auto mailbox = world.mailbox();
  REQUIRE(mailbox.put(box, "b.jit", "two", kUntil).has_value());
  REQUIRE(mailbox.put(box, "a.jit", "one", kUntil).has_value());
  REQUIRE(mailbox.put(box, "a.jit", "one", kUntil).has_value());
  auto reader = world.mailbox();
  CHECK(listed(reader, box) == Names{"a.jit", "b.jit"});
  CHECK(reader.get(box, index_item("a.jit", "one")) == "one");
  REQUIRE(mailbox.put(box, "a.jit", "another", kUntil).has_value());
  CHECK(listed(reader, box) == Names{"a.jit", "b.jit"});
  CHECK(reader.get(box, index_item("a.jit", "another")) == "another");
  REQUIRE(mailbox.remove(box, "a.jit").has_value());
  REQUIRE(mailbox.remove(box, "a.jit").has_value());
  CHECK(listed(reader, box) == Names{"b.jit"});
  CHECK(reader.get(box, index_item("a.jit", "another")).error().code == Errc::not_found);
}

TEST_CASE("the file is there before the index speaks of it, and gone after", "[https]") {
  World world;
  auto mailbox = world.mailbox();
  REQUIRE(mailbox.put(kFrom, "a.jit", "one", kUntil).has_value());
  REQUIRE(mailbox.remove(kFrom, "a.jit").has_value());
  Names order;
  for (const auto& request : world.web.requests)
    if (request.method != "GET") order.push_back(request.method + request.url.substr(request.url.rfind('/')));
  CHECK(order == Names{"PUT/a.jit", "PUT/index", "PUT/index", "DELETE/a.jit"});
}

TEST_CASE("what a host posts of itself costs two requests each", "[https]") {
  World world;
  auto mailbox = world.mailbox();
  for (int i = 100; i < 150; ++i)
    REQUIRE(mailbox.put(kFrom, "e-" + std::to_string(i) + ".jit", "x", kUntil).has_value());
  CHECK(world.web.requests.size() == 101);
  CHECK(world.slept == milliseconds(0));
  // Not for ever: somebody may have cleaned up.
  world.time += std::chrono::minutes(2);
  REQUIRE(mailbox.remove(kFrom, "e-100.jit").has_value());
  CHECK(world.web.requests.size() == 104);
}

TEST_CASE("a source that takes nothing says so, and what to do", "[https]") {
  World world;
  world.fill(kTo, {{"a.jit", "one"}});
  world.web.takes_puts = false;
  auto mailbox = world.mailbox();
  const auto put = mailbox.put(kTo, "b.jit", "two", kUntil);
  REQUIRE_FALSE(put.has_value());
  CHECK(put.error().code == Errc::refused);
  CHECK(put.error().message == kBase +
                                   "/to/db1/b.jit: status 405: it takes no files by PUT and DELETE; allow them "
                                   "there, or post elsewhere");
  CHECK(mailbox.remove(kTo, "a.jit").error().code == Errc::refused);
  CHECK(mailbox.put(kTo, "index", "two", kUntil).error().code == Errc::invalid);
  CHECK(mailbox.put(kTo, "x/y.jit", "two", kUntil).error().code == Errc::invalid);
  CHECK(mailbox.put(kTo, "x.jit", std::string(kMaxDocument + 1, 'x'), kUntil).error().code == Errc::invalid);
  CHECK(mailbox.remove(kTo, "index").error().code == Errc::invalid);
}

TEST_CASE("statuses are what they mean", "[https]") {
  class Always final : public Http {
   public:
    explicit Always(int status) : status_(status) {}
    Result<HttpResponse> perform(const HttpRequest&) override {
      return HttpResponse{status_, {}, "<html><title>400 No required SSL\x1b certificate was sent</title>", {}};
    }
    Result<std::unique_ptr<HttpStream>> open(const HttpRequest&) override { return fail(Errc::refused, ""); }

   private:
    int status_;
  };
  const auto error = [](int status) {
    HttpsMailbox mailbox(*parse_source_url(kBase), std::make_unique<Always>(status));
    return failing(mailbox, kTo);
  };
  for (const int status : {408, 429, 500, 502, 503, 504, 206, 416}) CHECK(error(status).code == Errc::unavailable);
  for (const int status : {400, 401, 403, 405, 204, 304, 418}) CHECK(error(status).code == Errc::refused);
  CHECK(error(401).message.find("password_file") != std::string::npos);
  // A reader must not take a document that it could not have for one that it has seen.
  for (const auto& [status, code] :
       {std::pair{403, Errc::not_found}, {404, Errc::not_found}, {503, Errc::unavailable}}) {
    HttpsMailbox mailbox(*parse_source_url(kBase), std::make_unique<Always>(status));
    CHECK(mailbox.get(kTo, index_item("a.jit", "one")).error().code == code);
  }
  CHECK(error(400).message.find("(400 No required SSL\\x1b certificate was sent)") != std::string::npos);
}

// --- several at once ----------------------------------------------------------------------------------------------

TEST_CASE("a line that somebody overwrites is written again", "[https]") {
  World world;
  world.web.heeds_conditions = GENERATE(false, true);
  const bool had_one = GENERATE(false, true);
  if (had_one) world.fill(kTo, {{"a.jit", "one"}});
  auto mailbox = world.mailbox();
  // Just before ours is written, another's line is there: if conditions do not count, ours overwrites it. And just
  // after, the other, who read what was there before, overwrites ours.
  int writes = 0;
  const std::string stale = (had_one ? world.index(kTo) : "") + line_of("z.jit", "theirs");
  world.web.before = [&](const HttpRequest& request) {
    if (request.method == "GET" && writes == 1 && !world.web.heeds_conditions) {
      ++writes;
      world.put(kTo, "index", stale);
    } else if (request.method == "PUT" && request.url.ends_with("/index") && ++writes == 1) {
      world.put(kTo, "index", stale);
    }
  };
  REQUIRE(mailbox.put(kTo, "m.jit", "ours", kUntil).has_value());
  auto reader = world.mailbox();
  CHECK(listed(reader, kTo) == (had_one ? Names{"a.jit", "m.jit", "z.jit"} : Names{"m.jit", "z.jit"}));
}

TEST_CASE("who never gets a line in gives up in time", "[https]") {
  World world;
  world.web.heeds_conditions = GENERATE(false, true);
  world.fill(kTo, {{"a.jit", "one"}});
  const std::string theirs = world.index(kTo);
  world.web.before = [&](const HttpRequest& request) {
    if (request.url.ends_with("/index")) world.put(kTo, "index", theirs);
  };
  auto mailbox = world.mailbox();
  const auto put = mailbox.put(kTo, "m.jit", "ours", kUntil);
  REQUIRE_FALSE(put.has_value());
  CHECK(put.error().code == Errc::busy);
  CHECK(world.slept <= milliseconds(20000));
}

namespace {

// A way to the server on which every request and every answer takes its time.
class FarHttp final : public Http {
 public:
  FarHttp(FakeWeb& web, Stage& stage, unsigned seed, int at_most)
      : near_(web), stage_(stage), random_(seed), ms_(0, at_most) {}
  Result<HttpResponse> perform(const HttpRequest& request) override {
    stage_.sleep(milliseconds(ms_(random_)));
    auto response = near_.perform(request);
    stage_.sleep(milliseconds(ms_(random_)));
    return response;
  }
  Result<std::unique_ptr<HttpStream>> open(const HttpRequest& request) override { return near_.open(request); }

 private:
  FakeHttp near_;
  Stage& stage_;
  std::minstd_rand random_;
  std::uniform_int_distribution<int> ms_;
};

// What is not there after so many posted at once, several documents each; one of them sits beside the server.
Names lost(bool heeds_conditions, unsigned seed, int posters, int each) {
  World world;
  world.web.heeds_conditions = heeds_conditions;
  Stage stage;
  Names posted;
  std::vector<std::function<void()>> actors;
  for (int who = 0; who < posters; ++who)
    actors.emplace_back([&, who] {
      const unsigned own = seed * 100 + static_cast<unsigned>(who);
      HttpsMailbox mailbox(*parse_source_url(kBase),
                           std::make_unique<FarHttp>(world.web, stage, own, who == 0 ? 5 : 150),
                           Pace{[&] { return stage.now(); }, [&](milliseconds ms) { stage.sleep(ms); }, own});
      for (int i = 0; i < each; ++i) {
        const std::string name = std::to_string(who) + "-" + std::to_string(i) + ".jit";
        // Who is told that it is not there tries again.
        while (!mailbox.put(kTo, name, "document " + name, kUntil)) {
        }
        posted.push_back(name);
      }
    });
  stage.run(actors);
  auto reader = world.mailbox();
  const auto there = listed(reader, kTo);
  Names missing;
  std::sort(posted.begin(), posted.end());
  std::set_difference(posted.begin(), posted.end(), there.begin(), there.end(), std::back_inserter(missing));
  return missing;
}

}  // namespace

TEST_CASE("two who post at once lose nothing, whether the server heeds conditions or not", "[https]") {
  for (const bool heeds_conditions : {true, false})
    for (unsigned seed = 1; seed <= 30; ++seed) {
      INFO("seed " << seed << (heeds_conditions ? ", heeds conditions" : ", ignores conditions"));
      CHECK(lost(heeds_conditions, seed, 2, 5).empty());
    }
}

TEST_CASE("five who post at once lose nothing", "[https]") {
  for (const bool heeds_conditions : {true, false})
    for (unsigned seed = 1; seed <= 5; ++seed) {
      INFO("seed " << seed << (heeds_conditions ? ", heeds conditions" : ", ignores conditions"));
      CHECK(lost(heeds_conditions, seed, 5, 3).empty());
    }
}

// --- waiting ------------------------------------------------------------------------------------------------------

TEST_CASE("it is looked again after a while, sooner when somebody waits, with some chance in it", "[https]") {
  World world;
  world.poll = GENERATE(Seconds(0), Seconds(1), Seconds(60));
  const bool eager = GENERATE(false, true);
  const double expected =
      std::min(world.poll.count() > 0 ? static_cast<double>(world.poll.count()) : 15.0, eager ? 2.0 : 3600.0);
  auto mailbox = world.mailbox();
  const auto waits = [&](milliseconds at_most) {
    const auto from = std::chrono::steady_clock::now();
    CHECK(mailbox.wait({kTo}, -1, at_most, eager).has_value());
    return std::chrono::steady_clock::now() - from;
  };
  CHECK(waits(milliseconds(60000)) < milliseconds(1000));  // never looked yet
  (void)listed(mailbox, kTo);
  CHECK(waits(milliseconds(30)) >= milliseconds(30));
  // What time is left of the whole: 50 ms before the earliest moment, and past the latest.
  const auto looked = world.time;
  world.time = looked + milliseconds(static_cast<int>(expected * 900)) - milliseconds(50);
  CHECK(waits(milliseconds(40)) >= milliseconds(40));
  world.time = looked + milliseconds(static_cast<int>(expected * 1100)) + milliseconds(1);
  CHECK(waits(milliseconds(60000)) < milliseconds(1000));
}

TEST_CASE("waiting ends when the other descriptor is readable", "[https]") {
  World world;
  auto mailbox = world.mailbox();
  (void)listed(mailbox, kTo);
  const UniqueFd other(::eventfd(1, EFD_CLOEXEC));
  const auto from = std::chrono::steady_clock::now();
  CHECK(mailbox.wait({kTo}, other.get(), milliseconds(60000), false).has_value());
  CHECK(std::chrono::steady_clock::now() - from < milliseconds(5000));
}
