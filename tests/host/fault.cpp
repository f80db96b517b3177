// The faults of a host, for one process: preloaded into jitd on a throw-away host (tests/host/fault), it kills the
// process at its N-th change to a file, tears that write or fails it, lets memory or descriptors run out, and shifts
// its clocks. Nothing of it is in the packages: jitd itself has no switch for any of this.
//
// It is told what to do by a file that is mapped by every process which it is in, so that one number counts a whole
// scenario over restarts. All zeros, or no file: as if it were not here.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

constexpr const char* kControl = "/run/jit/.fault";
enum What : std::int64_t { kStop = -3, kTear = -2, kKill = -1, kCount = 0 };  // above: the errno to fail with

struct Control {
  std::atomic<std::int64_t> calls;             // changes to files since this was armed
  std::atomic<std::int64_t> first;             // at which of them; 0: never
  std::atomic<std::int64_t> last;              // up to which, when it fails them
  std::atomic<std::int64_t> what;              // see What
  std::atomic<std::int64_t> opens;             // open(2) fails with EMFILE while this is not 0
  std::atomic<std::int64_t> memory;            // the N-th allocation from now on fails, and what follows; 0: never
  std::atomic<std::int64_t> wall_ms, boot_ms;  // added to the clocks
  std::array<char, 128> struck;                // which call it was, on what
  std::array<char, 64> match;                  // only calls on a path with this in it count; empty: all
};
static_assert(sizeof(Control) == 256);

Control none;
std::atomic<Control*> mapped{nullptr};

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

Control& control() {
  Control* known = mapped.load();
  if (known != nullptr) return *known;
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, kControl, O_RDWR | O_CLOEXEC));
  void* at = fd < 0 ? MAP_FAILED : ::mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd >= 0) ::syscall(SYS_close, fd);
  known = at == MAP_FAILED ? &none : static_cast<Control*>(at);
  mapped.store(known);
  return *known;
}

[[noreturn]] void die() {
  for (;;) ::kill(::getpid(), SIGKILL);
}

// True when this change is to fail, with errno set. `path` may be null: then it is that of the descriptor; a relative
// one is below it.
bool strikes(const char* call, int fd, const char* path, What* tear = nullptr) {
  Control& told = control();
  const std::int64_t first = told.first.load();
  if (first == 0) return false;
  const auto what = static_cast<What>(told.what.load());
  if (what == kTear && tear == nullptr) return false;  // only writes are torn
  std::array<char, 400> name{};
  if (path == nullptr || (path[0] != '/' && fd >= 0)) {
    std::array<char, 40> link{};
    (void)::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
    const ssize_t length = ::readlink(link.data(), name.data(), name.size() / 2);
    if (length > 0) {
      if (path != nullptr) (void)::snprintf(&name[static_cast<std::size_t>(length)], name.size() / 2, "/%s", path);
      path = name.data();
    }
  }
  if (told.match.front() != '\0' && (path == nullptr || ::strstr(path, told.match.data()) == nullptr)) return false;
  const std::int64_t number = ++told.calls;
  if (what == kCount || number < first || number > std::max(first, told.last.load())) return false;
  (void)::snprintf(told.struck.data(), told.struck.size(), "%s %s", call, path == nullptr ? "?" : path);
  if (what > 0) {
    errno = static_cast<int>(what);
    return true;
  }
  told.first.store(0);  // whoever comes after is left in peace
  if (what == kKill) die();
  if (what == kStop) {
    ::kill(::getpid(), SIGSTOP);
    return false;
  }
  *tear = kTear;
  return false;
}

bool is_file(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// For calls that write: all, the first half and death, or an error.
template <class Write>
ssize_t write_or_strike(const char* call, int fd, std::size_t size, const Write& write) {
  What tear = kCount;
  if (is_file(fd) && strikes(call, fd, nullptr, &tear)) return -1;
  if (tear != kTear) return write(size);
  (void)write(size / 2);
  die();
}

// Only the daemon runs out of these: its unit says so.
bool starves() {
  static const bool told = ::getenv("JIT_FAULT_STARVES") != nullptr;
  return told;
}

bool no_descriptor() {
  if (control().opens.load() == 0 || !starves()) return false;
  errno = EMFILE;
  return true;
}

bool open_strikes(int dir, const char* path, int flags) {
  return no_descriptor() || ((flags & O_CREAT) != 0 && strikes("open", dir, path));
}

// --- clocks
// -------------------------------------------------------------------------------------------------------------

std::int64_t shift_of(clockid_t id) {
  if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) return control().wall_ms.load();
  if (id == CLOCK_BOOTTIME) return control().boot_ms.load();
  return 0;
}

