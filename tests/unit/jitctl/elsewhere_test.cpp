// Reading boxes of sources that lie, break off or never end.
#include "jitctl/elsewhere.hpp"

#include "tests/unit/jitctl/elsewhere_fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

struct Boxes : ElsewhereFixture {
  Elsewhere open(const std::vector<std::string>& names = {kFleet}) {
    auto elsewhere = Elsewhere::open(context, {names, {}, false, {}});
    if (!elsewhere) FAIL(elsewhere.error().message);
    return std::move(*elsewhere);
  }
  // Says what was seen of db1 as a terminal would get it.
  std::string pending() {
    const auto exit = jitctl({"pending", "--source", kFleet});
    CHECK((exit == Exit::done || exit == Exit::unreachable));
    return out.str() + err.str();
  }
};

}  // namespace

TEST_CASE("the same document from two sources is one", "[jitctl][elsewhere]") {
  Boxes f;
  const auto request = f.db1.request(f.now);
  f.db1.file(f.source(), request);
  f.db1.file(f.sources["/media/stick"], request);
  f.db1.file(f.sources["/media/stick"], f.db1.request(f.now));
  auto elsewhere = f.open({kFleet, "/media/stick", kFleet});
  CHECK(elsewhere.sources().size() == 2);
  REQUIRE(elsewhere.look(elsewhere.hosts(), kWaiting).has_value());
  CHECK(elsewhere.sight("db1").requests.size() == 2);
}

TEST_CASE("a source that fails is said once, and the others go on", "[jitctl][elsewhere]") {
  Boxes f;
  f.db1.file(f.sources["/media/stick"], f.db1.request(f.now));
  f.source().down = Error{Errc::unavailable, "no route to it", 0};
  auto elsewhere = f.open({kFleet, "/media/stick"});
  for (int look = 0; look < 3; ++look) REQUIRE(elsewhere.look(elsewhere.hosts(), kWaiting).has_value());
  CHECK(elsewhere.sight("db1").requests.size() == 1);
  const auto said = f.err.str();
  CHECK(said.find("no route to it") != std::string::npos);
  CHECK(said.find("no route to it") == said.rfind("no route to it"));
  CHECK(f.source().lists == 3);  // each of its boxes would cost the same wait
  SECTION("all of them: an error") {
    f.sources["/media/stick"].down = Error{Errc::refused, "not mounted", 0};
    const auto done = elsewhere.look(elsewhere.hosts(), kWaiting);
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().code == Errc::unavailable);
    // What it gave before is still known.
    CHECK(elsewhere.sight("db1").requests.size() == 1);
  }
}

TEST_CASE("one box that is refused hides no other", "[jitctl][elsewhere]") {
  Boxes f;
  f.db1.file(f.source(), f.db1.request(f.now));
  f.source().boxes_down["from/web1"] = Error{Errc::refused, "not yours to read", 0};
  auto elsewhere = f.open();
  REQUIRE(elsewhere.look(elsewhere.hosts(), kWaiting).has_value());
  CHECK(elsewhere.read("db1"));
  CHECK_FALSE(elsewhere.read("web1"));
  CHECK(f.err_has("not yours to read"));
}

TEST_CASE("P7: documents of strangers are not shown but told of, once", "[jitctl][elsewhere][P7]") {
  Boxes f;
  FarHost stranger;
  for (int more = 0; more < 3; ++more) {
    const auto text = stranger.sign(stranger.request(f.now));  // it says it is db1
    f.source().boxes["from/db1"]["r-" + std::to_string(more) + ".jit"] = text;
  }
  // Another known host's, in the box of this one.
  f.source().boxes["from/db1"]["r-web1.jit"] = f.web1.sign(f.web1.request(f.now));
  const auto said = f.pending();
  CHECK(said.find("Nothing waits for your review") != std::string::npos);
  CHECK(said.find("4 documents passed over: in db1's box, and not by a key that you know of db1") !=
        std::string::npos);
  CHECK(said.find("vacuum stuck") == std::string::npos);
}

