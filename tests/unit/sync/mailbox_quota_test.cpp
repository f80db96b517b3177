// What one key may have of a host's mailbox.
#include "jitd/sync/mailbox_quota.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <set>

#include "tests/unit/sync/mailbox_world.hpp"

using namespace jit;
using namespace jit::mailboxtest;

TEST_CASE("puts come back over a minute, and never pile up", "[sync][ssh]") {
  PutBudget budget{3, 1000};
  for (int i = 0; i < 3; ++i) {
    const auto after = after_put(budget, 3, 1000);
    REQUIRE(after.has_value());
    budget = *after;
  }
  CHECK_FALSE(after_put(budget, 3, 1000).has_value());
  CHECK_FALSE(after_put(budget, 3, 20'999).has_value());
  CHECK(after_put(budget, 3, 21'000).has_value());  // a third of a minute
  CHECK(after_put(budget, 3, 500'000)->left == 2);
  // What has not come back whole goes on coming, however often somebody asks.
  PutBudget asked = budget;
  unsigned had = 0;
  for (std::uint64_t now = 1000; now <= 121'100; now += 7) {
    if (const auto after = after_put(asked, 3, now)) {
      asked = *after;
      ++had;
    }
  }
  CHECK(had == 6);
  // A file of another boot.
  CHECK(after_put({0, 900'000}, 3, 1000)->left == 2);
  CHECK(after_put({UINT64_MAX / 2, 0}, 3, 0)->left == 2);
}

TEST_CASE("a key has so many connections at once, another its own", "[sync][ssh]") {
  World world;
  const auto open = [&](const SigningKey& key) {
    return KeyQuota::open(world.places.run, key.public_key(), {2, 10, 4});
  };
  std::optional<KeyQuota> first(std::move(*open(world.carol)));
  const auto second = open(world.carol);
  REQUIRE(second.has_value());
  const auto third = open(world.carol);
  REQUIRE_FALSE(third.has_value());
  CHECK(third.error().code == Errc::busy);
  CHECK(open(world.alice).has_value());
  first.reset();
  CHECK(open(world.carol).has_value());
  CHECK_FALSE(KeyQuota::open(world.root + "/none", world.carol.public_key(), {}).has_value());
}

TEST_CASE("a connection's place goes with its process, however that ends", "[sync][ssh]") {
  World world;
  const KeyLimits limits{1, 10, 4};
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto held = KeyQuota::open(world.places.run, world.carol.public_key(), limits);
    ::raise(held ? SIGKILL : SIGTERM);
    ::_exit(1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(KeyQuota::open(world.places.run, world.carol.public_key(), limits).has_value());
}

TEST_CASE("puts are counted over all connections of a key", "[sync][ssh]") {
  World world;
  const KeyLimits limits{2, 3, 4};
  auto one = KeyQuota::open(world.places.run, world.carol.public_key(), limits);
  auto two = KeyQuota::open(world.places.run, world.carol.public_key(), limits);
  auto other = KeyQuota::open(world.places.run, world.alice.public_key(), limits);
  CHECK(one->take_put(1000).has_value());
  CHECK(two->take_put(1000).has_value());
  CHECK(one->take_put(1000).has_value());
  CHECK(two->take_put(1000).error().code == Errc::busy);
  CHECK(one->take_put(1000).error().code == Errc::busy);
  CHECK(other->take_put(1000).has_value());
  CHECK(two->take_put(21'000).has_value());
  // A torn file is a fresh one.
  for (const auto& entry : std::filesystem::directory_iterator(world.places.run))
    if (entry.path().extension() == ".puts") std::ofstream(entry.path()) << "\0\0 9";
  CHECK(one->take_put(21'000).has_value());
}

TEST_CASE("what jitd has not taken keeps a key from filling the disk", "[sync][ssh]") {
  World world;
  auto carol = KeyQuota::open(world.places.run, world.carol.public_key(), {2, 100, 3});
  auto again = KeyQuota::open(world.places.run, world.carol.public_key(), {2, 100, 3});
  auto alice = KeyQuota::open(world.places.run, world.alice.public_key(), {2, 100, 3});
  CHECK(carol->deliver(world.places.inbox, "one").has_value());
  CHECK(again->deliver(world.places.inbox, "two").has_value());
  CHECK(carol->deliver(world.places.inbox, "three").has_value());
  CHECK(carol->deliver(world.places.inbox, "four").error().code == Errc::busy);
  CHECK(again->deliver(world.places.inbox, "four").error().code == Errc::busy);
  CHECK(alice->deliver(world.places.inbox, "five").has_value());
  CHECK(world.inbox().size() == 4);
  // Names that nobody could have made a file of before; a file of the name of one is not written to.
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(world.places.inbox)) {
    names.insert(entry.path().filename());
    CHECK(entry.path().filename().string().size() == 36);
    CHECK((std::filesystem::status(entry.path()).permissions() & std::filesystem::perms::all) ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  }
  World elsewhere;
  elsewhere.carol = world.carol;
  CHECK(KeyQuota::open(elsewhere.places.run, world.carol.public_key(), {})
            ->deliver(elsewhere.places.inbox, "x")
            .has_value());
  for (const auto& entry : std::filesystem::directory_iterator(elsewhere.places.inbox))
    CHECK_FALSE(names.contains(entry.path().filename()));
  // Taken: there is room again.
  for (const auto& entry : std::filesystem::directory_iterator(world.places.inbox))
    std::filesystem::remove(entry.path());
  CHECK(carol->deliver(world.places.inbox, "six").has_value());
  CHECK(world.inbox() == std::vector<std::string>{"six"});
  CHECK_FALSE(carol->deliver(world.root + "/none", "seven").has_value());
}

TEST_CASE("what cannot be written whole is not left behind", "[sync][ssh]") {
  World world;
  auto carol = KeyQuota::open(world.places.run, world.carol.public_key(), {});
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{8, 8};
    (void)::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(carol->deliver(world.places.inbox, "longer than eight") ? 1 : 0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(world.inbox().empty());
}
