// Policy and trust that the owners deliver, in the engine: what waits, what is taken over, and that nothing goes
// back.
#include <algorithm>

#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

bool says(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  UNSCOPED_INFO(text);
  return false;
}

std::string role(const std::string& name) {
  return "[roles." + name + "]\neligible = [\"alice\"]\ngroups = [\"www\"]\n[[roles." + name +
         ".rules]]\nthen = \"approve\"\n";
}

// Owned by olga and otto, of whom so many sign.
struct Owned : World {
  explicit Owned(unsigned count = 1) {
    own({"olga", "otto"}, count);
    reload();
  }
  [[nodiscard]] bool has(const std::string& name) { return view()->policy.role(name) != nullptr; }
  [[nodiscard]] bool gives(const std::string& name) {
    const auto answer = ask(kAlice, name);
    return answer && *answer && (**answer).state == GrantState::active;
  }
};

}  // namespace

TEST_CASE("a policy that an owner signed is taken over, and the next one after it", "[core][engine][delivery]") {
  Owned world;
  const std::string first = world.sign(world.delivery(3, role("web")), {"olga"});
  CHECK(world.submitted(first).message == "policy 3 is taken over");
  CHECK(world.gives("web"));
  const auto told = world.audit("delivered");
  REQUIRE(told.size() == 1);
  CHECK(told[0].fields.at("number") == "3");
  CHECK(told[0].fields.at("signed_by") == "olga");
  CHECK(told[0].fields.at("files") == "50-delivered-1.toml");
  CHECK(told[0].fields.contains("document"));
  CHECK(says(world.submitted(first).message, "has been taken over before"));
  CHECK(says(world.refused(world.sign(world.delivery(3, role("other")), {"olga"})),
             "policy 3 is not above the last that was taken over, which is 3"));
  CHECK(says(world.refused(world.sign(world.delivery(2, role("other")), {"olga"})), "is not above"));
  // What the next one has no longer is gone.
  CHECK(world.submitted(world.sign(world.delivery(7, role("mail")), {"otto"})).message == "policy 7 is taken over");
  CHECK_FALSE(world.has("web"));
  CHECK(world.gives("mail"));
  CHECK(world.audit("delivered").size() == 2);
}

TEST_CASE("who is no owner delivers nothing, and owners approve nothing", "[core][engine][delivery]") {
  Owned world;
  for (const std::string other : {"carol", "erin", "mallory"})
    CHECK_FALSE(world.refused(world.sign(world.delivery(1, role("web")), {other})).starts_with("accepted"));
  const Outcome waits = world.asked(kAlice, "dba");
  CHECK_FALSE(world.refused(world.review(waits.id, "olga")).starts_with("accepted"));
  PolicyDocument elsewhere = world.delivery(1, role("web"));
  elsewhere.hosts = {"db2"};
  CHECK(says(world.refused(world.sign(elsewhere, {"olga"})), "this is for db2"));
  PolicyDocument old = world.delivery(1, role("web"));
  old.created = world.now() - std::chrono::days(14) - kMinute;
  CHECK(says(world.refused(world.sign(old, {"olga"})), "sign a new one"));
  // Whose key is locked owns nothing.
  Lock lock = world.lock();
  lock.keys = {fingerprint(world.key("olga").public_key())};
  world.submitted(world.sign(lock, {"erin"}));
  CHECK(says(world.refused(world.sign(world.delivery(1, role("web")), {"olga"})), "the key is locked"));
  CHECK(world.view()->delivered_policy.number == 0);
  SECTION("nor does anybody where none is named") {
    world.config.owners = {};
    world.reload();
    CHECK_FALSE(world.refused(world.sign(world.delivery(1, role("web")), {"otto"})).starts_with("accepted"));
  }
}

