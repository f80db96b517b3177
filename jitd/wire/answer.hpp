// One question, one answer: answer(board, query, clocks) serves jitd's check socket and, when jitd does not answer,
// pam_jit itself. Pure, freestanding, bounded: no allocation, at most a few dozen reads of the board.
#pragma once

#include <cstdint>
#include <string_view>

#include "jitd/wire/board.hpp"

namespace jit::wire {

enum class Phase : std::uint8_t { account = 1, session = 2, close = 3 };

// What is asked. Texts are bounded by the codec; the subject is fixed per service: for sudo, sudo-i, su and su-l who
// calls, for sshd and login who comes in.
struct Query {
  Phase phase = Phase::account;
  std::string_view service;
  std::string_view subject;  // user name
  bool has_uid = false;      // sudo, su: the real uid of the calling process is known
  std::uint32_t uid = 0;
  std::string_view target;
  std::uint64_t started_ms = 0;  // boot-time clock at which the calling process started; 0: unknown, before any end
  std::string_view tty;          // tty and rhost: as PAM has them, for the record alone
  std::string_view rhost;
  bool line_enforces = true;  // mode= of the PAM line; on an observing line a shut gate is `observe`
};

struct Clocks {
  std::int64_t wall_ms = 0;   // since 1970
  std::uint64_t boot_ms = 0;  // CLOCK_BOOTTIME
};

// Far apart in bits; compared to `allow` exactly, anything else denies (CVE-2023-42465).
enum class Verdict : std::uint32_t {
  allow = 0x5c96e1d3,  // every gate that matches is open, or sudo under a live sudo entitlement where no gate matches
  not_gated = 0x93a81f6e,  // no gate matches service and subject, nor a live sudo entitlement: none of our business
  observe = 0x2e7164b9,    // a gate is shut, and gate or line only observe: would have been denied, let in
  deny = 0xe14f9a24,       // an enforced gate is shut; with no gate named: a sudo that waited while its grant ended
  unknown = 0x18d3c75a,    // the board cannot answer (unreadable, a condition it cannot carry)
};

struct Answer {
  Verdict verdict = Verdict::unknown;
  char gate[64] = {};      // name of the gate that decided, NUL-terminated; empty where none did
  char grant[17] = {};     // id of the grant that opened it, or that carries the live sudo entitlement
  char message[512] = {};  // for the user: the gate's help, or what to do; NUL-terminated, clean
  bool live_sudo = false;  // a live sudo entitlement of the subject is on the board
};

// The services whose question is what sudo may do.
[[nodiscard]] constexpr bool is_sudo(std::string_view service) noexcept {
  return service == "sudo" || service == "sudo-i";
}

// The services that are known to open a session behind the account phase, one for each login or command. A grant for
// one session opens nothing else: where none is opened there would be nothing to bind it to, and no second to refuse.
[[nodiscard]] constexpr bool opens_session(std::string_view service) noexcept {
  // Compared one by one: a table of views would be relocated, data of the module in every process.
  return is_sudo(service) || service == "sshd" || service == "login" || service == "remote" || service == "su" ||
         service == "su-l" || service == "gdm-password" || service == "lightdm" || service == "sddm" ||
         service == "xdm" || service == "cockpit";
}

// Decides `query` from `board` as it reads now. All gates that match service and subject must be open. A grant counts
// when its word is live, both clocks are before its deadlines, it carries no condition for jitd alone, and, where the
// uid is known, it is of that uid. A check of sudo or sudo-i from a process that started before the last end of a
// sudo entitlement of that uid is denied, gate or not. Account and session decide alike, so that a grant which ended
// in between refuses. Close: not_gated always.
// `conditions`: jitd lets a grant count whose condition the board cannot carry, since it looks at that itself before
// the session begins.
enum class Conditions : std::uint8_t { unknown, looked_at_later };
[[nodiscard]] Answer answer(const BoardView& board, const Query& query, const Clocks& clocks,
                            Conditions conditions = Conditions::unknown) noexcept;

}  // namespace jit::wire
