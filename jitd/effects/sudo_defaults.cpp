#include "jitd/effects/sudo_defaults.hpp"

#include <string>

#include "policy/document/effects.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kMatching = "Matching Defaults entries for ";
constexpr std::string_view kLater = "Runas and Command-specific defaults for ";
constexpr std::string_view kIgnoreErrors = "ignore_iolog_errors";

tl::unexpected<Error> refused(std::string_view why) {
  return fail(Errc::refused, "it must be recorded, and " + std::string(why) +
                                 "; or say record = \"best-effort\" in the role if that is meant");
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

struct Recorded {
  std::string_view dir, file;
  bool ignore_errors = false;
};

// One list of settings, "a, !b, c=d": a comma within a value is escaped.
void read_settings(std::string_view line, Recorded& recorded) {
  std::size_t from = 0;
  for (std::size_t at = 0; at <= line.size(); ++at) {
    if (at < line.size() && line[at] == '\\') {
      ++at;
      continue;
    }
    if (at < line.size() && line[at] != ',') continue;
    const std::string_view setting = trimmed(line.substr(from, at - from));
    from = at + 1;
    constexpr std::string_view kDir = "iolog_dir=", kFile = "iolog_file=";
    if (setting.starts_with(kDir)) recorded.dir = setting.substr(kDir.size());
    if (setting.starts_with(kFile)) recorded.file = setting.substr(kFile.size());
    if (setting == kIgnoreErrors) recorded.ignore_errors = true;
    if (setting.starts_with('!') && setting.substr(1) == kIgnoreErrors) recorded.ignore_errors = false;
  }
}

// Whether it could take a recording elsewhere, or let a command run without one.
bool speaks_of_recording(std::string_view line) {
  const std::size_t ignore = line.find(kIgnoreErrors);
  const bool ignores = ignore != std::string_view::npos && (ignore == 0 || line[ignore - 1] != '!');
  return ignores || line.find("iolog_dir") != std::string_view::npos ||
         line.find("iolog_file") != std::string_view::npos;
}

}  // namespace

Result<void> check_recording_defaults(std::string_view listing) {
  enum class Part : std::uint8_t { other, matching, later } part = Part::other;
  Recorded recorded;
  for (const std::string_view line : split(listing, '\n')) {
    if (!line.starts_with(' ')) {
      part = line.starts_with(kMatching) ? Part::matching : line.starts_with(kLater) ? Part::later : Part::other;
      continue;
    }
    if (part == Part::matching) read_settings(line, recorded);
    if (part == Part::later && speaks_of_recording(line))
      return refused("sudoers says something else about recordings for commands or for users to run as (" +
                     shown(trimmed(line), 200) + "): take that out");
  }
  if (recorded.ignore_errors)
    return refused(
        "sudoers has ignore_iolog_errors, so that it would run when it cannot be: take that out of sudoers");
  if (recorded.dir != kRecordingDir || !recorded.file.starts_with(kUnclaimed))
    return refused("sudoers sends recordings to " + shown(recorded.dir, 200) + " and not to " + kRecordingDir +
                   ": take iolog_dir and iolog_file out of files that sort after zz-jit");
  return {};
}

}  // namespace jit
