// Who waits for a request to change (the verb `wait`): answered when it does or when their time is over, without
// polling.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "jitd/core/engine.hpp"
#include "jitd/server/control.hpp"
#include "jitd/server/loop.hpp"

namespace jit {

struct Waiter {
  Caller caller;
  std::string id;     // whole
  std::string state;  // known
  bool has_note = false;
  std::string note;         // known, when has_note
  std::uint64_t until = 0;  // boot time, microseconds
  Responder reply;
};

class Waiters {
 public:
  Waiters(Loop& loop, const Clock& clock);

  // Answers at once when the view is not what the waiter knows, else keeps it until changed() or its time.
  void wait(Engine& engine, Waiter waiter);
  // Something changed in the engine: look at each again.
  void changed(Engine& engine);
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  // Asks the engine for the view and answers when it is new, or when `late`.
  void look(Engine& engine, std::shared_ptr<Waiter> waiter, bool late);
  void time_is_up();
  void arm();

  const Clock& clock_;
  Engine* engine_ = nullptr;
  std::vector<std::shared_ptr<Waiter>> waiting_;
  Source timer_;
};

}  // namespace jit
