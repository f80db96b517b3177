// The owners of a host: who may sign its policy and trust (documents of kinds policy and trust). [owners] of
// jitd.toml. An owner is no approver: these keys say nothing for a review.
#pragma once

#include "policy/document/trust.hpp"
#include "policy/rules/toml_reader.hpp"

namespace jit {

struct Owners {
  TrustFile keys;      // without a path where nobody is named: then nothing is taken
  unsigned count = 1;  // so many different ones sign every part
  [[nodiscard]] bool any() const { return !keys.lines.empty(); }
};

// The table `owners` of `root`, where there is one: `keys`, lines as they stand in ALLOWED SIGNERS files, and
// `count`. Problems are noted with the file, line and key: a line that does not parse, a key that stands twice, a
// count that the principals cannot reach.
[[nodiscard]] Owners read_owners(TableReader& root, const std::string& file);

}  // namespace jit