TEST_CASE("P7: a source may change what it lists before it is fetched", "[jitctl][elsewhere][P7]") {
  Boxes f;
  const auto good = f.db1.request(f.now);
  auto worse = good;
  worse.effects = "sudo as root uid 0: ALL\n";
  f.db1.file(f.source(), good);
  SECTION("into something that the host did not sign") {
    const auto signature = *f.db1.key.sign(to_payload(good), "jit-request");
    f.source().on_get = [&](const std::string&, const std::string&) -> Result<std::string> {
      return to_text(Envelope{to_payload(worse), {signature}});
    };
    const auto said = f.pending();
    CHECK(said.find("sudo as root") == std::string::npos);
    CHECK(said.find("1 file passed over") != std::string::npos);
  }
  SECTION("into nothing") {
    f.source().on_get = [](const std::string&, const std::string&) -> Result<std::string> {
      return fail(Errc::not_found, "gone");
    };
    CHECK(f.pending().find("Nothing waits") != std::string::npos);
  }
  SECTION("into another each time: what is shown is what is signed") {
    std::string signed_payload;
    f.source().on_put = [&](const std::string&, const std::string& bytes) {
      signed_payload = parse_envelope(bytes)->payload;
    };
    const auto other = f.db1.request(f.now);
    int times = 0;
    f.source().on_get = [&](const std::string&, const std::string&) -> Result<std::string> {
      return f.db1.sign(++times % 2 == 1 ? good : other);
    };
    const auto id = id_of(sha256(to_payload(good)));
    CHECK(f.jitctl({"approve", id, "--yes", "--source", kFleet, "--no-wait"}) == Exit::pending);
    CHECK(signed_payload.find(digest_text(sha256(to_payload(good)))) != std::string::npos);
  }
}

TEST_CASE("a listing without an end costs bounded work", "[jitctl][elsewhere]") {
  Boxes f;
  f.db1.file(f.source(), f.db1.request(f.now));
  f.source().endless = 1000000;
  auto elsewhere = f.open();
  REQUIRE(elsewhere.look({"db1"}, kWaiting).has_value());
  CHECK(elsewhere.sight("db1").requests.size() == 1);
  CHECK(f.source().gets < 100);
  elsewhere.say_what_was_passed_over();
  elsewhere.say_what_was_passed_over();
  const auto said = f.err.str();
  CHECK(said.find("holds more than any host posts") != std::string::npos);
  CHECK(said.find("holds more") == said.rfind("holds more"));
}

TEST_CASE("junk is fetched a bounded number of times, and not twice", "[jitctl][elsewhere]") {
  Boxes f;
  for (int more = 0; more < 3000; ++more) {
    f.source().boxes["from/db1"]["r-" + std::to_string(more) + ".jit"] = "junk " + std::to_string(more);
    f.source().boxes["from/db1"]["e-" + std::to_string(more) + ".jit"] = std::string(kMaxDocument + 1, 'x');
  }
  auto elsewhere = f.open();
  REQUIRE(elsewhere.look({"db1"}, {true, 4096, {}, false}).has_value());
  CHECK(f.source().gets <= 600);
  const auto before = f.source().gets;
  f.source().boxes["from/db1"].erase("r-0.jit");
  for (int look = 0; look < 5; ++look) REQUIRE(elsewhere.look({"db1"}, {true, 4096, {}, false}).has_value());
  CHECK(f.source().gets < before + 5 * 600);
  elsewhere.say_what_was_passed_over();
  CHECK(f.err_has("files passed over: no documents of hosts"));
}

TEST_CASE("events are read from the newest on, as many as are needed", "[jitctl][elsewhere]") {
  Boxes f;
  const auto request = f.db1.request(f.now);
  for (int hours = 200; hours > 0; --hours)
    f.db1.say(f.source(), f.db1.event("residue", f.now - std::chrono::hours(hours)));
  f.db1.alive(f.source(), f.now);
  auto elsewhere = f.open();
  REQUIRE(elsewhere.look({"db1"}, kWaiting).has_value());
  CHECK(f.source().gets == 2);  // nothing waits: the heartbeat and the last event
  f.source().gets = 0;
  REQUIRE(elsewhere.look({"db1"}, {false, 4096, f.now - std::chrono::hours(10), false}).has_value());
  CHECK(f.source().gets <= 12);
  CHECK(elsewhere.sight("db1").top() == 200);
  f.source().gets = 0;
  REQUIRE(elsewhere.look({"db1"}, {false, 50, {}, false}).has_value());
  CHECK(elsewhere.sight("db1").events.size() == 50);
}

