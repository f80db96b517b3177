#include "jitctl/delivered.hpp"

#include <fmt/format.h>

#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxConfig = std::size_t{64} * 1024;

}  // namespace

Owners owners_here(const Places& places) {
  const auto path = places.etc_jit + "/jitd.toml";
  const auto text = read_file(path, kMaxConfig);
  const auto root = text ? parse_toml(*text, path) : Result<TomlValue>(tl::unexpected(text.error()));
  if (!root) return {};
  Problems problems;
  TableReader table(*root, path, "", problems);
  auto owners = read_owners(table, path);
  return problems.none() ? owners : Owners{};
}

DeliveredState delivered_here(const Places& places, Kind kind) {
  const auto owners = owners_here(places);
  return owners.any() ? read_delivered(places.var, kind, owners) : DeliveredState{};
}

std::string in_words(const DeliveredState& state) {
  if (!state.counts) return state.why_not;
  std::vector<std::string> files;
  for (const auto& file : state.counts->files) files.push_back(file.name);
  return fmt::format("{}, signed by {}: {}", name_of(*state.counts), joined(state.counts->owners),
                     joined(files, ", "));
}

}  // namespace jit::ctl
