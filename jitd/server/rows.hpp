// A grant as a row of the protocol ("grant row" in docs/PROTOCOL.md), and what handlers share.
#pragma once

#include "jitd/core/engine.hpp"
#include "jitd/server/control.hpp"
#include "jitd/wire/codec.hpp"

namespace jit {

// All of the row but effects and document.
void put_grant(wire::Writer& frame, const GrantView& view, const Instant& now);

// By what others trust this host: its name, segments and key, and whether this is the machine of that key.
void put_identity(wire::Writer& frame, const HostView& host);

// How an outcome is answered: done when it is in force, pending while it waits, refused when it never will be.
[[nodiscard]] wire::Status status_of(GrantState state);

// Text for people out of somebody else's words: cut, cleaned. Readers clean again (P10).
[[nodiscard]] std::string_view clipped(std::string_view text, std::size_t limit);

}  // namespace jit
