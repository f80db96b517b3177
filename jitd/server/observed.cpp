#include "jitd/server/observed.hpp"

#include <map>
#include <tuple>

#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kBatch = 1000, kMostEntries = 50000;

std::string field(const ChainEntry& entry, const std::string& key) {
  const auto it = entry.fields.find(key);
  return it == entry.fields.end() ? std::string() : it->second;
}

}  // namespace

Result<ObservedDenials> observed_denials(Engine& engine, std::int64_t since, std::string_view service) {
  const std::uint64_t head = engine.health().audit_sequence;
  const std::uint64_t first = head > kMostEntries ? head - kMostEntries + 1 : 1;
  ObservedDenials out;
  std::map<std::tuple<std::string, std::string, std::string>, ObservedDenial> found;
  bool at_first = true;
  for (std::uint64_t from = first; from <= head;) {
    const auto entries = engine.audit(from, kBatch);
    if (!entries) return tl::unexpected(entries.error());
    if (entries->empty()) break;
    for (const ChainEntry& entry : *entries) {
      if (std::exchange(at_first, false)) out.cut = first > 1 && entry.time >= since;
      if (entry.event != "check" || entry.time < since || field(entry, "verdict") != "observe") continue;
      if (!service.empty() && field(entry, "service") != service) continue;
      auto& denial = found[{field(entry, "service"), field(entry, "subject"), field(entry, "gate")}];
      const auto count = parse_number(field(entry, "count"));
      denial.count += count ? *count : 1;
      denial.last = entry.time;
    }
    from = entries->back().sequence + 1;
  }
  for (auto& [key, denial] : found) {
    std::tie(denial.service, denial.subject, denial.gate) = key;
    out.denials.push_back(std::move(denial));
  }
  return out;
}

}  // namespace jit
