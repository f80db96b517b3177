// pending, approve and deny over a source, with hosts that answer, or do not, or not as was meant.
#include <csignal>

#include "jitctl/find.hpp"
#include "tests/unit/jitctl/elsewhere_fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

struct Approver : ElsewhereFixture {
  Request request = db1.request(now);
  Digest digest = db1.file(source(), request);
  std::string id = id_of(digest);

  Approver() {
    auto event = db1.event("filed", now - std::chrono::minutes(3));
    event.grant = digest;
    event.state = "pending";
    event.why = "waiting for dba-leads (0 of 1)";
    db1.say(source(), event);
    db1.alive(source(), now);
  }
  Exit run(const std::string& verb, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {verb, id, "--source", kFleet, "--yes"};
    words.insert(words.end(), more.begin(), more.end());
    return jitctl(words);
  }
  // What the host says of the review that comes, in these words.
  void answers_with(std::vector<EventDocument> events) {
    source().on_put = [this, events](const std::string& box, const std::string& bytes) {
      REQUIRE(box == "to/db1");
      const auto document = sha256(parse_envelope(bytes)->payload);
      for (auto event : events) {
        if (event.what == "reviewed" || event.what == "refused") event.document = document;
        db1.say(source(), event);
      }
    };
  }
  EventDocument of(const std::string& what, const std::string& state = "", const std::string& why = "") {
    auto event = db1.event(what, now);
    event.grant = digest;
    event.state = state;
    event.why = why;
    if (what == "active") event.until = now + std::chrono::hours(2);
    return event;
  }
};

}  // namespace

TEST_CASE("pending --source: all that there is to judge", "[jitctl][elsewhere]") {
  Approver f;
  CHECK(f.jitctl({"pending", "--source", kFleet}) == Exit::done);
  for (const auto& part :
       {f.id, std::string("alice"), std::string("uid 1001"), std::string("on db1"), std::string("vacuum stuck"),
        std::string("OPS-1"), std::string("dba for 2h"), std::string("group postgres gid 114"),
        std::string("sudo as postgres uid 114: /usr/bin/psql ..."), std::string("behind it  user:alice"),
        "db1's host key " + f.db1.print(), std::string("waits for  dba-leads (0 of 1)"), std::string("expires")}) {
    INFO(part);
    CHECK(f.out_has(part));
  }
  CHECK(f.err.str().empty());
  CHECK(f.jitctl({"pending", "--source", kFleet, "--json"}) == Exit::done);
  CHECK(f.out_has("\"waiting_for\":[\"dba-leads (0 of 1)\"]"));
  CHECK(f.out_has("\"host\":\"db1\""));
  CHECK(f.out_has("\"effects\":\"group postgres gid 114\\nsudo"));
  SECTION("not what has expired, nor what is decided though a source still shows it") {
    f.db1.say(f.source(), f.of("refused", "refused", "denied"));
    CHECK(f.jitctl({"pending", "--source", kFleet}) == Exit::done);
    CHECK(f.out_has("Nothing waits"));
  }
  SECTION("expired") {
    f.now = f.request.expires;
    CHECK(f.jitctl({"pending", "--source", kFleet}) == Exit::done);
    CHECK(f.out_has("Nothing waits"));
  }
}

