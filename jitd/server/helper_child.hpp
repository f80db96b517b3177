// `jitd --helper`: the process that asks what may hang. Answers questions that come on its standard input, a
// socketpair, one after the other, and ends when that is closed or nothing was asked for a while.
#pragma once

#include "jitd/server/helper_protocol.hpp"
#include "jitd/sys/spawn.hpp"

namespace jit {

// Answers until end of file, 30 s of silence, or a message that makes no sense. The exit code.
[[nodiscard]] int helper_main(int socket);

// One question; never fails, an error is an answer.
[[nodiscard]] HelperMessage answer_question(const HelperMessage& question, Spawn& spawn);

}  // namespace jit
