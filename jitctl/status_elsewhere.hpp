// `status` of hosts elsewhere: what became of everything that was sent from here.
#pragma once

#include "jitctl/context.hpp"
#include "jitctl/elsewhere.hpp"

namespace jit::ctl {

// Host by host, of the caller's own asks, reviews, grants, revocations and locks: those that live or wait, and those
// that were decided, for as long as somebody may still have a use for them.
[[nodiscard]] Outcome status_elsewhere(Context& context, const SourceOptions& options);

}  // namespace jit::ctl
