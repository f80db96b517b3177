#include "jitd/server/inbox.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "jitd/sys/files.hpp"
#include "policy/document/envelope.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kAgainUsec = 30'000'000;  // for files that had to stay

struct CloseDir {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};

// The name still means the file that was looked at: no other came in its place.
bool same(int directory, const std::string& name, const struct stat& seen) {
  struct stat now {};
  return ::fstatat(directory, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == seen.st_ino &&
         now.st_dev == seen.st_dev;
}

}  // namespace

Inbox::Inbox(Loop& loop, UniqueFd directory, Take take, Refused refused)
    : loop_(loop), directory_(std::move(directory)), take_(std::move(take)), refused_(std::move(refused)) {
  working_ = loop_.later([this] { work(); });
  again_ = loop_.timer(CLOCK_BOOTTIME, [this] {
    again_set_ = false;
    rescan_ = true;
    working_.arm(0);
  });
}

Result<std::unique_ptr<Inbox>> Inbox::open(Loop& loop, const std::string& directory, Take take, Refused refused) {
  auto fd = open_dir(directory);
  if (!fd) return tl::unexpected(fd.error());
  std::unique_ptr<Inbox> inbox(new Inbox(loop, std::move(*fd), std::move(take), std::move(refused)));
  auto notify = Inotify::make(loop, [raw = inbox.get()](const Inotify::Event& event) { raw->on_event(event); });
  if (!notify) return tl::unexpected(notify.error());
  if (const auto watch = notify->watch(directory, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE); !watch)
    return tl::unexpected(watch.error());
  inbox->notify_ = std::make_unique<Inotify>(std::move(*notify));
  inbox->rescan_ = true;  // what came while nobody watched
  inbox->working_.arm(0);
  return inbox;
}

void Inbox::look_again() {
  if (again_set_) return;
  again_set_ = true;
  again_.arm(Loop::now_usec(CLOCK_BOOTTIME) + kAgainUsec);
}

void Inbox::on_event(const Inotify::Event& event) {
  if ((event.mask & IN_CREATE) != 0) {
    // A file is looked at when who writes it closes it. What is no file is never closed; a further name of one may be
    // on its way to be the only one.
    struct stat seen {};
    const std::string name(event.name);
    if (::fstatat(directory_.get(), name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (S_ISREG(seen.st_mode) && seen.st_nlink > 1) look_again();
    if (S_ISREG(seen.st_mode)) return;
  }
  if (event.overflow() || names_.size() >= kRemembered)
    rescan_ = true;
  else if (!event.name.empty())
    names_.emplace_back(event.name);
  working_.arm(0);
}

void Inbox::scan() {
  rescan_ = false;
  names_.clear();
  const int fd = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  const std::unique_ptr<DIR, CloseDir> dir(::fdopendir(fd));
  if (!dir) {
    ::close(fd);
    return;
  }
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names_.size() >= kRemembered) {
      look_again();  // not at once: they may be such as stay
      break;
    }
    names_.emplace_back(name);
  }
}

void Inbox::work() {
  if (rescan_ && names_.empty()) scan();
  for (std::size_t i = 0; i < kPerTurn && !names_.empty(); ++i) {
    const std::string name = std::move(names_.front());
    names_.pop_front();
    look_at(name);
  }
  if (!names_.empty() || rescan_) working_.arm(0);
}

void Inbox::refuse(const std::string& name, bool directory, const std::string& why) {
  const bool gone = ::unlinkat(directory_.get(), name.c_str(), directory ? AT_REMOVEDIR : 0) == 0;
  if (gone || errno != ENOENT) refused_(why + (gone ? ": removed" : ": left where it is"));
}

void Inbox::look_at(const std::string& name) {
  const UniqueFd file(
      ::openat(directory_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat seen {};
  if (!file) {
    // A link (ELOOP), a socket (ENXIO), or gone meanwhile.
    if (::fstatat(directory_.get(), name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (!S_ISREG(seen.st_mode)) return refuse(name, false, "a link or special file in the inbox");
    look_again();  // no descriptor or the like
    return;
  }
  if (::fstat(file.get(), &seen) != 0) return;
  if (S_ISDIR(seen.st_mode)) return refuse(name, true, "a directory in the inbox");
  if (!S_ISREG(seen.st_mode)) return refuse(name, false, "a special file in the inbox");
  if (seen.st_nlink != 1) return refuse(name, false, "a file with other names in the inbox");
  // A lease is refused while somebody writes: its close is an event, and the file is looked at then.
  if (::fcntl(file.get(), F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN) return;
  (void)::fcntl(file.get(), F_SETLEASE, F_UNLCK);
  if (seen.st_size > static_cast<off_t>(kMaxDocument)) return refuse(name, false, "a file too large for a document");
  auto text = read_fd(file.get(), kMaxDocument, "a file in the inbox");
  if (!text) return refuse(name, false, text.error().message);

  take_(std::move(*text), [this, here = std::weak_ptr<bool>(here_), name, seen](Verdict verdict) {
    if (here.expired()) return;  // the daemon stops; the file is there at the next start
    if (verdict.keep) return look_again();
    if (same(directory_.get(), name, seen)) (void)::unlinkat(directory_.get(), name.c_str(), 0);
  });
}

}  // namespace jit
