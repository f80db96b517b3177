// Whatever happens in whatever order: what the host holds is what the grants in force say, and nothing is held past
// its end on either clock (P1-P4).
#include <rapidcheck.h>

#include "tests/unit/catch.hpp"
#include "tests/unit/core/engine_world.hpp"

using namespace jit;
using namespace jit::test;

namespace {

// Everything that can happen, by number; what does not apply just now is refused, which is fine.
class Chaos {
 public:
  void act(unsigned what, unsigned which) {
    const std::uint32_t users[] = {kAlice, kBob, kDeploy, kCarolAdm, kDave};
    const char* roles[] = {"dba", "both", "auto", "shell", "never"};
    const char* signers[] = {"carol", "dave", "erin", "alice", "mallory"};
    const char* names[] = {"alice", "bob", "deploy", "carol", "dave"};
    const std::string signer = signers[which % 5];
    const std::uint32_t user = users[which / 5 % 5];
    switch (what % 23) {
      case 0:
      case 1:
      case 2:
        if (const auto got = world.ask(user, roles[which % 5], Seconds(60 + which % 7200), std::to_string(which));
            got && *got) {
          ids.push_back((*got)->id);
        }
        break;
      case 3:
      case 4:
      case 5:
      case 6:
        if (!ids.empty()) world.submit(world.review(ids[which % ids.size()], signer, which % 11 != 0));
        break;
      case 7: {
        GrantDocument grant = world.grant_of(names[which % 5], roles[which / 5 % 5]);
        if (which % 3 == 0) grant.not_before = world.now() + Seconds(which % 600);
        texts.push_back(world.sign(grant, {"carol", which % 2 == 0 ? "erin" : "dave"}));
        world.submit(texts.back());
        break;
      }
      case 8:
        if (!texts.empty()) world.submit(texts[which % texts.size()]);  // replays
        break;
      case 9: {
        Revocation revocation = world.revocation();
        if (which % 3 == 0)
          revocation.all = true;
        else if (which % 3 == 1)
          revocation.users = {names[which / 5 % 5]};
        else
          revocation.approvers = {names[which / 5 % 5]};
        texts.push_back(world.sign(revocation, {which % 2 == 0 ? "erin" : signer}));
        world.submit(texts.back());
        break;
      }
      case 10: {
        Lock lock = world.lock();
        if (which % 2 == 0)
          lock.users = {names[which / 5 % 5]};
        else
          lock.approvers = {names[which / 5 % 5]};
        lock.until = world.now() + Seconds(1 + which % 900);
        texts.push_back(world.sign(lock, {"erin"}));
        world.submit(texts.back());
        break;
      }
      case 11:
        world.engine->release({user, std::nullopt, 1}, "", true, [](auto) {});
        break;
      case 12:
        world.pass(which % 1800);
        break;
      case 13:
        world.clock.at.wall_ms += (static_cast<std::int64_t>(which % 7201) - 3600) * 1000;
        world.engine->tick();
        break;
      case 14:
        world.restart();
        break;
      case 15:
        world.reboot(static_cast<std::int64_t>(which % 1'200'000));
        break;
      case 16:
        world.full_disk = which % 2 == 0;
        break;
      case 17:
        if (which % 2 == 0)
          world.distrust("dave");
        else if (world.lines.size() < 6)
          world.trust("dave", "dave");
        world.reload();
        break;
      case 18: {
        WishInput wish{roles[which % 5], Seconds(60 + which % 7200), std::to_string(which), ""};
        wish.start = world.now() + Seconds(which % 3600);
        if (const auto got = world.wish(user, wish); got && *got) ids.push_back((*got)->id);
        break;
      }
      case 19:
      case 20:
        if (!ids.empty()) {
          const WishInput wish{"", Seconds(60 + which % 7200), "more", "", std::nullopt, ids[which % ids.size()]};
          if (const auto got = world.wish(user, wish); got && *got) ids.push_back((*got)->id);
        }
        break;
      case 21:
        world.questions.accounts[names[which % 5]].uid = which % 4 == 0 ? 5000 + which % 3 : kAlice + which % 5;
        world.engine->accounts_changed();
        break;
      default:
        world.host.fail(which % 2 == 0 ? "give" : "prepare", which % 3 == 0 ? Errc::system : Errc::busy, 1);
        break;
    }
    world.engine->tick();
  }

  World world;
  std::vector<std::string> ids, texts;
};

}  // namespace

TEST_CASE("P1-P4: in any order of events the host holds what is in force, and nothing past its end",
          "[core][engine]") {
  const bool held = rc::check(
      "what is held is what is in force", [](const std::vector<std::pair<unsigned char, unsigned short>>& acts) {
        Chaos chaos;
        for (const auto& [what, which] : acts) {
          chaos.act(what, which);
          const std::string wrong = chaos.world.inconsistency();
          if (!wrong.empty()) RC_FAIL(wrong + " after " + std::to_string(what % 23) + "/" + std::to_string(which));
        }
        // At the end of every grant, both clocks going on, nothing is left.
        chaos.world.full_disk = false;
        chaos.world.host.failures.clear();
        chaos.world.pass(30 * 3600);
        RC_ASSERT(chaos.world.host.nothing_held());
        chaos.world.audit();
        chaos.world.restart();
        RC_ASSERT(chaos.world.host.nothing_held());
      });
  CHECK(held);
}
