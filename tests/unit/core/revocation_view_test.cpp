// Numbered lists, as a pure matter of numbers and times: what the view is, and how old.
#include <rapidcheck.h>

#include <algorithm>

#include "jitd/core/revocation_view.hpp"
#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

constexpr std::int64_t kStart = 1'800'000'000;
const Seconds kCeiling = std::chrono::days(14);

// A host that hears of lists, with clocks that may be set.
struct Host {
  RevocationView view{{}, {kStart * 1000, 1000}, kStart * 1000, "boot"};
  Instant at{kStart * 1000, 1000};
  std::int64_t mark_ms = kStart * 1000;

  void pass(std::int64_t seconds) {
    at.wall_ms += seconds * 1000;
    at.boot_ms += static_cast<std::uint64_t>(seconds) * 1000;
    mark_ms = std::max(mark_ms, at.wall_ms);
  }
  [[nodiscard]] std::int64_t sure() const { return std::min(at.wall_ms, mark_ms) / 1000; }
  bool take(std::uint64_t number, std::int64_t made, const std::string& text = "") {
    const Digest digest = sha256(text + std::to_string(number));
    REQUIRE(view.check(number, digest).has_value());
    return view.add(number, digest, WallTime(Seconds(made)), WallTime(Seconds(made + 3600)), at, mark_ms, sure(),
                    true);
  }
  [[nodiscard]] std::string refused(std::uint64_t number, const std::string& text = "") const {
    const auto fine = view.check(number, sha256(text + std::to_string(number)));
    return fine ? "taken" : fine.error().message;
  }
  [[nodiscard]] std::int64_t age() const { return view.age(at, mark_ms).value_or(Seconds(-1)).count(); }
  void restart(const std::string& boot = "boot") { view = RevocationView(view.records(), at, mark_ms, boot); }
};

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the view is the newest list with none missing before it", "[core][lists]") {
  Host host;
  CHECK_FALSE(host.view.known());
  CHECK(host.age() == -1);
  CHECK(host.take(5, kStart));  // the first that ever came
  CHECK(host.view.number() == 5);
  host.pass(100);
  CHECK(host.age() == 100);
  CHECK(host.take(6, kStart + 90));
  CHECK(host.age() == 10);

  SECTION("a number above the next does not make it any fresher") {
    host.pass(1000);
    CHECK_FALSE(host.take(8, kStart + 1100));
    CHECK(host.view.number() == 6);
    CHECK(host.view.highest() == 8);
    CHECK(host.view.missing() == 7);
    CHECK(host.age() == 1010);
    CHECK_FALSE(host.take(10, kStart + 1100));
    CHECK(host.take(7, kStart + 600));  // and is taken although lower than the highest seen
    CHECK(host.view.number() == 8);
    CHECK(host.age() == 0);
    CHECK(host.view.missing() == 9);
    CHECK(host.take(9, kStart + 1100));
    CHECK(host.view.number() == 10);
    CHECK(host.view.missing() == 0);
  }
  SECTION("until what is missing could not revoke anything any more") {
    host.pass(1000);
    CHECK_FALSE(host.take(8, kStart + 1100));
    CHECK_FALSE(host.take(9, kStart + 1100));
    host.pass(kCeiling.count());
    CHECK_FALSE(host.view.pass_gap(host.sure(), kCeiling));
    CHECK(host.view.number() == 6);
    host.pass(1);
    CHECK(host.view.pass_gap(host.sure(), kCeiling));
    CHECK(host.view.number() == 9);
    CHECK_FALSE(host.view.gap_passes(kCeiling));
  }
  SECTION("a clock that was set ahead does not bring that sooner") {
    CHECK_FALSE(host.take(8, kStart + 100));
    host.at.wall_ms += 2 * kCeiling.count() * 1000;
    CHECK_FALSE(host.view.pass_gap(host.sure(), kCeiling));
  }
  SECTION("what is not above it is refused") {
    CHECK(says(host.refused(4), "older than one seen, which is 6"));
    CHECK(host.refused(6) == "taken");  // the very same
    CHECK(says(host.refused(6, "another "), "was taken by another list"));
    CHECK(says(host.refused(6, "another "), "sign it as 7"));
    CHECK_FALSE(host.take(9, kStart));
    CHECK(says(host.refused(9, "another "), "sign it as 10"));
    CHECK(says(host.refused(1'000'010), "too far above"));
    CHECK(host.refused(1'000'009) == "taken");
  }
}

