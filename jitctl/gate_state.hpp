// What must be remembered between `gate enforce --confirm` and `gate confirm`, and the timer that falls back to
// observe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jitctl/context.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit::ctl {

// VAR/gate/SERVICE: when the gate was changed, on the boot-time clock of one boot, and what will take that back. As
// long as the file is there a boot takes it back, too (jit-gate.service).
struct GateChange {
  std::string boot_id;
  std::uint64_t boot_ms = 0;
  std::string timer;
};
[[nodiscard]] Result<void> remember(const Context& context, const std::string& service, const GateChange& change);
[[nodiscard]] Result<std::optional<GateChange>> remembered(const Context& context, const std::string& service);
void forget(const Context& context, const std::string& service);

// jit-gate-confirm-SERVICE:N.timer, transient: runs `gate-lines observe SERVICE`, without jitd; without systemd it is
// the name of a process, `gate-lines fall-back`. N makes the name of each its own, so that a new one stands before an
// old one goes.
[[nodiscard]] std::string fallback_timer(const std::string& service, std::string_view number);
[[nodiscard]] Result<std::string> arm_fallback(Context& context, const std::string& service, Seconds after);
[[nodiscard]] Result<void> disarm_fallback(Context& context, const std::string& timer);
// All of a service's.
void disarm_fallbacks(Context& context, const std::string& service);

// Boot-time clock (ms) at which the login session that we are in began: the oldest process of our audit session;
// without one, the leader of our terminal session.
[[nodiscard]] Result<std::uint64_t> session_started_ms(const Context& context);

}  // namespace jit::ctl
