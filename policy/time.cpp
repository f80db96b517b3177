#include "policy/time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "policy/text.hpp"

namespace jit {
namespace {

using std::chrono::day;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::month;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr Seconds kLongest = days(366);

// Calendar fields of a time.
struct Fields {
  int year = 1970;
  unsigned month = 1, day = 1, hour = 0, minute = 0, second = 0;
};

Fields fields_of(WallTime time) {
  const sys_days midnight = std::chrono::floor<days>(time);
  const year_month_day date(midnight);
  const auto rest = static_cast<unsigned>((time - midnight).count());
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          rest / 3600,
          rest / 60 % 60,
          rest % 60};
}

// The time of these fields, or nothing when one is out of range (31 February, hour 24, second 60).
std::optional<WallTime> time_of(const Fields& f) {
  const year_month_day date(year(f.year), month(f.month), day(f.day));
  if (!date.ok() || f.year < 1970 || f.year > 9999 || f.hour > 23 || f.minute > 59 || f.second > 59)
    return std::nullopt;
  return sys_days(date) + hours(f.hour) + minutes(f.minute) + Seconds(f.second);
}

// `count` digits of `text` at `at`, or nothing when another character is among them. The caller has checked the
// length.
std::optional<unsigned> digits(std::string_view text, std::size_t at, std::size_t count) {
  unsigned value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

// Reads the numbers at these offsets (year with 4 digits, the others with 2); offset 0 for a later field means
// absent.
std::optional<WallTime> read(std::string_view text, const std::array<std::size_t, 5>& offsets) {
  const auto years = digits(text, 0, 4);
  if (!years) return std::nullopt;
  std::array<unsigned, 5> values{};
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    if (offsets[i] == 0) continue;
    const auto value = digits(text, offsets[i], 2);
    if (!value) return std::nullopt;
    values[i] = *value;
  }
  return time_of({static_cast<int>(*years), values[0], values[1], values[2], values[3], values[4]});
}

constexpr std::array<std::pair<char, Seconds>, 4> kUnits = {
    {{'d', days(1)}, {'h', hours(1)}, {'m', minutes(1)}, {'s', Seconds(1)}}};

}  // namespace

std::string format_utc(WallTime time) {
  const Fields f = fields_of(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", f.year, f.month, f.day, f.hour, f.minute, f.second);
}

Result<WallTime> parse_utc(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  std::optional<WallTime> time;
  if (text.size() == kForm.size() && text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' &&
      text[16] == ':' && text[19] == 'Z') {
    time = read(text, {5, 8, 11, 14, 17});
  }
  if (time) return *time;
  return fail(Errc::invalid,
              fmt::format("\"{}\" is not a time: write it in UTC as 2026-11-22T05:10:39Z", shown(text, 40)));
}

std::string format_compact_utc(WallTime time) {
  const Fields f = fields_of(time);
  return fmt::format("{:04}{:02}{:02}{:02}{:02}{:02}Z", f.year, f.month, f.day, f.hour, f.minute, f.second);
}

Result<WallTime> parse_compact_utc(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::invalid, fmt::format("\"{}\" is not a time: {}", shown(text, 40), why));
  };
  if (text.empty() || text.back() != 'Z') {
    return wrong(
        "write it in UTC with Z at the end, as 20261122051039Z; without Z it would mean the host's own zone");
  }
  std::optional<WallTime> time;
  if (text.size() == 9) time = read(text, {4, 6, 0, 0, 0});
  if (text.size() == 13) time = read(text, {4, 6, 8, 10, 0});
  if (text.size() == 15) time = read(text, {4, 6, 8, 10, 12});
  if (!time) return wrong("the form is YYYYMMDD[HHMM[SS]]Z");
  return *time;
}

Result<Seconds> parse_duration(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::invalid, fmt::format("\"{}\" is not a duration: {}", shown(text, 40), why));
  };
  if (text.size() < 2) return wrong("write a number and a unit, as 90m, 2h or 1d");
  for (const auto& [letter, unit] : kUnits) {
    if (text.back() != letter) continue;
    const auto most = static_cast<std::uint64_t>(kLongest / unit);
    const auto count = parse_number(text.substr(0, text.size() - 1), UINT32_MAX);
    if (!count) return wrong("write a whole number and one unit, as 90m, 2h or 1d");
    if (*count == 0) return wrong("it is zero");
    if (*count > most) return wrong("it is longer than 366 days");
    return unit * static_cast<std::int64_t>(*count);
  }
  return wrong("the unit is one of s, m, h and d");
}

std::string format_duration(Seconds duration) {
  for (const auto& [letter, unit] : kUnits) {
    if (duration % unit == Seconds(0) && duration != Seconds(0)) return fmt::format("{}{}", duration / unit, letter);
  }
  return fmt::format("{}s", duration.count());
}

std::string format_about(Seconds duration) {
  if (duration > kLongest) return "more than a year";
  for (const auto& [letter, unit] : kUnits)
    if (duration >= 2 * unit) return format_duration(duration / unit * unit);
  return format_duration(std::max(duration, Seconds(1)));
}

}  // namespace jit