TEST_CASE("P10: nothing that a source says reaches the terminal as it is", "[jitctl][elsewhere][P10]") {
  Boxes f;
  const std::string evil = "\x1b]0;owned\x07\x1b[2J\xe2\x80\xae\n jitctl: forged line";
  f.source().boxes["from/db1"]["r-" + evil + ".jit"] = evil;
  f.source().boxes["from/db1"][evil + ".jit"] = evil;
  f.source().boxes_down["from/web1"] = Error{Errc::invalid, evil, 0};
  auto said = f.pending();
  f.source().down = Error{Errc::unavailable, evil, 0};
  said += f.pending();
  CHECK(f.jitctl({"approve", "7k3m", "--source", kFleet}) == Exit::unreachable);
  said += f.out.str() + f.err.str();
  CHECK(f.jitctl({"hosts", "--source", kFleet}) == Exit::unreachable);
  said += f.out.str() + f.err.str();
  CHECK(f.jitctl({"source", "check", kFleet, "--write"}) == Exit::failed);
  said += f.out.str() + f.err.str();
  f.source().down.reset();
  f.source().boxes_down.clear();
  f.source().on_get = [&](const std::string&, const std::string&) -> Result<std::string> {
    return fail(Errc::invalid, evil);
  };
  said += f.pending();
  CHECK(said.find('\x1b') == std::string::npos);
  CHECK(said.find('\x07') == std::string::npos);
  CHECK(said.find("\xe2\x80\xae") == std::string::npos);
  CHECK(said.find("\n jitctl: forged") == std::string::npos);
}

TEST_CASE("P10: each field of what hosts sign is shown as one line of text", "[jitctl][elsewhere][P10]") {
  Boxes f;
  // Blanks are all that a signed text may try: everything else is refused before it is read.
  const std::string wide(300, ' ');
  auto request = f.db1.request(f.now);
  request.reason = "routine" + wide + "behind it  user:bob" + wide + "role  quick";
  const auto digest = f.db1.file(f.source(), request);
  auto event = f.db1.event("filed", f.now);
  event.grant = digest;
  event.state = "pending";
  event.why = "waiting for" + wide + "nobody  gives  nothing";
  event.by = "carol" + wide + "x";
  f.db1.say(f.source(), event);
  for (const auto& command : std::vector<std::vector<std::string>>{{"pending", "--source", kFleet},
                                                                   {"show", id_of(digest), "--source", kFleet},
                                                                   {"hosts", "--source", kFleet}}) {
    CHECK(f.jitctl(command) == Exit::done);
    CHECK_FALSE(f.out_has("   user:bob"));
    CHECK_FALSE(f.out_has("   nobody"));
  }
}

TEST_CASE("several sources are waited for in turns", "[jitctl][elsewhere]") {
  Boxes f;
  auto elsewhere = f.open({kFleet, "/media/stick"});
  f.source().down = Error{Errc::unavailable, "down", 0};
  const auto before = f.ticks;
  elsewhere.wait({"db1"}, -1, std::chrono::milliseconds(60000));
  CHECK(f.sources["/media/stick"].waits == 1);
  CHECK(f.ticks - before < std::chrono::milliseconds(2500));
}

TEST_CASE("a source that always has news is not asked without a rest", "[jitctl][elsewhere]") {
  Boxes f;
  f.context.open_mailbox = [&](const SourceSpec&) -> Result<std::unique_ptr<Mailbox>> {
    struct Restless final : Mailbox {
      Result<void> list(const Box&, const Visit&) override { return {}; }
      Result<std::string> get(const Box&, const Item&) override { return fail(Errc::not_found, ""); }
      Result<void> put(const Box&, const std::string&, std::string_view, WallTime) override { return {}; }
      Result<void> remove(const Box&, const std::string&) override { return {}; }
      Result<void> wait(const std::vector<Box>&, int, std::chrono::milliseconds, bool) override { return {}; }
    };
    return std::make_unique<Restless>();
  };
  auto elsewhere = f.open();
  const auto before = f.ticks;
  for (int times = 0; times < 10; ++times) elsewhere.wait({"db1"}, -1, std::chrono::milliseconds(60000));
  CHECK(f.ticks - before == std::chrono::milliseconds(2000));
}