TEST_CASE("approve --source says what really became of it", "[jitctl][elsewhere]") {
  Approver f;
  SECTION("active") {
    f.answers_with({f.of("reviewed", "activating"), f.of("active")});
    CHECK(f.run("approve", {"-m", "go on"}) == Exit::done);
    CHECK(f.out_has(f.id + " on db1: active until "));
    const auto sent = f.sent_to("to/db1");
    REQUIRE(sent.size() == 1);
    const auto& review = std::get<Review>(sent[0]);
    CHECK(review.request == f.digest);
    CHECK(review.approve);
    CHECK(review.comment == "go on");
  }
  SECTION("counted, and others are waited for") {
    f.answers_with({f.of("reviewed", "pending", "approved: go on")});
    CHECK(f.run("approve") == Exit::pending);
    CHECK(f.out_has("counted, pending: approved: go on"));
    CHECK(f.ticks < std::chrono::milliseconds(6000));  // what it brings would have been said by now
  }
  SECTION("counted, and the host says at once who is waited for") {
    f.answers_with(
        {f.of("reviewed", "pending", "approved"), f.of("filed", "pending", "waiting for security (0 of 1)")});
    CHECK(f.run("approve") == Exit::pending);
    CHECK(f.out_has("counted, pending: waiting for security (0 of 1)"));
    CHECK(f.source().waits == 0);
  }
  SECTION("active a moment after it counted") {
    f.answers_with({f.of("reviewed", "pending", "approved")});
    f.source().on_wait = [&] {
      if (f.source().waits == 3) f.db1.say(f.source(), f.of("active"));
    };
    CHECK(f.run("approve") == Exit::done);
  }
  SECTION("the review does not count: it names the request, which waits on") {
    auto event = f.of("refused", "", "carol is behind this request");
    f.answers_with({event});
    CHECK(f.run("approve") == Exit::refused);
    CHECK(f.out_has("refused: carol is behind this request"));
    CHECK(f.jitctl({"pending", "--source", kFleet}) == Exit::done);
    CHECK(f.out_has("Request " + f.id));
  }
  SECTION("approved, and yet not given") {
    f.answers_with({f.of("reviewed", "activating"), f.of("refused", "refused", "effects changed")});
    CHECK(f.run("approve") == Exit::refused);
    CHECK(f.out_has("effects changed"));
  }
  SECTION("no answer in time") {
    CHECK(f.run("approve") == Exit::pending);
    CHECK(f.out_has("no answer yet"));
    CHECK(f.out_has("sent to https://fleet.example, last heard of 0s ago"));
    CHECK(f.ticks >= std::chrono::milliseconds(11000));
    CHECK(f.ticks < std::chrono::milliseconds(13000));
  }
  SECTION("--no-wait asks nobody") {
    CHECK(f.run("approve", {"--no-wait"}) == Exit::pending);
    CHECK(f.source().waits == 0);
    CHECK(f.sent_to("to/db1").size() == 1);
  }
  SECTION("--wait") {
    CHECK(f.run("approve", {"--wait", "1m"}) == Exit::pending);
    CHECK(f.ticks >= std::chrono::milliseconds(61000));
  }
  SECTION("JSON is one object") {
    f.answers_with({f.of("active")});
    CHECK(f.run("approve", {"--json"}) == Exit::done);
    CHECK(f.out.str().starts_with("{\"host\":\"db1\",\"id\":\"" + f.id));
    CHECK(f.out_has("\"state\":\"active\""));
  }
  SECTION("the event of another host for our document is none") {
    f.source().on_put = [&](const std::string&, const std::string& bytes) {
      auto event = f.web1.event("active", f.now);
      event.document = sha256(parse_envelope(bytes)->payload);
      event.grant = f.digest;
      f.web1.say(f.source(), event);
      // And in the box of this one.
      f.source().boxes["from/db1"]["e-000000000002.jit"] = f.source().boxes["from/web1"]["e-000000000001.jit"];
    };
    CHECK(f.run("approve") == Exit::pending);
    CHECK(f.out_has("no answer yet"));
    CHECK(f.err_has("1 document passed over"));
  }
  SECTION("a source that takes nothing") {
    f.source().takes = false;
    CHECK(f.run("approve") == Exit::unreachable);
    CHECK(f.err_has("it takes nothing"));
  }
}

