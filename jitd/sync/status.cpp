#include "jitd/sync/status.hpp"

#include <array>
#include <utility>

#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::array<std::pair<std::string_view, std::uint64_t SourceStatus::*>, 4> kNumbers = {
    {{"taken", &SourceStatus::taken},
     {"posted", &SourceStatus::posted},
     {"refused", &SourceStatus::refused},
     {"waiting", &SourceStatus::waiting}}};
constexpr std::array<std::pair<std::string_view, std::string SourceStatus::*>, 3> kTexts = {
    {{"url", &SourceStatus::url}, {"error", &SourceStatus::error}, {"post_error", &SourceStatus::post_error}}};
constexpr std::array<std::pair<std::string_view, std::optional<WallTime> SourceStatus::*>, 2> kTimes = {
    {{"last_success", &SourceStatus::last_success}, {"last_error", &SourceStatus::last_error}}};

}  // namespace

std::string to_text(const SourceStatus& status) {
  std::string text;
  const auto line = [&](std::string_view word, std::string_view value) {
    text.append(word).append(" ").append(value).append("\n");
  };
  line("state", status.good ? "good" : "bad");
  line("started", format_utc(status.started));
  for (const auto& [word, member] : kTexts)
    if (!(status.*member).empty()) line(word, shown(status.*member, 2048));
  for (const auto& [word, member] : kTimes)
    if (status.*member) line(word, format_utc(*(status.*member)));
  for (const auto& [word, member] : kNumbers) line(word, std::to_string(status.*member));
  return text;
}

Result<SourceStatus> parse_status(std::string_view text) {
  const auto wrong = [] { return fail(Errc::invalid, "not the status of a source"); };
  SourceStatus status;
  if (text.size() > kMaxStatus || !text.ends_with('\n')) return wrong();
  text.remove_suffix(1);
  for (const std::string_view line : split(text, '\n')) {
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos) return wrong();
    const std::string_view word = line.substr(0, blank), value = line.substr(blank + 1);
    if (word == "state") {
      if (value != "good" && value != "bad") return wrong();
      status.good = value == "good";
    }
    if (word == "started") {
      const auto time = parse_utc(value);
      if (!time) return wrong();
      status.started = *time;
    }
    for (const auto& [known, member] : kTexts)
      if (word == known) status.*member = shown(value);
    for (const auto& [known, member] : kTimes) {
      if (word != known) continue;
      const auto time = parse_utc(value);
      if (!time) return wrong();
      status.*member = *time;
    }
    for (const auto& [known, member] : kNumbers) {
      if (word != known) continue;
      const auto number = parse_number(value);
      if (!number) return wrong();
      status.*member = *number;
    }
  }
  return status;
}

}  // namespace jit
