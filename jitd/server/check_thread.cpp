#include "jitd/server/check_thread.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "jitd/server/loop.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kListener = UINT64_MAX, kWake = UINT64_MAX - 1;
constexpr int kAcceptsPerTurn = 64;

std::uint64_t now_usec() noexcept {
  return Loop::now_usec(CLOCK_BOOTTIME);
}

UniqueFd reserve_descriptor() {
  return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

// At most size - 1 bytes of a file of /proc, NUL-terminated; 0 on any failure. No allocation.
std::size_t read_proc(pid_t pid, const char* name, char* into, std::size_t size) noexcept {
  char path[64];
  (void)std::snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return 0;
  const ssize_t got = ::read(fd.get(), into, size - 1);
  into[got > 0 ? got : 0] = '\0';
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

uid_t leading_number(const char* text) noexcept {
  uid_t uid = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), uid);
  (void)end;
  return error == std::errc{} ? uid : 0;
}

const char* word(wire::Verdict verdict) noexcept {
  switch (verdict) {
    case wire::Verdict::allow:
      return "allow";
    case wire::Verdict::not_gated:
      return "not_gated";
    case wire::Verdict::observe:
      return "observe";
    case wire::Verdict::deny:
      return "deny";
    case wire::Verdict::unknown:
      break;
  }
  return "unknown";
}

}  // namespace

uid_t uid_behind(pid_t pid) noexcept {
  char text[2048];
  if (read_proc(pid, "status", text, sizeof text) > 0) {
    // The name of the process stands first and cannot hold a line end (the kernel escapes it), so this line is not
    // its.
    if (const char* line = std::strstr(text, "\nUid:\t")) {
      const uid_t real = leading_number(line + 6);
      if (real != 0) return real;
    }
  }
  if (read_proc(pid, "loginuid", text, sizeof text) > 0) {
    const uid_t login = leading_number(text);
    if (login != static_cast<uid_t>(-1)) return login;
  }
  return 0;
}

CheckThread::Seams::Seams()
    : peer([](int fd) {
        PeerId id;
        ucred credentials{static_cast<pid_t>(0), static_cast<uid_t>(-1), static_cast<gid_t>(-1)};
        socklen_t size = sizeof credentials;
        if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 && size == sizeof credentials) {
          id.uid = credentials.uid;
          id.pid = credentials.pid;
        }
        return id;
      }) {}

CheckThread::CheckThread(UniqueFd listener, std::string board, CheckLog& log, SessionQueue& sessions,
                         DoorQueue& doors, CheckLimits limits, Seams seams)
    : listener_(std::move(listener)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      reserve_(reserve_descriptor()),
      board_(std::move(board)),
      log_(log),
      sessions_(sessions),
      doors_(doors),
      limits_(limits),
      seams_(std::move(seams)) {}

Result<std::unique_ptr<CheckThread>> CheckThread::start(UniqueFd listener, std::string board, CheckLog& log,
                                                        SessionQueue& sessions, DoorQueue& doors, CheckLimits limits,
                                                        Seams seams) try {
  std::unique_ptr<CheckThread> self(
      new CheckThread(std::move(listener), std::move(board), log, sessions, doors, limits, std::move(seams)));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kListener;
  if (::epoll_ctl(self->epoll_.get(), EPOLL_CTL_ADD, self->listener_.get(), &event) != 0)
    return fail_errno(errno, "cannot watch the check socket");
  event.data.u64 = kWake;
  if (::epoll_ctl(self->epoll_.get(), EPOLL_CTL_ADD, self->wake_.get(), &event) != 0)
    return fail_errno(errno, "cannot watch the check socket");
  // Signals are the loop's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  self->thread_ = std::thread([raw = self.get()]() noexcept { raw->run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  (void)pthread_setname_np(self->thread_.native_handle(), "jitd-check");
  return self;
} catch (const std::system_error& e) {
  return fail(Errc::system, std::string("cannot start the check thread: ") + e.what());
}

CheckThread::~CheckThread() {
  if (!thread_.joinable()) return;
  stop_ = true;
  (void)eventfd_write(wake_.get(), 1);
  thread_.join();
}

void CheckThread::ping() noexcept {
  ++ping_;
  (void)eventfd_write(wake_.get(), 1);
}

void CheckThread::run() noexcept {
  std::array<epoll_event, 64> events;
  int timeout = -1;
  while (!stop_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
    for (int i = 0; i < std::max(count, 0); ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == kWake) {
        eventfd_t value = 0;
        (void)eventfd_read(wake_.get(), &value);
        pong_ = ping_.load();
      } else if (event.data.u64 == kListener) {
        accept_some();
      } else if (slots_[event.data.u64].fd) {
        Slot& slot = slots_[event.data.u64];
        if (serve(slot.fd.get(), slot.pid) || (event.events & (EPOLLHUP | EPOLLERR)) != 0) close_slot(event.data.u64);
      }
    }
    timeout = sweep();
  }
}

void CheckThread::accept_some() noexcept {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if ((errno == EMFILE || errno == ENFILE) && reserve_) {
        // No free descriptor (P6): use the spare one to answer who has asked already, then take it back.
        reserve_.reset();
        const UniqueFd one(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (one) {
          const PeerId peer = seams_.peer(one.get());
          if (peer.uid == seams_.server_of) (void)serve(one.get(), peer.pid);
        }
      }
      break;
    }
    admit(std::move(fd));
  }
  if (!reserve_) reserve_ = reserve_descriptor();
}