TEST_CASE("deny --source", "[jitctl][elsewhere]") {
  Approver f;
  SECTION("denied is done") {
    f.answers_with({f.of("refused", "refused", "denied by carol")});
    CHECK(f.run("deny", {"-m", "not now"}) == Exit::done);
    CHECK(f.out_has("denied"));
    CHECK_FALSE(std::get<Review>(f.sent_to("to/db1").at(0)).approve);
  }
  SECTION("too late") {
    f.answers_with({f.of("active")});
    CHECK(f.run("deny") == Exit::refused);
    CHECK(f.out_has("active"));
  }
}

TEST_CASE("status --source: what became of my reviews", "[jitctl][elsewhere]") {
  Approver f;
  const auto status = [&] { REQUIRE(f.jitctl({"status", "--source", kFleet}) == Exit::done); };
  auto counted = f.of("reviewed", "pending", "approved: go on");
  counted.user = "alice";
  counted.role = "dba";
  f.answers_with({counted});
  REQUIRE(f.run("approve") == Exit::pending);
  status();
  CHECK(f.out_has(f.id + "  approval  db1   dba   alice  counted, pending"));
  f.db1.say(f.source(), f.of("active"));
  status();
  CHECK(f.out_has("active until "));
  f.db1.say(f.source(), f.of("ended", "ended", "expired"));
  REQUIRE(f.jitctl({"status", "--source", kFleet, "--json"}) == Exit::done);
  CHECK(f.out_has("\"id\":\"" + f.id + "\",\"document\":\"approval\""));
  CHECK(f.out_has("\"state\":\"ended\",\"message\":\"expired\""));
  f.now += std::chrono::hours(30);
  status();
  CHECK(f.out_has("Nothing that you sent from here"));
}

TEST_CASE("status --source knows nothing of a review that no source took", "[jitctl][elsewhere]") {
  Approver f;
  f.source().takes = false;
  REQUIRE(f.run("approve") != Exit::done);
  REQUIRE(f.jitctl({"status", "--source", kFleet}) == Exit::done);
  CHECK(f.out_has("Nothing that you sent from here"));
}

TEST_CASE("approve --source signs only what waits and is meant", "[jitctl][elsewhere]") {
  Approver f;
  const auto nothing_signed = [&] { return f.spawn.requests.empty() && f.source().put_names.empty(); };
  SECTION("an id that two begin with") {
    f.web1.file(f.source(), f.web1.request(f.now));
    auto elsewhere = Elsewhere::open(f.context, {{kFleet}, {}, false, {}});
    REQUIRE(elsewhere.has_value());
    const auto found = find_waiting(f.context, *elsewhere, "");  // what all begin with
    REQUIRE_FALSE(found.has_value());
    CHECK(found.error().message.find("more than one") != std::string::npos);
  }
  SECTION("--yes wants the whole id") {
    CHECK(f.jitctl({"approve", f.id.substr(0, 8), "--yes", "--source", kFleet}) == Exit::failed);
    CHECK(nothing_signed());
  }
  SECTION("a prefix on the terminal, and no") {
    f.answers("n\n");
    CHECK(f.jitctl({"approve", f.id.substr(0, 8), "--source", kFleet}) == Exit::failed);
    CHECK(nothing_signed());
    CHECK(f.out_has("vacuum stuck"));
  }
  SECTION("a prefix on the terminal, and yes") {
    f.answers_with({f.of("active")});
    f.answers("y\n");
    CHECK(f.jitctl({"approve", f.id.substr(0, 8), "--source", kFleet}) == Exit::done);
  }
  SECTION("decided meanwhile: that is said") {
    f.db1.say(f.source(), f.of("active"));
    CHECK(f.run("approve") == Exit::failed);
    CHECK(f.err_has("does not wait any more: active until"));
    CHECK(nothing_signed());
  }
  SECTION("nobody knows it") {
    CHECK(f.jitctl({"approve", "zzzzzzzzzzzzzzzz", "--yes", "--source", kFleet}) == Exit::failed);
    CHECK(f.err_has("no request of that id waits"));
    CHECK(nothing_signed());
  }
  SECTION("never for more") {
    CHECK(f.run("approve", {"--for", "3h"}) == Exit::failed);
    CHECK(nothing_signed());
  }
  SECTION("under sudo nothing") {
    f.context.uid = 0;
    f.environment["SUDO_UID"] = "1000";
    CHECK(f.run("approve") == Exit::refused);
    CHECK(nothing_signed());
  }
  SECTION("-o writes it instead") {
    CHECK(f.run("approve", {"-o", f.root + "/a.jit"}) == Exit::done);
    CHECK(std::filesystem::exists(f.root + "/a.jit"));
    CHECK(f.source().put_names.empty());
  }
  SECTION("a file's answer goes to its host") {
    f.answers_with({f.of("active")});
    const auto file = f.put("r.jit", f.db1.sign(f.request));
    CHECK(f.jitctl({"approve", file, "--yes", "--source", kFleet}) == Exit::done);
    CHECK(f.sent_to("to/db1").size() == 1);
  }
}