TEST_CASE("one owner of two is not enough, in whatever files the signatures come", "[core][engine][delivery]") {
  Owned world(2);
  const PolicyDocument policy = world.delivery(1, role("web"));
  const Outcome half = world.submitted(world.sign(policy, {"olga"}));
  CHECK(half.state == GrantState::pending);
  CHECK(half.message == "policy 1 waits for 1 more owner to sign it");
  CHECK(world.submitted(world.sign(policy, {"olga"})).state == GrantState::pending);
  CHECK_FALSE(world.has("web"));
  world.restart();
  SECTION("the other one") {
    CHECK(world.submitted(world.sign(policy, {"otto"})).message == "policy 1 is taken over");
    CHECK(world.gives("web"));
  }
  SECTION("by a second key of the first") {
    world.config.owners.keys.lines.push_back(world.config.owners.keys.lines.front());
    world.config.owners.keys.lines.back().key = world.key("olga-second").public_key();
    world.reload();
    CHECK(world.submitted(world.sign(policy, {"olga-second"})).state == GrantState::pending);
  }
  SECTION("by one who is the same person") {
    world.policy_text += "[people.o]\nprincipals = [\"olga\", \"otto\"]\n";
    world.reload();
    CHECK(world.submitted(world.sign(policy, {"otto"})).state == GrantState::pending);
  }
  SECTION("when fewer are wanted it goes on by itself") {
    world.own({"olga", "otto"}, 1);
    world.reload();
    CHECK(world.gives("web"));
  }
  SECTION("what not enough signed keeps no place from what enough did") {
    const PolicyDocument other = world.delivery(1, role("mail"));
    CHECK(says(world.refused(world.sign(other, {"otto"})), "another document has that place in policy 1"));
    CHECK(world.submitted(world.sign(other, {"otto", "olga"})).message == "policy 1 is taken over");
    CHECK(world.has("mail"));
    CHECK_FALSE(world.has("web"));
  }
}

TEST_CASE("all parts of one number, or nothing", "[core][engine][delivery]") {
  Owned world;
  const auto part = [&](std::uint64_t number, std::uint64_t which, const std::string& name) {
    return world.sign(world.delivery(number, role(name), which, 3), {"olga"});
  };
  CHECK(world.submitted(part(1, 3, "c")).message == "policy 1 waits for part 1 of 3 and part 2 of 3");
  CHECK(world.submitted(part(1, 1, "a")).message == "policy 1 waits for part 2 of 3");
  SECTION("parts of other numbers do not stand in") {
    CHECK(world.submitted(part(2, 2, "b")).message == "policy 2 waits for part 1 of 3 and part 3 of 3");
    CHECK_FALSE(world.has("a"));
    world.restart();
    CHECK(world.submitted(part(1, 2, "b")).message == "policy 1 is taken over");
    CHECK(world.gives("b"));
    // number 2 goes on waiting, and takes its turn
    CHECK(world.submitted(part(2, 1, "d")).state == GrantState::pending);
    CHECK(world.submitted(part(2, 3, "e")).message == "policy 2 is taken over");
    CHECK_FALSE(world.has("a"));
  }
  SECTION("of another split, or a second document for one place") {
    CHECK(says(world.refused(world.sign(world.delivery(1, role("b"), 2, 2), {"olga"})),
               "another document has that place"));
    CHECK(says(world.refused(part(1, 3, "c")), "another document has that place in policy 1"));
  }
  SECTION("they wait no longer than the ceiling") {
    world.pass(14 * 86400 + 600);
    CHECK(world.submitted(part(1, 2, "b")).message == "policy 1 waits for part 1 of 3 and part 3 of 3");
  }
  SECTION("what is passed by a higher number is forgotten") {
    CHECK(world.submitted(world.sign(world.delivery(5, role("z")), {"olga"})).message == "policy 5 is taken over");
    CHECK(says(world.refused(part(1, 2, "b")), "is not above"));
    CHECK(world.store->documents_of(Kind::policy)->empty());
  }
  SECTION("only so many wait") {
    for (std::uint64_t number = 2; number < 256; ++number) world.submitted(part(number, 1, "x"));
    CHECK(says(world.refused(part(300, 1, "y")), "wait here for others"));
  }
}

TEST_CASE("a policy that does not load with the local one is refused whole, and its number is free",
          "[core][engine][delivery]") {
  Owned world;
  world.submitted(world.sign(world.delivery(1, role("web")), {"olga"}));
  const std::string bad = world.sign(world.delivery(2, role("dba")), {"olga"});  // is defined already
  const std::string why = world.refused(bad);
  CHECK(says(why, "policy 2 is not taken over"));
  CHECK(says(why, "roles.dba: is defined already"));
  CHECK(world.gives("web"));
  CHECK(world.audit("refuse").back().fields.at("document") != "");
  world.restart();
  CHECK(world.has("web"));
  CHECK(world.submitted(world.sign(world.delivery(2, role("mail")), {"olga"})).message == "policy 2 is taken over");
}

TEST_CASE("a disk that takes nothing leaves the parts to wait", "[core][engine][delivery]") {
  Owned world;
  world.cannot_take_over = Error{Errc::system, "No space left on device", 28};
  const std::string policy = world.sign(world.delivery(1, role("web")), {"olga"});
  const auto answer = world.submit(policy);
  REQUIRE((answer && !*answer));
  CHECK(answer->error().code == Errc::system);  // the inbox keeps it
  world.cannot_take_over.reset();
  world.restart();
  CHECK(world.submitted(policy).message == "policy 1 is taken over");
  SECTION("and neither does the database") {
    world.full_disk = true;
    CHECK_FALSE(world.refused(world.sign(world.delivery(2, role("mail")), {"olga"})).starts_with("accepted"));
    CHECK(world.has("web"));
  }
}

