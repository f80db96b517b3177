#include "policy/owners.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "policy/text.hpp"

namespace jit {
namespace {

constexpr unsigned kMostOwners = 256;

}  // namespace

Owners read_owners(TableReader& root, const std::string& file) {
  Owners owners;
  auto table = root.table("owners");
  if (!table) return owners;
  owners.keys.path = "[owners] of " + file;
  if (!table->has("keys")) table->problem("keys", "is missing: lines as \"carol ssh-ed25519 AAAA...\"");
  std::set<std::string> principals;
  for (const std::string& text : table->some_texts("keys").value_or(std::vector<std::string>{})) {
    auto line = parse_trust_line(text);
    if (!table->accept("keys", line)) continue;
    const auto same = [&](const TrustLine& other) { return other.key == line->key; };
    if (std::any_of(owners.keys.lines.begin(), owners.keys.lines.end(), same))
      table->problem("keys", "the key of " + shown(line->principal, 256) + " stands in it twice");
    line->line = table->place("keys").line;
    principals.insert(line->principal);
    owners.keys.lines.push_back(std::move(*line));
  }
  if (principals.size() > kMostOwners)
    table->problem("keys", "has more than " + std::to_string(kMostOwners) + " owners");
  owners.count = static_cast<unsigned>(table->number("count", 1, kMostOwners).value_or(1));
  if (!principals.empty() && owners.count > principals.size())
    table->problem("count", "asks for " + std::to_string(owners.count) + " owners, and " +
                                std::to_string(principals.size()) + (principals.size() == 1 ? " is" : " are") +
                                " named");
  table->finish();
  return owners;
}

}  // namespace jit
