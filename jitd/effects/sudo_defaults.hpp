// What `sudo -l -U USER` says of the Defaults in force, for rules that must be recorded.
#pragma once

#include <string_view>

#include "policy/result.hpp"

namespace jit {

// Whether a recording goes where ours go, and a command whose recording cannot be written is not run: the listing's
// last iolog_dir and iolog_file are ours, ignore_iolog_errors is off, and no Defaults of a command or a run-as user,
// which sudo applies later, says anything of these. Errc::refused says what to change.
[[nodiscard]] Result<void> check_recording_defaults(std::string_view listing);

}  // namespace jit
