// The audit chain: whatever is changed, taken out or moved is seen (P9).
#include "policy/document/chain.hpp"

#include <functional>

#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

std::vector<ChainEntry> chain_of(std::size_t count) {
  std::vector<ChainEntry> chain;
  for (std::size_t i = 1; i <= count; ++i) {
    ChainEntry entry;
    entry.sequence = i;
    entry.time = 1795324239 + static_cast<std::int64_t>(i);
    entry.event = "activate";
    entry.fields = {{"user", "alice"}, {"reason", "line one\nfields=forged"}, {"n", std::to_string(i)}};
    if (!chain.empty()) entry.previous = chain.back().hash;
    entry.hash = chain_hash(entry);
    chain.push_back(entry);
  }
  return chain;
}

}  // namespace

TEST_CASE("the canonical text is fixed and cannot be forged from a value", "[document][chain]") {
  ChainEntry entry = chain_of(1)[0];
  CHECK(canonical_text(entry) ==
        "1 2026-11-22T05:10:40Z activate 0000000000000000000000000000000000000000000000000000000000000000\n"
        "n=1\nreason=line\\x20one\\x0afields=forged\nuser=alice\n");
  ChainEntry other = entry;
  other.fields = {{"a=b", "c"}};
  entry.fields = {{"a", "b=c"}};
  CHECK(canonical_text(entry) != canonical_text(other));
}

TEST_CASE("a whole chain verifies, also from its middle on", "[document][chain]") {
  const auto chain = chain_of(6);
  CHECK(verify_chain(chain, Digest{}, 1).has_value());
  CHECK(verify_chain({chain.begin() + 3, chain.end()}, chain[2].hash, 4).has_value());
  CHECK(verify_chain({}, Digest{}, 1).has_value());
}

TEST_CASE("every kind of tampering is seen and named", "[document][chain]") {
  const auto broken = [](const std::function<void(std::vector<ChainEntry>&)>& change) {
    auto chain = chain_of(6);
    change(chain);
    const auto ok = verify_chain(chain, Digest{}, 1);
    REQUIRE_FALSE(ok.has_value());
    return ok.error().message;
  };
  CHECK(broken([](auto& c) { c[2].fields["user"] = "mallory"; }).find("entry 3 was changed") != std::string::npos);
  CHECK(broken([](auto& c) { c[2].time += 1; }).find("entry 3") != std::string::npos);
  CHECK(broken([](auto& c) { c[2].event = "deny"; }).find("entry 3") != std::string::npos);
  CHECK(broken([](auto& c) { c[2].fields.erase("user"); }).find("entry 3") != std::string::npos);
  CHECK(broken([](auto& c) { c.erase(c.begin() + 2); }).find("entry 4 stands where 3 is due") != std::string::npos);
  CHECK(broken([](auto& c) { c.erase(c.begin()); }).find("entry 2") != std::string::npos);
  CHECK(broken([](auto& c) { std::swap(c[2], c[3]); }).find("entry 4") != std::string::npos);
  CHECK(broken([](auto& c) { c.insert(c.begin() + 2, c[1]); }).find("entry 2") != std::string::npos);
  // Changed together with its own hash: the next entry tells.
  CHECK(broken([](auto& c) {
          c[2].fields["user"] = "mallory";
          c[2].hash = chain_hash(c[2]);
        }).find("entry 4 does not continue") != std::string::npos);
  CHECK_FALSE(verify_chain(chain_of(2), Digest{}, 2));
}
