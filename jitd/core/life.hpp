// A request or direct grant while it lives, as the engine holds it in memory: its record, and what is under way for
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "jitd/core/engine.hpp"
#include "jitd/store/store.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/verify.hpp"

namespace jit {

// What one document says for a request: a review, or a direct grant for itself. Signers who were locked when it came
// are left out already.
struct Voice {
  Digest document;
  Kind kind = Kind::review;
  bool approve = true;
  std::optional<Seconds> duration;
  std::optional<WallTime> start;
  std::int64_t created = 0;
  std::int64_t expires = 0;
  std::string comment;
  std::vector<Signer> signers;
};

constexpr std::uint64_t kBusyGiveUpMs = 5000;  // what others hold up is given up after so long

struct Life {
  GrantRecord record;
  std::optional<GrantDocument> direct;       // of a direct grant that is still to be activated
  std::optional<std::vector<Voice>> voices;  // read from the store when first asked for

  // An activation is a chain of questions and steps. Each answer carries the attempt that it belongs to; whatever
  // ends or restarts the life takes the next number, and late answers fall on the floor.
  std::uint64_t attempt = 0;
  enum class Step : std::uint8_t { idle, asking, preparing, giving, proving } step = Step::idle;
  bool resuming = false;            // counted among those that recovery waits for
  bool deciding = false;            // counted among those that recovery asks about right now
  bool resumed = false;             // recovery: decided again, for what remains
  std::uint64_t retry_boot_ms = 0;  // tries again then; 0: nothing to try
  std::uint64_t give_up_boot_ms = 0;
  std::int64_t warned_ms = INT64_MAX;           // so long before its end something was said last
  std::int64_t starts = 0;                      // approved, and waits for this (wall seconds); 0: waits for no time
  std::uint64_t closed_boot_ms = 0;             // of a grant for one session: when that was closed; 0: it was not
  bool told = false;                            // it came into force, and that is in the audit
  bool on_host = false;                         // something may have been given: an end has to take it away
  std::vector<Engine::Reply<Outcome>> waiters;  // told when the activation has come to something

  [[nodiscard]] bool in_force() const {
    return record.state == GrantState::active || record.state == GrantState::activating;
  }
  [[nodiscard]] bool over() const { return record.state == GrantState::ended || record.state == GrantState::refused; }
};

}  // namespace jit
