// A document of one's own that is for hosts: signed, and handed to the local jitd, written into a file, or sent to
// hosts elsewhere. What grant, revoke, lock, unlock and deliveries have in common.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jitctl/answers.hpp"
#include "jitctl/command.hpp"
#include "jitctl/context.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/elsewhere.hpp"

namespace jit::ctl {

struct IssueOptions {
  Where where;
  bool on_all = false;  // every host of the hosts file
  SignOptions sign;
  SourceOptions source;
};
void add_issue_options(Command& command, IssueOptions& options);

// The hosts elsewhere, when the command is to speak with them: with `out` (-o) or --qr only when a source was named.
[[nodiscard]] Result<std::optional<Elsewhere>> open_elsewhere(Context& context, const SourceOptions& options,
                                                              const std::string& out = {});

struct Issue {
  std::string_view failure = {};  // hand_over()'s
  bool everywhere = false;  // with a source and without --on: every host of the hosts file, else that is an error
};

// Fills in for which hosts the document is, signs it and sends it off. Elsewhere several documents are made where one
// would be too large; then it waits for the hosts' answers and says them host by host.
[[nodiscard]] Outcome issue(Context& context, std::optional<Elsewhere>& elsewhere, const Document& document,
                            const IssueOptions& options, const Issue& issue);

// The last part of it: documents that are signed already. Says what the hosts answer.
[[nodiscard]] Outcome send(Context& context, Elsewhere& elsewhere, const std::vector<Parcel>& parcels,
                           const SourceOptions& options);

inline constexpr Seconds kAnswerWithin{10};  // how long it is waited for answers unless --wait says otherwise

}  // namespace jit::ctl
