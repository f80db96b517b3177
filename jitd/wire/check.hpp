// The verb `check`: a Query to its frame and back, an Answer to its frame and back. Both ends use these, and nothing
// else.
#pragma once

#include <optional>
#include <span>

#include "jitd/wire/answer.hpp"
#include "jitd/wire/codec.hpp"

namespace jit::wire {

// The largest request or reply of this verb; a longer one is refused by both ends.
inline constexpr std::size_t kMaxCheckFrame = 4096;

// Longest texts that a query carries; longer ones are cut by make_query (tty, rhost, target: for the record alone) or
// refused (service, subject: what is decided on).
inline constexpr std::size_t kMaxService = 63;
inline constexpr std::size_t kMaxSubject = 256;

// The frame of a query in `buffer`; empty when service or subject is empty or too long.
[[nodiscard]] std::span<const std::byte> make_query(std::span<std::byte> buffer, std::uint32_t id,
                                                    const Query& query) noexcept;

// A query as it came. nullopt: another verb, a field missing, a phase that is none, a text with a NUL or too long.
// Texts point into the frame.
[[nodiscard]] std::optional<Query> read_query(const Frame& frame) noexcept;

// The frame of an answer in `buffer` (kMaxCheckFrame always suffices).
[[nodiscard]] std::span<const std::byte> make_answer(std::span<std::byte> buffer, std::uint32_t id,
                                                     const Answer& answer) noexcept;

// An answer as it came. nullopt: not a result, another id, a status but done, no verdict, or a verdict that is none
// of ours.
[[nodiscard]] std::optional<Answer> read_answer(const Frame& frame, std::uint32_t id) noexcept;

}  // namespace jit::wire
