#include "jitd/server/doors.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMostNamed = 20;  // roles, in one message
constexpr std::uint32_t kUnset = UINT32_MAX;

void say(int fd, std::uint32_t id, bool last, wire::Status status, std::string_view message,
         std::string_view request = {}, std::string_view role = {}) {
  wire::DoorSaid said;
  said.last = last;
  said.status = status;
  wire::copy_text(said.message, shown(message, sizeof said.message - 1));
  wire::copy_text(said.id, request);
  wire::copy_text(said.role, role);
  std::array<std::byte, wire::kMaxCheckFrame> buffer{};
  const auto bytes = wire::make_door_said(buffer, id, said);
  if (!bytes.empty()) (void)::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void refuse(const DoorCall& call, std::string_view why) {
  say(call.fd.get(), call.id, true, wire::Status::refused, why);
}

std::string come_back(const std::string& request) {
  return request + " is filed: come back when it is approved";
}

// Who logged in to what lets them in (su); unset for daemons.
std::optional<std::uint32_t> loginuid_of(std::int32_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/loginuid", 32);
  const auto number = text ? parse_number(*text, kUnset) : Result<std::uint64_t>(tl::unexpected(text.error()));
  if (!number || *number == kUnset) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

bool waits(GrantState state) {
  return state == GrantState::pending || state == GrantState::activating;
}

}  // namespace

DoorQueue::DoorQueue() : ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

bool DoorQueue::add(DoorCall call) noexcept try {
  const std::lock_guard lock(mutex_);
  if (calls_.size() >= kMost) return false;
  calls_.push_back(std::move(call));
  (void)eventfd_write(ready_.get(), 1);
  return true;
} catch (const std::exception&) {  // out of memory
  return false;
}

bool DoorQueue::take(DoorCall& call) {
  const std::lock_guard lock(mutex_);
  if (calls_.empty()) return false;
  call = std::move(calls_.front());
  calls_.pop_front();
  return true;
}

void DoorQueue::clear_ready() noexcept {
  eventfd_t value = 0;
  (void)eventfd_read(ready_.get(), &value);
}

Doors::Doors(Loop& loop, Engine& engine, DoorQueue& queue, std::uint64_t wait_usec)
    : loop_(loop), engine_(engine), queue_(queue), wait_usec_(wait_usec) {
  more_ = loop.later([this] { serve_one(); });
  timer_ = loop.timer(CLOCK_BOOTTIME, [this] { time_is_up(); });
  ready_ = loop.io(queue_.ready_fd(), EPOLLIN, [this](std::uint32_t) {
    queue_.clear_ready();
    more_.arm(0);
  });
}

void Doors::serve_one() {
  const auto call = std::make_shared<DoorCall>();
  if (!queue_.take(*call)) return;
  more_.arm(0);
  const Comer comer{call->subject, call->uid, loginuid_of(call->pid)};
  engine_.comer(comer, [this, alive = std::weak_ptr<const bool>(alive_), call](const Result<Caller>& caller) {
    if (alive.expired()) return;
    if (!caller) return refuse(*call, caller.error().message);
    with_roles(call, *caller, [this, call, caller = *caller](const std::vector<std::string>& roles) {
      if (roles.empty()) return refuse(*call, "no role that you may ask for opens this");
      if (call->role.empty()) return offer(call, caller, roles);
      if (std::ranges::find(roles, call->role) == roles.end())
        return refuse(*call, "no role \"" + call->role + "\" that you may ask for opens this");
      file(call, caller);
    });
  });
}

void Doors::with_roles(const CallPtr& call, const Caller& caller,
                       std::function<void(std::vector<std::string>)> then) {
  engine_.roles(caller, [alive = std::weak_ptr<const bool>(alive_), call,
                         then = std::move(then)](const Result<std::vector<RoleView>>& views) {
    if (alive.expired()) return;
    if (!views) return refuse(*call, views.error().message);
    std::vector<std::string> roles;
    for (const RoleView& view : *views) {
      const bool opens = std::ranges::find(view.opens, call->gate) != view.opens.end();
      if (view.eligible && opens && roles.size() < kMostNamed) roles.push_back(view.name);
    }
    then(std::move(roles));
  });
}

void Doors::offer(const CallPtr& call, const Caller& caller, const std::vector<std::string>& roles) {
  engine_.list(
      caller, false, false,
      [alive = std::weak_ptr<const bool>(alive_), call, roles](const Result<std::vector<GrantView>>& own) {
        if (alive.expired()) return;
        std::string message = "You may ask for: " + joined(roles, ", ") + ".";
        for (const GrantView& view : own.value_or(std::vector<GrantView>{})) {
          if (waits(view.record.state) && std::ranges::find(roles, view.record.role) != roles.end())
            message +=
                " " + view.record.role + " is asked for already (" + view.record.id + ", " + view.record.why + ").";
        }
        say(call->fd.get(), call->id, true, wire::Status::done, message, {}, roles.size() == 1 ? roles.front() : "");
      });
}

void Doors::file(const CallPtr& call, const Caller& caller) {
  const WishInput wish{call->role, std::nullopt, call->reason, "", std::nullopt, "", "pam"};
  engine_.request(caller, wish,
                  [this, alive = std::weak_ptr<const bool>(alive_), call, caller](const Result<Outcome>& outcome) {
                    if (!alive.expired()) settle(call, caller, outcome);
                  });
}

void Doors::settle(const CallPtr& call, const Caller& caller, const Result<Outcome>& outcome) {
  if (!outcome) return refuse(*call, outcome.error().message);
  if (outcome->state == GrantState::active)
    return say(call->fd.get(), call->id, true, wire::Status::done, outcome->message, outcome->id);
  if (!waits(outcome->state)) return refuse(*call, outcome->message);
  const auto same = [&](const WaitingPtr& one) { return one->caller.uid == caller.uid; };
  if (waiting_.size() >= kMostWaiting || std::ranges::any_of(waiting_, same))
    return say(call->fd.get(), call->id, true, wire::Status::pending, come_back(outcome->id), outcome->id);
  const auto one = std::make_shared<Waiting>();
  one->fd = std::move(call->fd);
  one->id = call->id;
  one->caller = caller;
  one->request = outcome->id;
  one->note = outcome->message;
  one->until = Loop::now_usec(CLOCK_BOOTTIME) + wait_usec_;
  one->hung_up = loop_.io(one->fd.get(), 0, [this, raw = one.get()](std::uint32_t) { drop(raw); });
  say(one->fd.get(), one->id, false, wire::Status::pending, outcome->id + " is filed, " + outcome->message,
      outcome->id);
  waiting_.push_back(one);
  arm();
  look(one);
}

void Doors::changed() {
  const auto all = waiting_;
  for (const WaitingPtr& one : all) look(one);
}

void Doors::look(const WaitingPtr& one) {
  engine_.show(one->caller, one->request,
               [this, alive = std::weak_ptr<const bool>(alive_),
                weak = std::weak_ptr<Waiting>(one)](const Result<GrantView>& view) {
                 const WaitingPtr held = alive.expired() ? nullptr : weak.lock();
                 if (held == nullptr || std::ranges::find(waiting_, held) == waiting_.end()) return;
                 const GrantState state = view ? view->record.state : GrantState::refused;
                 if (waits(state)) {
                   if (view->record.why != held->note) {
                     held->note = view->record.why;
                     say(held->fd.get(), held->id, false, wire::Status::pending, held->note, held->request);
                   }
                   return;
                 }
                 const bool active = state == GrantState::active;
                 say(held->fd.get(), held->id, true, active ? wire::Status::done : wire::Status::refused,
                     view ? view->record.why : view.error().message, held->request);
                 drop(held.get());
               });
}

void Doors::drop(const Waiting* one) {
  std::erase_if(waiting_, [&](const WaitingPtr& other) { return other.get() == one; });
  arm();
}

void Doors::time_is_up() {
  const std::uint64_t now = Loop::now_usec(CLOCK_BOOTTIME);
  std::erase_if(waiting_, [&](const WaitingPtr& one) {
    if (one->until > now) return false;
    say(one->fd.get(), one->id, true, wire::Status::pending, come_back(one->request), one->request);
    return true;
  });
  arm();
}

void Doors::arm() {
  const auto first = std::ranges::min_element(waiting_, {}, [](const WaitingPtr& one) { return one->until; });
  if (first == waiting_.end())
    timer_.disarm();
  else
    timer_.arm((*first)->until);
}

}  // namespace jit
