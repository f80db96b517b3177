// Memberships and their records when one of the group files cannot be written. As root.
#include "tests/unit/core/effect_host.hpp"

using namespace jit;
using namespace jit::hosttest;

TEST_CASE("P2: who holds a group ends also while gshadow cannot be written, and the record stays",
          "[core][effector]") {
  if (needs_root()) return;
  EffectHost host;
  auto held = HeldFile::open(host.files, host.paths.var, "held");
  REQUIRE(held);
  Groups groups(host.files, host.spawn, host.paths.etc, host.paths.etc_jit + "/.reserve");
  Ledger ledger(*held, groups);
  const auto a = host.entitlement(kA);
  REQUIRE(ledger.note({&a}));
  REQUIRE(ledger.give({&a}));
  host.files.fail_at = host.files.calls + 7;  // the first for gshadow
  host.files.error = EIO;
  const auto all = [](const HeldRecord&) { return true; };
  const Taken taken = ledger.take(all);
  CHECK_FALSE(host.member("alice"));
  REQUIRE(get(host.paths.etc + "/gshadow").find("alice") != std::string::npos);
  CHECK(taken.failures.size() == 1);
  CHECK(taken.lost.size() == 1);
  CHECK(ledger.behind());
  CHECK(held->read()->size() == 1);
  host.files.fail_at = -1;
  CHECK(ledger.take(all).lost.size() == 1);  // who came to it meanwhile
  CHECK_FALSE(ledger.behind());
  CHECK(host.as_it_was());
  ledger.forget_lost([](const std::string&) { return true; });
  CHECK(held->read()->empty());
}