timespec shifted(timespec at, std::int64_t ms) {
  const std::int64_t nsec = at.tv_nsec + ms % 1000 * 1'000'000;
  at.tv_sec += ms / 1000 + (nsec >= 1'000'000'000 ? 1 : nsec < 0 ? -1 : 0);
  at.tv_nsec = (nsec + 1'000'000'000) % 1'000'000'000;
  return at;
}

struct Timer {
  clockid_t clock = CLOCK_MONOTONIC;
  int flags = 0;
  bool armed = false;
  itimerspec spec{};  // as the process meant it
};
constexpr std::size_t kTimers = 256;
std::array<Timer, kTimers> timers;  // by descriptor
pthread_mutex_t timers_lock = PTHREAD_MUTEX_INITIALIZER;

int arm(int fd, const Timer& timer, itimerspec* old) {
  itimerspec spec = timer.spec;
  const bool wanted = spec.it_value.tv_sec != 0 || spec.it_value.tv_nsec != 0;
  if (wanted && (timer.flags & TFD_TIMER_ABSTIME) != 0) {
    spec.it_value = shifted(spec.it_value, -shift_of(timer.clock));
    if (spec.it_value.tv_sec < 0) spec.it_value = {0, 1};
    if (spec.it_value.tv_sec == 0 && spec.it_value.tv_nsec == 0) spec.it_value.tv_nsec = 1;
  }
  return static_cast<int>(::syscall(SYS_timerfd_settime, fd, timer.flags, &spec, old));
}

// A real step of the clock moves every timer that waits for a time of day, and fires those that ask to be told.
void* watch_shifts(void*) {
  std::int64_t wall = control().wall_ms.load(), boot = control().boot_ms.load();
  for (;;) {
    const timespec pause{0, 1'000'000};
    ::nanosleep(&pause, nullptr);
    if (control().wall_ms.load() == wall && control().boot_ms.load() == boot) continue;
    const bool stepped = control().wall_ms.load() != wall;
    wall = control().wall_ms.load();
    boot = control().boot_ms.load();
    ::pthread_mutex_lock(&timers_lock);
    for (std::size_t fd = 0; fd < timers.size(); ++fd) {
      const Timer& timer = timers[fd];
      if (!timer.armed || (timer.flags & TFD_TIMER_ABSTIME) == 0) continue;
      if (stepped && (timer.flags & TFD_TIMER_CANCEL_ON_SET) != 0) {
        const itimerspec at_once{{0, 0}, {0, 1}};
        ::syscall(SYS_timerfd_settime, fd, 0, &at_once, nullptr);
      } else {
        arm(static_cast<int>(fd), timer, nullptr);
      }
    }
    ::pthread_mutex_unlock(&timers_lock);
  }
}

__attribute__((constructor)) void start() {
  pthread_t thread{};
  if (::access(kControl, R_OK | W_OK) == 0 && ::pthread_create(&thread, nullptr, watch_shifts, nullptr) == 0)
    ::pthread_detach(thread);
}

}  // namespace

extern "C" {

#define JIT_OPEN(NAME)                                                                   \
  int NAME(const char* path, int flags, ...) {                                           \
    va_list rest;                                                                        \
    va_start(rest, flags);                                                               \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                                        \
    if (open_strikes(AT_FDCWD, path, flags)) return -1;                                  \
    return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));         \
  }
#define JIT_OPENAT(NAME)                                                                 \
  int NAME(int dir, const char* path, int flags, ...) {                                  \
    va_list rest;                                                                        \
    va_start(rest, flags);                                                               \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                                        \
    if (open_strikes(dir, path, flags)) return -1;                                       \
    return static_cast<int>(::syscall(SYS_openat, dir, path, flags, mode));              \
  }
JIT_OPEN(open)
JIT_OPEN(open64)
JIT_OPENAT(openat)
JIT_OPENAT(openat64)
int __openat_2(int dir, const char* path, int flags) {
  return no_descriptor() ? -1 : static_cast<int>(::syscall(SYS_openat, dir, path, flags, 0));
}
int __open_2(const char* path, int flags) {
  return no_descriptor() ? -1 : static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, 0));
}

