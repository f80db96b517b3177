// A mailbox over a while: what a reader sees of it, and somebody who posts.
#pragma once

#include <string>
#include <vector>

#include "jitd/sync/mailbox.hpp"

namespace jit {

[[nodiscard]] const char* kind_of(const Error& error);  // as a word

// As the courier does: waits for news in these boxes, lists them and fetches what is new by its stamp. Each is a line
// "MICROSECONDS BOX/NAME STAMP CONTENT" in `file`, which is read first: who goes on knows what was seen before.
// Errors are said, and half a second later it goes on; those of a box that may not be read end it.
[[nodiscard]] int follow(Mailbox& mailbox, const std::vector<Box>& boxes, int seconds, const std::string& file);

// Posts so many, one every so many milliseconds, in these boxes by turns, each until it is taken; a line
// "MICROSECONDS BOX/NAME" for each, from when it was first tried.
[[nodiscard]] int post(Mailbox& mailbox, const std::vector<Box>& boxes, int count, int every);

}  // namespace jit
