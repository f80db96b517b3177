// ~/.local/state/jit: what jitctl remembers for its user, and for nobody else. Bounded: what is too old to matter
// goes when something new comes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jitctl/context.hpp"
#include "policy/digest.hpp"
#include "policy/document/kinds.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// $XDG_STATE_HOME/jit or ~/.local/state/jit; empty without a home.
[[nodiscard]] std::string own_state(const Context& context);

// Replaces FOLDER/NAME there; folders are made, 0700, the file is 0600.
[[nodiscard]] Result<void> keep_own(const Context& context, const std::string& folder, const std::string& name,
                                    std::string_view content);
// Errc::not_found: it was never kept.
[[nodiscard]] Result<std::string> own_file(const Context& context, const std::string& folder, const std::string& name,
                                           std::size_t limit);
[[nodiscard]] Result<void> forget_own(const Context& context, const std::string& folder, const std::string& name);

// A document of the user's own that was sent somewhere.
struct SentDocument {
  std::string text;
  Document document;
  Digest digest;
};

inline constexpr const char* kAsks = "asks";
inline constexpr const char* kSent = "sent";  // reviews, grants, revocations, locks
inline constexpr std::size_t kMaxSent = 1000;

// Keeps a copy, and drops those that nobody can ask about any more.
[[nodiscard]] Result<void> keep_sent(const Context& context, const std::string& folder, std::string_view text);
// The newest first. What does not read is passed over: it is nobody's but the user's own.
[[nodiscard]] std::vector<SentDocument> sent_documents(const Context& context, const std::string& folder);

}  // namespace jit::ctl
