// Filing a wish with jitd and waiting for what becomes of it: request, extend and run.
#pragma once

#include <string>

#include "jitctl/command.hpp"
#include "jitctl/context.hpp"

namespace jit::ctl {

struct Filing {
  std::string out;       // write the signed request there
  bool no_wait = false;  // for approvers
};

// A wish on the command line: what request and extend have in common.
struct WishOptions {
  std::string duration, reason, ticket;
  Filing filing;
};
// -m, -t, --no-wait and -o; the duration is each command's own.
void add_wish(Command& command, WishOptions& options);
// Reason, duration and ticket as fields, those that were given.
[[nodiscard]] Result<void> put_wish(Row& wish, const WishOptions& options);

// Files the wish (verb request), says what became of it and, on a terminal, waits for approvers; Ctrl-C leaves it
// filed.
[[nodiscard]] Outcome file_wish(Context& context, const Row& wish, const Filing& filing);

// Waits until a request is decided, and says on standard error for whom. The grant row then; Errc::busy: Ctrl-C.
[[nodiscard]] Result<Row> wait_decided(Context& context, const std::string& id, std::string state);

// The duration as a field; empty: none.
[[nodiscard]] Result<void> put_duration(Row& wish, const std::string& duration);

}  // namespace jit::ctl
