// A question at the door (`request` on the PAM line): whoever is refused for want of a grant may ask for one in the
// PAM conversation, and wait a minute for it. Nothing is decided here.
#pragma once

#include "jitd/wire/answer.hpp"
#include "pam_jit/host.hpp"

namespace jit::pam {

// Asks for role and reason, has jitd file the request, and waits while saying whom for. True: it was approved, so
// that the check is worth making again. False: not, and the user knows why. `shut` is the answer that refused.
// `holds_texts`: the application shows a message only with the next prompt (sshd).
[[nodiscard]] bool ask_at_door(Host& host, const wire::Query& query, const wire::Answer& shut,
                               bool holds_texts) noexcept;

}  // namespace jit::pam
