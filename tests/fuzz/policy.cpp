// Policy text, ticket patterns and decisions: any bytes load or are refused with a place, and what loads can be
// judged.
//
// Input: a policy, then, behind a NUL byte, the ticket of a wish for each of its roles.
#include <cstdlib>
#include <string_view>

#include "policy/rules/decision.hpp"
#include "policy/rules/load.hpp"

using namespace jit;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const std::string_view ticket = end == std::string_view::npos ? "" : input.substr(end + 1);
  const PolicyText file{"fuzz.toml", std::string(input.substr(0, end))};

  std::vector<std::string> all;
  const Result<Policy> policy = load_policy({file}, &all);
  if (policy.has_value() != all.empty()) std::abort();
  for (const std::string& problem : all)
    if (!problem.starts_with("fuzz.toml")) std::abort();  // every problem has its place
  if (!policy) return 0;

  for (const auto& [name, role] : policy->roles) {
    if (role.max_duration <= Seconds(0)) std::abort();
    Facts facts{"alice", 1000, {"alice", "dba"}, role.segments};
    std::vector<PersonRef> everybody;
    for (const auto& [set, members] : policy->approvers)
      for (const std::string& member : members) everybody.push_back(person_of_name(*policy, member));
    const Wish wish{name, Seconds(0), std::string(ticket), false};
    const Decision decision = decide(*policy, wish, facts, everybody, std::chrono::hours(24), WallTime(Seconds(1)));
    if (decision.verdict == Verdict::approve && decision.duration <= Seconds(0)) std::abort();
    // What nobody consented to is approved by a rule of its own or not at all.
    const Decision alone = decide(*policy, wish, facts, {}, std::chrono::hours(24), WallTime(Seconds(1)));
    if (alone.verdict == Verdict::approve && !alone.needs.empty()) std::abort();
  }
  return 0;
}
