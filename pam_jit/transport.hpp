// One question to jitd over check.sock: SOCK_SEQPACKET, one datagram each way, docs/PROTOCOL.md.
#pragma once

#include <sys/types.h>

#include <span>

#include "pam_jit/host.hpp"
#include "pam_jit/system.hpp"

namespace jit::pam {

// Connects, sends and receives, all within one deadline on the monotonic clock, signals or not. The socket file and
// the process that listens must be of `server`. A reply longer than `reply` is none.
[[nodiscard]] Reply ask(const char* path, uid_t server, std::span<const std::byte> request,
                        std::span<std::byte> reply, unsigned timeout_ms) noexcept;

// The same without waiting for a reply. The datagram stays readable for jitd after we are gone.
void post(const char* path, uid_t server, std::span<const std::byte> request, unsigned timeout_ms) noexcept;

// Connects and sends, for a question with several answers; `into` is the connection then. nullptr: done, else why
// not.
[[nodiscard]] const char* begin(Descriptor& into, const char* path, uid_t server, std::span<const std::byte> request,
                                unsigned timeout_ms) noexcept;
// The next of its answers.
[[nodiscard]] Reply hear(const Descriptor& from, std::span<std::byte> reply, unsigned timeout_ms) noexcept;

}  // namespace jit::pam