TEST_CASE("no clock makes a view younger than it is", "[core][lists]") {
  Host host;
  host.take(1, kStart);
  SECTION("set back") {
    host.pass(600);
    host.at.wall_ms -= 7200 * 1000;
    CHECK(host.age() == 600);
    host.at.boot_ms += 60'000;  // the mark stands still meanwhile
    host.at.wall_ms += 60'000;
    CHECK(host.age() == 660);
    host.restart();
    CHECK(host.age() == 660);
  }
  SECTION("set ahead it is as old as that says") {
    host.at.wall_ms += 86'400'000;
    CHECK(host.age() == 86'400);
  }
  SECTION("a list from the future was made when it came") {
    CHECK(host.take(2, kStart + 240));
    CHECK(host.age() == 0);
    host.pass(300);
    CHECK(host.age() == 300);
    CHECK(host.view.created() == WallTime(Seconds(kStart)));
  }
  SECTION("and by the time that has surely come") {
    host.at.wall_ms += 3600 * 1000;  // ahead of the mark: not believed yet
    CHECK(host.take(2, kStart + 3600));
    CHECK(host.view.created() == WallTime(Seconds(kStart)));
    CHECK(host.age() == 3600);
  }
  SECTION("a boot later the wall clock tells, and the mark") {
    host.pass(600);
    host.at.boot_ms = 500;
    host.pass(100);
    host.restart("another boot");
    CHECK(host.age() == 700);
    host.at.wall_ms -= 3600 * 1000;
    host.at.boot_ms += 50'000;
    CHECK(host.age() == 750);
  }
  SECTION("root may say that the clock is right as it is") {
    host.at.wall_ms += 86'400'000;
    CHECK(host.take(2, kStart + 3600));
    host.pass(10);
    CHECK(host.age() > 3600);
    host.at.wall_ms = (kStart + 3610) * 1000;
    host.mark_ms = host.at.wall_ms;
    host.view.accept_clock(host.at);
    CHECK(host.age() <= 3610);
  }
}

TEST_CASE("when a view comes to be of some age, on both clocks", "[core][lists]") {
  Host host;
  host.take(1, kStart - 100);
  const auto deadline = host.view.reaches(Seconds(300));
  REQUIRE(deadline);
  CHECK(deadline->wall_s == kStart + 200);
  CHECK(deadline->boot_ms == 1000 + 200'000);
  CHECK(host.view.reaches(Seconds(60))->boot_ms == 1000);
}

TEST_CASE("a database that was lost begins with the next list, and knows what its files say", "[core][lists]") {
  Host host;
  for (const std::uint64_t number : {5U, 6U, 8U})
    CHECK_FALSE(host.view.add(number, sha256(std::to_string(number)), WallTime(Seconds(kStart)),
                              WallTime(Seconds(kStart + 60)), host.at, host.mark_ms, host.sure(), false));
  CHECK_FALSE(host.view.known());
  CHECK(host.view.highest() == 8);
  host.restart();
  CHECK_FALSE(host.view.known());
  SECTION("one that was never seen before") {
    CHECK(host.take(4, kStart));
    CHECK(host.view.number() == 6);
    CHECK(host.view.missing() == 7);
  }
  SECTION("a newer one") {
    CHECK(host.take(9, kStart));
    CHECK(host.view.number() == 9);
    CHECK(host.view.missing() == 0);
  }
}

TEST_CASE("P1: in whatever order lists come, the view is the end of those without a gap", "[core][lists]") {
  CHECK(rc::check([] {
    Host host;
    std::set<std::uint64_t> seen;
    std::uint64_t first = 0;
    std::map<std::uint64_t, std::int64_t> made;
    for (int i = *rc::gen::inRange(1, 30); i > 0; --i) {
      const std::uint64_t number = *rc::gen::inRange<std::uint64_t>(1, 15);
      host.pass(*rc::gen::inRange(0, 100));
      const std::int64_t when = host.at.wall_ms / 1000 - *rc::gen::inRange(0, 50);
      const Digest digest = sha256(std::to_string(number));
      if (!host.view.check(number, digest)) continue;
      if (first == 0) first = number;
      if (number < first) continue;
      if (seen.insert(number).second) made[number] = when;
      host.view.add(number, digest, WallTime(Seconds(when)), WallTime(Seconds(when + 1)), host.at, host.mark_ms,
                    host.sure(), true);
      std::uint64_t whole = first;
      while (seen.contains(whole + 1)) ++whole;
      RC_ASSERT(host.view.number() == whole);
      RC_ASSERT(host.view.highest() == *seen.rbegin());
      RC_ASSERT(host.age() == host.at.wall_ms / 1000 - made[whole]);
      if (*rc::gen::arbitrary<bool>()) host.restart();
      RC_ASSERT(host.view.number() == whole);
    }
  }));
}