TEST_CASE("P7: no lower number ever comes back, after a restart or without a database", "[core][engine][delivery]") {
  Owned world;
  const std::string first = world.sign(world.delivery(1, role("web")), {"olga"});
  world.submitted(first);
  world.submitted(world.sign(world.delivery(2, role("mail")), {"olga"}));
  SECTION("after a restart") {
    world.restart();
  }
  SECTION("with the database lost") {
    world.lose_database();
    world.start();
  }
  SECTION("with what was delivered removed") {
    world.delivered.clear();
    world.reload();
    CHECK_FALSE(world.has("mail"));
  }
  CHECK(says(world.refused(first), "which is 2"));
  CHECK(says(world.refused(world.sign(world.delivery(2, role("x")), {"olga"})), "which is 2"));
  CHECK(world.submitted(world.sign(world.delivery(3, role("x")), {"olga"})).message == "policy 3 is taken over");
}

TEST_CASE("P4: killed anywhere in a delivery, it is taken over or it is not, and told of once",
          "[core][engine][delivery]") {
  for (const bool before : {true, false}) {
    bool whole = false;
    for (std::size_t call = 1; !whole; ++call) {
      REQUIRE(call < 100);
      Owned world;
      world.submitted(world.sign(world.delivery(1, role("web")), {"olga"}));
      world.submitted(world.sign(world.delivery(2, role("mail"), 1, 2), {"olga"}));
      const std::string last = world.sign(world.delivery(2, role("news"), 2, 2), {"olga"});
      world.plug.arm(call, before);
      try {
        world.submit(last);
        whole = world.plug.armed();
      } catch (const PowerLoss&) {
      }
      world.plug.disarm();
      INFO("killed " << (before ? "before" : "after") << " call " << call);
      world.restart();
      CHECK(world.has("web") != world.has("mail"));
      CHECK(world.has("mail") == world.has("news"));
      world.submitted(last);
      CHECK(world.has("news"));
      const auto told = world.audit("delivered");
      CHECK(std::count_if(told.begin(), told.end(),
                          [](const ChainEntry& entry) { return entry.fields.at("number") == "2"; }) == 1);
      CHECK(world.store->documents_of(Kind::policy)->empty());
    }
  }
}

TEST_CASE("trust is delivered likewise, with numbers of its own", "[core][engine][delivery]") {
  Owned world;
  world.submitted(world.sign(world.delivery(9, role("web")), {"olga"}));
  TrustDocument trust;
  trust.hosts = {"db1"};
  trust.number = 1;
  trust.created = world.now();
  trust.reason = "dave's new key";
  trust.files = {{"approvers", "dave " + public_key_line(world.key("dave-new").public_key()) + "\n"}};
  trust.nonce = make_nonce();
  CHECK(world.submitted(world.sign(trust, {"olga"})).message == "trust 1 is taken over");
  CHECK(world.delivered.at(Kind::trust).size() == 1);
  CHECK(world.audit("delivered").back().fields.at("why") == "trust 1");
  CHECK(says(world.refused(world.sign(trust, {"carol"})), "no signature of a known key"));
}

TEST_CASE("whoever delivers finds an answer to each part, and one when it is taken over",
          "[core][engine][delivery]") {
  Owned world;
  world.told = 0;
  world.restart();
  const auto part = [&](std::uint64_t which) {
    return world.sign(world.delivery(1, role(which == 1 ? "web" : "mail"), which, 2), {"olga"});
  };
  const std::string first = part(1), second = part(2);
  const std::string lower = world.sign(world.delivery(1, role("news")), {"otto"});
  world.submitted(first);
  world.submitted(second);
  world.submitted(second);
  world.refused(lower);
  const auto answers_to = [&](const std::string& text) {
    std::vector<std::string> words;
    for (const EventDocument& event : world.events())
      if (event.document == sha256(parse_envelope(text)->payload)) words.push_back(event.what + ": " + event.why);
    return words;
  };
  CHECK(answers_to(first) == std::vector<std::string>{"filed: policy 1 waits for part 2 of 2"});
  CHECK(answers_to(second) == std::vector<std::string>{"delivered: policy 1"});
  REQUIRE(answers_to(lower).size() == 1);
  CHECK(says(answers_to(lower).front(), "refused: policy 1 is not above"));
  CHECK(world.events("delivered").front().by == "olga");
}
