// ~/.config/jit/approver.toml (approver.toml(5)): how a person reaches hosts from a machine of their own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jitctl/context.hpp"
#include "policy/result.hpp"
#include "policy/sources.hpp"

namespace jit::ctl {

struct ApproverConfig {
  std::string path;            // of the file, whether or not it is there
  std::string key;             // what --key says when nobody says it; empty: chosen (signing.hpp)
  std::string hosts;           // trust file of the hosts; empty: the person's own and the machine's
  std::string default_source;  // name of one of `sources`; empty: none
  std::vector<SourceSpec> sources;
};

inline constexpr std::size_t kMaxApproverConfig = std::size_t{256} * 1024;

// Strict: unknown keys, wrong types and values out of their range are errors that name file, line and key. "~/" at
// the start of `key` and `hosts` is `home`.
[[nodiscard]] Result<ApproverConfig> parse_approver_config(std::string_view text, const std::string& path,
                                                           const std::string& home);

// The caller's own. A file that is not there says nothing.
[[nodiscard]] Result<ApproverConfig> read_approver_config(const Context& context);

// A source's name, or its URL where it has none; shown() already.
[[nodiscard]] std::string label_of(const SourceSpec& source);

// What --source says: the name of a source of the configuration, its URL (with all that the configuration says of
// it), any other URL, or a folder by a path that starts with "." or "/".
[[nodiscard]] Result<SourceSpec> find_source(const ApproverConfig& config, const std::string& named);

}  // namespace jit::ctl