TEST_CASE("pending --watch shows what comes and what becomes of it", "[jitctl][elsewhere]") {
  Approver f;
  const auto second = f.web1.request(f.now);
  int times = 0;
  f.source().on_wait = [&] {
    switch (++times) {
      case 1:
        f.web1.file(f.source(), second);
        break;
      case 2: {
        auto event = f.of("reviewed", "pending", "approved: fine");
        event.by = "dave";
        f.db1.say(f.source(), event);
        break;
      }
      case 3: {
        auto event = f.of("active");
        event.by = "dave";
        f.db1.say(f.source(), event);
        f.db1.forget(f.source(), f.digest);
        break;
      }
      case 4:
        f.source().down = Error{Errc::unavailable, "gone for a moment", 0};
        break;
      case 6:
        f.source().down.reset();
        break;
      case 8:
        std::raise(SIGINT);
        break;
      default:
        break;
    }
  };
  const auto other = id_of(sha256(to_payload(second)));
  SECTION("for people") {
    CHECK(f.jitctl({"pending", "--watch", "--source", kFleet}) == Exit::done);
    const auto text = f.out.str();
    CHECK(text.find("Request " + f.id) < text.find("Request " + other));
    CHECK(text.find("Request " + other) == text.rfind("Request " + other));
    CHECK(f.out_has(f.id + " waits for dba-leads (0 of 1); dave: approved: fine"));
    CHECK(f.out_has(f.id + ": active until"));
    CHECK(f.out_has("by dave"));
    CHECK(f.err_has("gone for a moment"));
    CHECK(f.err_has("answers again"));
    // A source that is away for a moment decides nothing.
    CHECK_FALSE(f.out_has(other + ": "));
  }
  SECTION("for programs, a line each") {
    CHECK(f.jitctl({"pending", "--watch", "--json", "--source", kFleet}) == Exit::done);
    CHECK(f.out_has("{\"event\":\"waits\",\"request\":{\"id\":\"" + f.id));
    CHECK(f.out_has("{\"event\":\"decided\",\"id\":\"" + f.id));
  }
}

TEST_CASE("pending --watch on the host itself", "[jitctl]") {
  ElsewhereFixture f;
  const auto request = f.db1.request(f.now);
  const auto id = id_of(sha256(to_payload(request)));
  int times = 0;
  f.daemon.on(wire::Verb::pending, [&](const Row&) -> Result<Reply> {
    if (times >= 2) return done();
    return done({}, {Row().text(wire::Tag::id, id).text(wire::Tag::document, f.db1.sign(request))});
  });
  f.daemon.answer(wire::Verb::show, done(Row().text(wire::Tag::state, "ended").text(wire::Tag::note, "withdrawn")));
  f.on_pause = [&] {
    if (++times == 4) std::raise(SIGINT);
  };
  CHECK(f.jitctl({"pending", "--watch"}) == Exit::done);
  CHECK(f.out_has("Request " + id));
  CHECK(f.out_has(id + ": ended: withdrawn"));
}
