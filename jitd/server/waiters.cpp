#include "jitd/server/waiters.hpp"

#include <algorithm>

#include "jitd/server/rows.hpp"

namespace jit {
namespace {

bool is_new(const Waiter& waiter, const GrantView& view) {
  return waiter.state != to_text(view.record.state) || (waiter.has_note && waiter.note != view.record.why);
}

}  // namespace

Waiters::Waiters(Loop& loop, const Clock& clock)
    : clock_(clock), timer_(loop.timer(CLOCK_BOOTTIME, [this] { time_is_up(); })) {}

void Waiters::wait(Engine& engine, Waiter waiter) {
  engine_ = &engine;
  look(engine, std::make_shared<Waiter>(std::move(waiter)), false);
}

void Waiters::look(Engine& engine, std::shared_ptr<Waiter> waiter, bool late) {
  if (!waiter->reply.alive()) return;
  const Waiter& asked = *waiter;
  engine.show(asked.caller, asked.id, [this, waiter = std::move(waiter), late](Result<GrantView> view) {
    if (!view) return waiter->reply.failure(view.error());
    if (late || is_new(*waiter, *view)) {
      waiter->reply.result(wire::Status::done, "",
                           [&](wire::Writer& frame) { put_grant(frame, *view, clock_.now()); });
      return;
    }
    waiter->id = view->record.id;
    waiting_.push_back(waiter);
    arm();
  });
}

void Waiters::changed(Engine& engine) {
  auto all = std::exchange(waiting_, {});
  for (auto& waiter : all) look(engine, std::move(waiter), false);
  arm();
}

void Waiters::time_is_up() {
  const std::uint64_t now = Loop::now_usec(CLOCK_BOOTTIME);
  auto all = std::exchange(waiting_, {});
  for (auto& waiter : all) {
    if (waiter->until > now) {
      waiting_.push_back(std::move(waiter));
      continue;
    }
    if (engine_ != nullptr) look(*engine_, std::move(waiter), true);
  }
  arm();
}

void Waiters::arm() {
  const auto first = std::ranges::min_element(waiting_, {}, [](const auto& waiter) { return waiter->until; });
  if (first == waiting_.end())
    timer_.disarm();
  else
    timer_.arm((*first)->until);
}

}  // namespace jit
