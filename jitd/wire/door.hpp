// The verb `ask`: pam_jit asks jitd for a grant for somebody whom it has just refused, and who has proved to be who
// they are. What comes of it decides nothing: afterwards the module makes its check again. Freestanding.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "jitd/wire/check.hpp"

namespace jit::wire {

inline constexpr std::size_t kMaxDoorRole = 64;     // bytes, of a role's name
inline constexpr std::size_t kMaxDoorReason = 256;  // bytes of a reason given at the door
inline constexpr unsigned kDoorWaitMs = 60'000;     // from filing on; jitd's word, the module waits a little longer

// Without role and reason: what could be asked for? With both: file it, and wait.
struct DoorAsk {
  std::string_view service, subject;
  bool has_uid = false;  // the kernel said who it is (su)
  std::uint32_t uid = 0;
  std::string_view gate;  // the one that is shut
  std::string_view rhost;
  std::string_view role, reason;
};

// One frame of the answer. Those but the last are items.
struct DoorSaid {
  bool last = false;
  Status status = Status::failed;    // of the last: done (check again), pending (filed, wait no longer), refused
  char id[17] = {};                  // of the request, once it is filed
  char role[kMaxDoorRole + 1] = {};  // the only role that there is to ask for
  char message[1024] = {};           // for the user
};

// The frame of a question in `buffer`; empty when service, subject, gate, role or reason is too long, or one of
// service, subject and gate is empty.
[[nodiscard]] std::span<const std::byte> make_door_ask(std::span<std::byte> buffer, std::uint32_t id,
                                                       const DoorAsk& ask) noexcept;
// A question as it came. nullopt: another verb, a field missing, too long or with a NUL, or a role without a reason.
// Texts point into the frame.
[[nodiscard]] std::optional<DoorAsk> read_door_ask(const Frame& frame) noexcept;

[[nodiscard]] std::span<const std::byte> make_door_said(std::span<std::byte> buffer, std::uint32_t id,
                                                        const DoorSaid& said) noexcept;
// nullopt: neither an item nor a result, another id, a result with a status that is none, a text too long.
[[nodiscard]] std::optional<DoorSaid> read_door_said(const Frame& frame, std::uint32_t id) noexcept;

}  // namespace jit::wire
