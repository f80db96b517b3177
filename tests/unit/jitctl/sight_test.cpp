// What counts as a host's word, and what follows from it.
#include "jitctl/sight.hpp"

#include "tests/unit/jitctl/elsewhere_fixture.hpp"

using namespace jit;
using namespace jit::ctl;

namespace {

struct Sky : ElsewhereFixture {
  TrustFile hosts = parse_trust("hosts", db1.trust_line());
  HostSight sight{"db1", {}, {}, {}};

  bool shown(const std::string& bytes, const TrustFile& trust) const {
    return !std::holds_alternative<Unseen>(see(bytes, trust, now));
  }
  Unseen::Why why(const std::string& bytes) const {
    const auto seen = see(bytes, hosts, now);
    REQUIRE(std::holds_alternative<Unseen>(seen));
    return std::get<Unseen>(seen).why;
  }
  // An event as it would be read, of this number.
  void said(std::uint64_t number, EventDocument event) {
    event.sequence = number;
    sight.add(std::get<SeenEvent>(see(db1.sign(event), hosts, now)));
  }
  EventDocument of(const std::string& what, const Digest& grant, int minutes_ago) {
    auto event = db1.event(what, now - std::chrono::minutes(minutes_ago));
    event.grant = grant;
    event.user = "alice";
    event.role = "dba";
    if (what == "active") event.until = now + std::chrono::hours(1);
    if (what == "filed") event.state = "pending";
    return event;
  }
};

}  // namespace

TEST_CASE("P7: only a host's own key speaks for it", "[jitctl][elsewhere][P7]") {
  Sky f;
  const auto request = f.db1.request(f.now);
  const auto event = f.db1.event("started", f.now);
  auto numbered = event;
  numbered.sequence = 1;
  REQUIRE(f.shown(f.db1.sign(request), f.hosts));
  REQUIRE(f.shown(f.db1.sign(numbered), f.hosts));

  SECTION("another host's, in this one's box") {
    CHECK(f.why(f.web1.sign(f.web1.request(f.now))) == Unseen::Why::unknown_key);
  }
  SECTION("another host that says it is this one") {
    auto forged = request;
    forged.host_key = f.web1.print();
    CHECK(f.why(f.web1.sign(forged)) == Unseen::Why::unknown_key);
    // And the other way round: by this one's key, in the name of another.
    forged = request;
    forged.host = "web1";
    CHECK(f.why(f.db1.sign(forged)) == Unseen::Why::no_document);
    auto other = numbered;
    other.host = "web1";
    CHECK(f.why(f.db1.sign(other)) == Unseen::Why::no_document);
  }
  SECTION("changed by a byte") {
    auto text = f.db1.sign(request);
    text[text.find("gid 114") + 4] = '2';
    CHECK(f.why(text) == Unseen::Why::no_document);
    text = f.db1.sign(numbered);
    text[text.find("sequence = 1") + 11] = '2';
    CHECK(f.why(text) == Unseen::Why::no_document);
  }
  SECTION("an event signed as a request, and the other way round") {
    const auto payload = to_payload(numbered);
    CHECK_FALSE(f.shown(to_text(Envelope{payload, {*f.db1.key.sign(payload, "jit-request")}}), f.hosts));
    const auto asked = to_payload(request);
    CHECK_FALSE(f.shown(to_text(Envelope{asked, {*f.db1.key.sign(asked, "jit-event")}}), f.hosts));
  }
  SECTION("kinds that hosts do not post") {
    Lock lock;
    lock.hosts = {"db1"};
    lock.users = {"alice"};
    lock.reason = "x";
    lock.created = f.now;
    lock.nonce = make_nonce();
    CHECK_FALSE(f.shown(f.db1.sign(lock), f.hosts));
  }
  SECTION("a key that is over, or not yet") {
    const auto line = public_key_line(f.db1.key.public_key());
    CHECK_FALSE(f.shown(f.db1.sign(request), parse_trust("h", "db1 valid-before=\"20200101Z\" " + line + "\n")));
    CHECK_FALSE(f.shown(f.db1.sign(request), parse_trust("h", "db1 valid-after=\"20990101Z\" " + line + "\n")));
    CHECK_FALSE(f.shown(f.db1.sign(request), parse_trust("h", "db1 namespaces=\"jit-review\" " + line + "\n")));
  }
  SECTION("junk") {
    for (const std::string& junk :
         {std::string(), std::string("x"), std::string(40000, 'a'), std::string("\0\x1b", 2),
          f.db1.sign(request).substr(0, 500), f.db1.sign(request) + "tail"}) {
      CHECK_FALSE(f.shown(junk, f.hosts));
    }
  }
}