ssize_t write(int fd, const void* data, std::size_t size) {
  return write_or_strike("write", fd, size, [&](std::size_t part) { return ::syscall(SYS_write, fd, data, part); });
}
ssize_t pwrite(int fd, const void* data, std::size_t size, off_t at) {
  return write_or_strike("pwrite", fd, size,
                         [&](std::size_t part) { return ::syscall(SYS_pwrite64, fd, data, part, at); });
}
ssize_t pwrite64(int fd, const void* data, std::size_t size, off64_t at) {
  return pwrite(fd, data, size, at);
}

// Calls that change a file and do nothing by halves.
int fsync(int fd) {
  return strikes("fsync", fd, nullptr) ? -1 : static_cast<int>(::syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
  return strikes("fdatasync", fd, nullptr) ? -1 : static_cast<int>(::syscall(SYS_fdatasync, fd));
}
int ftruncate(int fd, off_t size) noexcept {
  return strikes("ftruncate", fd, nullptr) ? -1 : static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}
int ftruncate64(int fd, off64_t size) noexcept {
  return ftruncate(fd, size);
}
int posix_fallocate(int fd, off_t from, off_t size) {
  if (strikes("fallocate", fd, nullptr)) return errno;
  static const auto real = next<int (*)(int, off_t, off_t)>("posix_fallocate");
  return real(fd, from, size);
}
int fchmod(int fd, mode_t mode) noexcept {
  return strikes("fchmod", fd, nullptr) ? -1 : static_cast<int>(::syscall(SYS_fchmod, fd, mode));
}
int fchown(int fd, uid_t uid, gid_t gid) noexcept {
  return strikes("fchown", fd, nullptr) ? -1 : static_cast<int>(::syscall(SYS_fchown, fd, uid, gid));
}
int fsetxattr(int fd, const char* name, const void* value, std::size_t size, int flags) noexcept {
  return strikes("fsetxattr", fd, nullptr) ? -1
                                           : static_cast<int>(::syscall(SYS_fsetxattr, fd, name, value, size, flags));
}
int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
  return strikes("rename", to_dir, to) ? -1
                                       : static_cast<int>(::syscall(SYS_renameat2, from_dir, from, to_dir, to, 0));
}
int rename(const char* from, const char* to) noexcept {
  return renameat(AT_FDCWD, from, AT_FDCWD, to);
}
int unlinkat(int dir, const char* path, int flags) noexcept {
  return strikes("unlink", dir, path) ? -1 : static_cast<int>(::syscall(SYS_unlinkat, dir, path, flags));
}
int unlink(const char* path) noexcept {
  return unlinkat(AT_FDCWD, path, 0);
}
int mkdir(const char* path, mode_t mode) noexcept {
  return strikes("mkdir", -1, path) ? -1 : static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

void* malloc(std::size_t size) noexcept {
  static const auto real = next<void* (*)(std::size_t)>("malloc");
  // dlsym() itself allocates nothing, but a process is young before the control file is mapped.
  if (Control* told = mapped.load();
      told != nullptr && told->memory.load() != 0 && starves() && --told->memory <= 0) {
    told->memory.store(1);
    errno = ENOMEM;
    return nullptr;
  }
  return real(size);
}

int clock_gettime(clockid_t id, timespec* now) noexcept {
  const int done = static_cast<int>(::syscall(SYS_clock_gettime, id, now));
  if (done == 0) *now = shifted(*now, shift_of(id));
  return done;
}
time_t time(time_t* into) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (into != nullptr) *into = now.tv_sec;
  return now.tv_sec;
}
int timerfd_create(int clock, int flags) noexcept {
  if (no_descriptor()) return -1;
  const int fd = static_cast<int>(::syscall(SYS_timerfd_create, clock, flags));
  ::pthread_mutex_lock(&timers_lock);
  if (fd >= 0 && static_cast<std::size_t>(fd) < timers.size())
    timers[static_cast<std::size_t>(fd)] = Timer{clock, 0, false, {}};
  ::pthread_mutex_unlock(&timers_lock);
  return fd;
}
int timerfd_settime(int fd, int flags, const itimerspec* spec, itimerspec* old) noexcept {
  if (fd < 0 || static_cast<std::size_t>(fd) >= timers.size())
    return static_cast<int>(::syscall(SYS_timerfd_settime, fd, flags, spec, old));
  ::pthread_mutex_lock(&timers_lock);
  Timer& timer = timers[static_cast<std::size_t>(fd)];
  timer.flags = flags;
  timer.spec = *spec;
  timer.armed = true;
  const int done = arm(fd, timer, old);
  ::pthread_mutex_unlock(&timers_lock);
  return done;
}

}  // extern "C"
