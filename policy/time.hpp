// Wall-clock times in whole seconds UTC, as people sign them, and durations as people write them.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "policy/result.hpp"

namespace jit {

using WallTime = std::chrono::sys_seconds;  // seconds since 1970-01-01T00:00:00Z, leap seconds ignored
using Seconds = std::chrono::seconds;

// "2026-11-22T05:10:39Z" (RFC 3339, whole seconds, UTC only). parse_utc accepts exactly this form, years 1970-9999.
[[nodiscard]] std::string format_utc(WallTime time);
[[nodiscard]] Result<WallTime> parse_utc(std::string_view text);

// "20261122051039Z": sudoers' NOTAFTER (sudoers(5)) and allowed signers' valid-after (ssh-keygen(1)), always with Z.
[[nodiscard]] std::string format_compact_utc(WallTime time);
// Reads YYYYMMDD[HHMM[SS]]Z. Without Z it is an error: it would mean the host's time zone.
[[nodiscard]] Result<WallTime> parse_compact_utc(std::string_view text);

// "90s", "90m", "2h", "1d": a positive whole number with one unit, at most 366 days. format_duration takes the
// largest unit that divides the value.
[[nodiscard]] Result<Seconds> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(Seconds duration);
// For people, of something that was measured: cut to whole minutes, hours or days when it is two or more of them, at
// least 1s: "119s", "2m", "47h", "2d", "more than a year".
[[nodiscard]] std::string format_about(Seconds duration);

}  // namespace jit
