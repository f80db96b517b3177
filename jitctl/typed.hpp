// What comes in on standard input: a document, or its pieces as a scanner types them.
#pragma once

#include <string>

#include "jitctl/context.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// One document of at most kMaxDocument bytes. Where the first word is that of a piece (policy/document/pieces.hpp) it
// reads lines until all pieces are here, and not one more; else until the end of input. Lines that do not read are
// complained of by number and left out. On a terminal it says what it waits for, and sets context.typed. Errors: more
// than a document may be; the end of input before all pieces came.
[[nodiscard]] Result<std::string> read_typed(Context& context);

}  // namespace jit::ctl