bool CheckThread::crowded_out(pid_t pid, uid_t& behind) noexcept {
  if (used_ < limits_.crowd) return false;
  behind = seams_.behind(pid);
  if (behind == 0) return used_ >= kSlots;
  std::size_t same = 0, users = 0;
  for (Slot& slot : slots_) {
    if (!slot.fd) continue;
    if (slot.behind == static_cast<uid_t>(-1)) slot.behind = seams_.behind(slot.pid);  // came before it was crowded
    if (slot.behind == behind) ++same;
    if (slot.behind != 0) ++users;
  }
  return same >= limits_.per_uid || users >= limits_.users;
}

void CheckThread::admit(UniqueFd fd) noexcept {
  const PeerId peer = seams_.peer(fd.get());
  if (peer.uid != seams_.server_of) return;
  if (serve(fd.get(), peer.pid)) return;  // the usual case: the datagram is there already
  auto behind = static_cast<uid_t>(-1);
  if (crowded_out(peer.pid, behind)) return;  // pam_jit reads the board itself
  const auto free = std::ranges::find_if(slots_, [](const Slot& slot) { return !slot.fd; });
  if (free == slots_.end()) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<std::uint64_t>(free - slots_.begin());
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) return;
  free->fd = std::move(fd);
  free->deadline = now_usec() + limits_.deadline_usec;
  free->behind = behind;
  free->pid = peer.pid;
  ++used_;
}

void CheckThread::close_slot(std::size_t index) noexcept {
  slots_[index].fd.reset();
  --used_;
}

int CheckThread::sweep() noexcept {
  if (used_ == 0) return -1;
  const std::uint64_t at = now_usec();
  std::uint64_t next = UINT64_MAX;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].fd) continue;
    if (slots_[i].deadline <= at)
      close_slot(i);
    else
      next = std::min(next, slots_[i].deadline);
  }
  return next == UINT64_MAX ? -1 : static_cast<int>((next - at) / 1000 + 1);
}

bool CheckThread::serve(int fd, pid_t pid) noexcept {
  const ssize_t size = ::recv(fd, in_.data(), in_.size(), MSG_DONTWAIT | MSG_TRUNC);
  if (size < 0) return errno != EAGAIN && errno != EINTR;
  if (size == 0 || static_cast<std::size_t>(size) > in_.size()) return true;
  const auto frame = wire::Frame::parse(std::span(in_).first(static_cast<std::size_t>(size)));
  if (frame && frame->verb() == wire::Verb::ask) {
    hand_to_door(fd, *frame, pid);
    return true;
  }
  const auto query = frame ? wire::read_query(*frame) : std::nullopt;
  if (!query) return true;  // no answer: the module's own rules decide

  wire::Answer answer;
  if (const wire::BoardSource* source = board_.current()) {
    if (const auto view = wire::BoardView::open(*source)) {
      wire::Clocks clocks;
      clocks.wall_ms = static_cast<std::int64_t>(Loop::now_usec(CLOCK_REALTIME) / 1000);
      clocks.boot_ms = now_usec() / 1000;
      answer = wire::answer(*view, *query, clocks, wire::Conditions::looked_at_later);
    }
  }
  if (!hand_over(fd, frame->id(), *query, answer, pid)) {
    const auto bytes = wire::make_answer(out_, frame->id(), answer);
    if (!bytes.empty()) (void)::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  report(*query, answer, pid);
  return true;
}

bool CheckThread::hand_over(int fd, std::uint32_t id, const wire::Query& query, const wire::Answer& answer,
                            pid_t pid) noexcept try {
  if (query.phase != wire::Phase::session) return false;
  const bool elevated = query.has_uid && answer.live_sudo;
  const bool by_gate = answer.verdict == wire::Verdict::allow && answer.grant[0] != '\0';
  if (answer.verdict == wire::Verdict::deny || answer.verdict == wire::Verdict::unknown || (!elevated && !by_gate))
    return false;
  SessionCall call;
  call.fd = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!call.fd) return true;  // nobody could end it: no answer, which the module takes for a refusal
  call.id = id;
  call.answer = answer;
  call.service = query.service;
  call.subject = query.subject;
  call.target = query.target;
  call.uid = query.uid;
  call.has_uid = query.has_uid;
  call.started_ms = query.started_ms;
  call.line_enforces = query.line_enforces;
  call.pid = pid;
  call.came_usec = now_usec();
  (void)sessions_.add(std::move(call));
  return true;
} catch (...) {  // out of memory: likewise
  return true;
}

void CheckThread::hand_to_door(int fd, const wire::Frame& frame, pid_t pid) noexcept try {
  const auto ask = wire::read_door_ask(frame);
  if (!ask) return;
  DoorCall call;
  call.fd = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!call.fd) return;  // no answer: the module refuses
  call.id = frame.id();
  call.pid = pid;
  call.subject = ask->subject;
  call.gate = ask->gate;
  call.role = ask->role;
  call.reason = ask->reason;
  if (ask->has_uid) call.uid = ask->uid;
  (void)doors_.add(std::move(call));
} catch (...) {  // out of memory: likewise
}

void CheckThread::report(const wire::Query& query, const wire::Answer& answer, pid_t pid) noexcept try {
  if (query.phase == wire::Phase::close) {
    sessions_.close(pid);
    return log_.close(pid);
  }
  if (answer.verdict == wire::Verdict::not_gated) return;  // none of our business, so nothing was decided
  log_.add(Engine::CheckReport{shown(query.service), shown(query.subject), word(answer.verdict), answer.gate,
                               answer.grant, 1});
  if (query.phase == wire::Phase::session && answer.grant[0] != '\0')
    log_.add(SessionSeen{answer.grant, shown(query.service), shown(query.subject), pid,
                         static_cast<std::int64_t>(Loop::now_usec(CLOCK_REALTIME) / 1000000)});
} catch (...) {  // out of memory: the answer is out already
}

}  // namespace jit
