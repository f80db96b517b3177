// /etc/jit/jitd.toml to HostConfig.
#include <algorithm>

#include "jitd/core/host.hpp"
#include "policy/names.hpp"
#include "policy/rules/toml_reader.hpp"
#include "policy/sources.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxConfig = std::size_t{64} * 1024;
constexpr std::size_t kMaxPath = 4095;

// A duration from `least` to `most`; `value` stays as it is when the key is absent or wrong.
void read_duration(TableReader& table, std::string_view key, Seconds least, Seconds most, Seconds& value) {
  const auto read = table.duration(key);
  if (!read) return;
  if (*read < least || *read > most) {
    table.problem(key, "must be from " + format_duration(least) + " to " + format_duration(most));
  } else {
    value = *read;
  }
}

void read_count(TableReader& table, std::string_view key, unsigned most, unsigned& value) {
  if (const auto read = table.number(key, 1, most)) value = static_cast<unsigned>(*read);
}

// "400d": whole days, since a retention may be longer than any duration that a grant can have.
void read_days(TableReader& table, std::string_view key, unsigned most, Seconds& value) {
  const auto text = table.text(key);
  if (!text) return;
  const auto days = text->ends_with('d') ? parse_number(std::string_view(*text).substr(0, text->size() - 1), most)
                                         : fail(Errc::invalid, "");
  if (!days || *days == 0) {
    table.problem(key, "must be whole days from \"1d\" to \"" + std::to_string(most) + "d\"");
  } else {
    value = std::chrono::days(*days);
  }
}

}  // namespace

Result<HostConfig> parse_host_config(std::string_view text, const std::string& file) {
  if (text.size() > kMaxConfig)
    return fail(Errc::invalid, file + ":1: the file is larger than " + std::to_string(kMaxConfig) + " bytes");
  const Result<TomlValue> root = parse_toml(text, file);
  if (!root) return tl::unexpected<Error>(root.error());

  using std::chrono::days;
  using std::chrono::hours;
  using std::chrono::minutes;
  Problems problems;
  HostConfig config;
  TableReader table(*root, file, "", problems);
  if (const auto host = table.text("host"); host && table.accept("host", check_host_name(*host))) config.host = *host;
  config.segments = table.texts("segments").value_or(std::vector<std::string>{});
  for (const std::string& segment : config.segments) table.accept("segments", check_policy_name(segment, "segment"));
  if (auto ceilings = table.table("ceilings")) {
    read_duration(*ceilings, "absolute", hours(1), kAbsoluteCeiling, config.absolute_ceiling);
    read_duration(*ceilings, "grant", minutes(1), config.absolute_ceiling, config.grant_ceiling);
    ceilings->finish();
  }
  config.grant_ceiling = std::min(config.grant_ceiling, config.absolute_ceiling);
  config.pending_life = std::min(config.pending_life, config.absolute_ceiling);
  read_duration(table, "pending_life", minutes(1), config.absolute_ceiling, config.pending_life);
  read_duration(table, "clock_tolerance", Seconds(1), hours(1), config.clock_tolerance);
  read_duration(table, "heartbeat", minutes(1), days(1), config.heartbeat);
  read_days(table, "audit_retention", 36500, config.audit_retention);
  config.residue_paths = table.texts("residue_paths").value_or(std::vector<std::string>{});
  for (const std::string& path : config.residue_paths)
    if (!path.starts_with('/') || path == "/" || path.size() > kMaxPath)
      table.problem("residue_paths", "must be folders by their whole path");
  config.max_view_age = table.duration("max_view_age");
  config.owners = read_owners(table, file);
  if (auto quotas = table.table("quotas")) {
    read_count(*quotas, "pending_per_user", 1000, config.pending_per_user);
    read_count(*quotas, "requests_per_minute", 10000, config.requests_per_minute);
    quotas->finish();
  }
  config.sources = read_sources(table);
  table.finish();
  if (!problems.none()) return tl::unexpected<Error>(problems.error());
  return config;
}

}  // namespace jit
