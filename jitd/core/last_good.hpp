// The last policy that loaded, kept whole in one file, VAR/last-good, so that it is there or not at any instant:
//
//   jit-last-good 1
//   NAME BYTES          for each policy file in name order (the name escaped as in `effects`), then its bytes and LF
//   sha256:...          of all before this line
#pragma once

#include <string>
#include <vector>

#include "policy/result.hpp"
#include "policy/rules/load.hpp"

namespace jit {

inline constexpr std::size_t kMaxLastGood = std::size_t{64} * 1024 * 1024;

// `files` by name alone, without a directory.
[[nodiscard]] std::string encode_last_good(const std::vector<PolicyText>& files);
// Errors: anything that encode_last_good would not have written.
[[nodiscard]] Result<std::vector<PolicyText>> decode_last_good(std::string_view text);

// Keeps `files` in `var` (durably, by rename) unless they are there already.
[[nodiscard]] Result<void> keep_last_good(const std::string& var, const std::vector<PolicyText>& files);
// Errc::not_found: none was ever kept.
[[nodiscard]] Result<std::vector<PolicyText>> read_last_good(const std::string& var);

}  // namespace jit