TEST_CASE("what became of a grant, by the newest event about it", "[jitctl][elsewhere]") {
  Sky f;
  const auto grant = sha256("some request");
  CHECK(standing_of(f.sight, grant, f.now).state.empty());
  f.said(1, f.of("filed", grant, 30));
  CHECK(standing_of(f.sight, grant, f.now).state == "pending");
  f.said(2, f.of("active", grant, 20));
  const auto active = standing_of(f.sight, grant, f.now);
  CHECK(active.state == "active");
  CHECK(active.sure);
  CHECK(held_by(f.sight, "alice", f.now).size() == 1);
  CHECK(held_by(f.sight, "bob", f.now).empty());
  f.said(3, f.of("ended", grant, 10));
  CHECK(standing_of(f.sight, grant, f.now).over());
  CHECK(held_by(f.sight, "alice", f.now).empty());
  // In whatever order they were read.
  f.said(2, f.of("active", grant, 5));
  CHECK(standing_of(f.sight, grant, f.now).state == "ended");
}

TEST_CASE("P7: an old event is not taken for today's state", "[jitctl][elsewhere][P7]") {
  Sky f;
  const auto grant = sha256("some request");
  SECTION("its time is over") {
    auto event = f.of("active", grant, 600);
    event.until = f.now - Seconds(1);
    f.said(1, event);
    CHECK(standing_of(f.sight, grant, f.now).state == "ended");
    CHECK(held_by(f.sight, "alice", f.now).empty());
  }
  SECTION("what came after it is held back: that is said") {
    f.said(1, f.of("active", grant, 20));
    auto alive = f.db1.event("alive", f.now);
    alive.sequence = 3;
    f.sight.add(std::get<SeenEvent>(see(f.db1.sign(alive), f.hosts, f.now)));
    const auto standing = standing_of(f.sight, grant, f.now);
    CHECK(standing.state == "active");
    CHECK_FALSE(standing.sure);
    CHECK(standing_text(standing).find("what came after it is not all here") != std::string::npos);
    // The last one alone does not fill the gap.
    f.said(3, f.of("residue", sha256("another"), 1));
    CHECK_FALSE(standing_of(f.sight, grant, f.now).sure);
    f.said(2, f.of("residue", sha256("another"), 2));
    CHECK(standing_of(f.sight, grant, f.now).sure);
    CHECK(f.sight.whole_from() == 1);
  }
}

TEST_CASE("requests wait until they expire or are decided", "[jitctl][elsewhere]") {
  Sky f;
  const auto request = f.db1.request(f.now);
  const auto digest = sha256(to_payload(request));
  f.sight.add(SeenRequest{{}, request, digest});
  CHECK(waiting_in(f.sight, f.now).size() == 1);
  CHECK(waiting_in(f.sight, request.expires).empty());
  f.said(1, f.of("filed", digest, 3));
  f.said(2, f.of("reviewed", digest, 2));
  CHECK(waiting_in(f.sight, f.now).size() == 1);
  for (const auto* word : {"active", "refused", "ended"}) {
    auto other = f.sight;
    std::swap(other, f.sight);
    f.said(3, f.of(word, digest, 1));
    CHECK(waiting_in(f.sight, f.now).empty());
    std::swap(other, f.sight);
  }
}
