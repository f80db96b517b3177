// The board's file as its writers use it: words set in place, and what a new board takes over from the old one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "jitd/sys/files.hpp"
#include "jitd/wire/answer.hpp"
#include "policy/result.hpp"

namespace jit {

// An end has two words on the board, both set in place, so that they need no space (P6): first that it is ending,
// while its rule may still be there; when that is gone, when that was. A sudo which began before then matched the
// rule. `over(id)` is asked about each grant that is live, or ending. No board: nothing to do.
[[nodiscard]] Result<void> mark_ending(Files& files, const std::string& board,
                                       const std::function<bool(std::string_view id)>& over);
[[nodiscard]] Result<void> mark_ended(Files& files, const std::string& board, std::uint64_t boot_ms,
                                      const std::function<bool(std::string_view id)>& over);

// The board as it would read if these grants had ended. Where it cannot be read every answer is `unknown`.
class BoardWithout {
 public:
  BoardWithout(const std::string& board, std::uint64_t boot_ms, const std::function<bool(std::string_view id)>& over);
  [[nodiscard]] wire::Answer answer(const wire::Query& query, const wire::Clocks& clocks) const;

 private:
  std::string bytes_;
};

// What must not be forgotten when a board is replaced.
struct CarriedOver {
  std::set<std::string> ended;                       // ids of grants whose word is not live
  std::map<std::uint32_t, std::uint64_t> sudo_ends;  // uid: boot-time ms of the last end of a sudo entitlement
};

// Reads the old board. A grant that stood on it and is not `wanted` any more counts as ended at `now_ms`.
[[nodiscard]] CarriedOver carry_over(const std::string& board, std::uint64_t now_ms,
                                     const std::function<bool(std::string_view id)>& wanted);

}  // namespace jit
