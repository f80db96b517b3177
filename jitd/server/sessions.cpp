#include "jitd/server/sessions.hpp"

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

// pam_jit waits no longer for an answer (kSessionTimeoutMs there): who asked has been refused by then.
constexpr std::uint64_t kStaleUsec = 1'800'000;
constexpr std::size_t kMostClosed = 4096;
constexpr std::size_t kMaxArguments = std::size_t{8} << 20U;

// What a process was called with. It waits for our answer, so it is still that one.
std::vector<std::string> argv_of(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/cmdline", kMaxArguments);
  std::vector<std::string> words;
  if (!text || !text->ends_with('\0')) return words;
  for (const std::string_view word : split(std::string_view(*text).substr(0, text->size() - 1), '\0'))
    words.emplace_back(word);
  return words;
}

wire::Clocks clocks_now() {
  return {static_cast<std::int64_t>(Loop::now_usec(CLOCK_REALTIME) / 1000), Loop::now_usec(CLOCK_BOOTTIME) / 1000};
}

}  // namespace

SessionQueue::SessionQueue() : ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

bool SessionQueue::add(SessionCall call) noexcept try {
  const std::lock_guard lock(mutex_);
  const auto same = [&](const SessionCall& one) { return one.has_uid == call.has_uid && one.uid == call.uid; };
  const auto theirs = static_cast<std::size_t>(std::ranges::count_if(calls_, same));
  if (calls_.size() >= kMost || (call.has_uid && theirs >= kMostOfOne)) return false;
  calls_.push_back(std::move(call));
  (void)eventfd_write(ready_.get(), 1);
  return true;
} catch (const std::exception&) {  // out of memory
  return false;
}

void SessionQueue::close(std::int32_t pid) noexcept try {
  const std::lock_guard lock(mutex_);
  if (closed_.size() >= kMostClosed) return;
  closed_.push_back(pid);
  (void)eventfd_write(ready_.get(), 1);
} catch (const std::exception&) {  // its record is found to be of no process when the grant ends
}

bool SessionQueue::take(SessionCall& call) {
  const std::lock_guard lock(mutex_);
  if (calls_.empty()) return false;
  call = std::move(calls_.front());
  calls_.pop_front();
  return true;
}

std::deque<std::int32_t> SessionQueue::closed() {
  const std::lock_guard lock(mutex_);
  return std::exchange(closed_, {});
}

void SessionQueue::clear_ready() noexcept {
  eventfd_t value = 0;
  (void)eventfd_read(ready_.get(), &value);
}

Sessions::Sessions(Loop& loop, Engine& engine, SessionQueue& queue, std::string board)
    : engine_(engine), queue_(queue), board_(std::move(board)) {
  more_ = loop.later([this] { serve_one(); });
  ready_ = loop.io(queue_.ready_fd(), EPOLLIN, [this](std::uint32_t) {
    queue_.clear_ready();
    for (const std::int32_t pid : queue_.closed()) engine_.let_out(pid);
    more_.arm(0);
  });
}

// One at a time, so that ends get their turn in between.
void Sessions::serve_one() {
  auto call = std::make_shared<SessionCall>();
  if (!queue_.take(*call)) return;
  more_.arm(0);
  if (Loop::now_usec(CLOCK_BOOTTIME) - call->came_usec > kStaleUsec) return;
  const auto then = [this, alive = std::weak_ptr<const bool>(alive_), call](const Result<Engine::Elevated>& under) {
    if (!alive.expired()) answer(*call, under);
  };
  if (!call->has_uid)
    return engine_.let_in(call->answer.grant, call->pid, [then](const Result<std::string>& grant) {
      then(grant.map([](const std::string& id) { return Engine::Elevated{id}; }));
    });
  engine_.elevate({call->uid, call->pid, call->service, call->target,
                   call->answer.gate[0] != '\0' ? call->answer.grant : "", argv_of(call->pid)},
                  then);
}

bool Sessions::lives(const SessionCall& call, const std::string& grant) {
  const wire::BoardSource* source = board_.current();
  const auto view = source != nullptr ? wire::BoardView::open(*source) : std::nullopt;
  const auto subject = view ? view->subject(call.subject) : std::nullopt;
  if (!subject) return false;
  const wire::Clocks now = clocks_now();
  bool found = false;
  const bool read = view->grants_of(*subject, [&](const wire::BoardGrant& one) noexcept {
    found = found ||
            (grant == one.id && one.live && now.wall_ms < one.not_after_ms && now.boot_ms < one.boot_deadline_ms);
  });
  return read && found;
}

wire::Answer Sessions::again(const SessionCall& call) {
  const wire::BoardSource* source = board_.current();
  const auto view = source != nullptr ? wire::BoardView::open(*source) : std::nullopt;
  wire::Query query;
  query.phase = wire::Phase::session;
  query.service = call.service;
  query.subject = call.subject;
  query.target = call.target;
  query.has_uid = call.has_uid;
  query.uid = call.uid;
  query.started_ms = call.started_ms;
  query.line_enforces = call.line_enforces;
  return view ? wire::answer(*view, query, clocks_now(), wire::Conditions::looked_at_later) : wire::Answer{};
}

void Sessions::answer(const SessionCall& call, const Result<Engine::Elevated>& under) {
  wire::Answer out = under && under->grant.empty() ? again(call) : call.answer;
  const auto refuse = [&](std::string_view why) {
    out = {};
    out.verdict = wire::Verdict::deny;
    wire::copy_text(out.message, why);
  };
  if (!under) {
    const bool no = under.error().code == Errc::refused;
    refuse((no ? "pam_jit: " : "pam_jit: this cannot be let in, because nobody could end it with your grant: ") +
           shown(under.error().message, 300));
  } else if (under->grant.empty() && out.verdict == wire::Verdict::allow && out.gate[0] != '\0') {
    // By a grant that came only after the question: nothing has bound the command to it.
    refuse("pam_jit: what you may do has just changed. Run it again.");
  } else if (!under->grant.empty() && !lives(call, under->grant)) {
    refuse("pam_jit: your grant has just ended.");
  } else if (!under->grant.empty()) {
    wire::copy_text(out.grant, under->grant);
    if (under->recorded)
      wire::copy_text(out.message,
                      "pam_jit: what is typed and shown now is recorded, under grant " + under->grant + ".");
  }
  std::array<std::byte, wire::kMaxCheckFrame> buffer{};
  const auto bytes = wire::make_answer(buffer, call.id, out);
  if (!bytes.empty()) (void)::send(call.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace jit
