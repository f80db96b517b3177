// Makes the bytes of a board out of what should stand on it. jitd and `jitd --expire` only; pam_jit never writes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "policy/result.hpp"

namespace jit::wire {

struct GateOnBoard {
  std::string name;
  std::vector<std::string> services;
  bool enforce = false;
  bool everybody = false;
  std::vector<std::string> users;   // resolved user names, when not everybody
  std::vector<std::string> except;  // resolved user names of local accounts
  std::string help;                 // cut at 511 bytes
  bool operator==(const GateOnBoard&) const = default;
};

struct GrantOnBoard {
  std::string id;  // 16 characters
  std::string user;
  std::uint32_t uid = 0;
  std::int64_t not_after_ms = 0;
  std::uint64_t boot_deadline_ms = 0;
  std::vector<std::string> opens;  // gate names
  bool has_sudo = false;
  bool live = true;          // false: ended before; the end of a sudo entitlement then stands in sudo_ends
  bool conditional = false;  // has a condition that only jitd can judge: the board alone never opens by it
};

struct BoardContent {
  std::vector<GateOnBoard> gates;
  std::vector<GrantOnBoard> grants;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> sudo_ends;  // uid, boot-time ms of the last end
  std::string boot_id;                                             // 36 characters of /proc/sys/kernel/random/boot_id
};

// Errors (Errc::invalid): more than kMaxGates gates, a gate twice, an unknown gate in `opens`, a grant twice, an id
// that is not 16 characters, an empty or overlong name, a boot id that is not 36 characters.
[[nodiscard]] Result<std::string> make_board(const BoardContent& content);

}  // namespace jit::wire
