// Makes the bytes of a board out of what should stand on it. jitd and `jitd --expire` only; pam_jit never writes.
#pragma once

#include <cstdint>
#include <string>
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
  std::string help;
};

struct GrantOnBoard {
  std::string id;  // 16 characters
  std::string user;
  std::uint32_t uid = 0;
  std::int64_t not_after_ms = 0;
  std::uint64_t boot_deadline_ms = 0;
  std::vector<std::string> opens;  // gate names
  bool has_sudo = false;
  bool live = true;
};

struct BoardContent {
  std::vector<GateOnBoard> gates;
  std::vector<GrantOnBoard> grants;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> sudo_ends;  // uid, boot-time ms of the last end
  std::string boot_id;  // 36 characters of /proc/sys/kernel/random/boot_id
};

// Errors: more than kMaxGates gates, an unknown gate in `opens`, an overlong name.
[[nodiscard]] Result<std::string> make_board(const BoardContent& content);

}  // namespace jit::wire
