#include "jitd/sync/folder_watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "jitd/sync/mailbox.hpp"
#include "jitd/sys/inotify_events.hpp"

namespace jit {
namespace {

// Not IN_MODIFY: a file counts when it is closed or renamed into place. IN_CREATE: a further name of a whole file.
constexpr std::uint32_t kChanges = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB |
                                   IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

}  // namespace

bool on_this_machine(int directory) {
  struct statfs status {};
  if (::fstatfs(directory, &status) != 0) return false;
  // linux/magic.h, and the file systems that keep their own beside their code (xfs, ntfs3, hfsplus, zfs, bcachefs,
  // jfs).
  static const std::set<std::uint64_t> kLocal = {
      0xef53,      // ext2, ext3, ext4
      0x58465342,  // xfs
      0x9123683e,  // btrfs
      0x2fc12fc1,  // zfs
      0xca451a4e,  // bcachefs
      0xf2f52010,  // f2fs
      0x3153464a,  // jfs
      0x01021994,  // tmpfs
      0x858458f6,  // ramfs
      0x794c7630,  // overlayfs
      0xf15f,      // ecryptfs
      0x4d44,      // vfat
      0x2011bab0,  // exfat
      0x7366746e,  // ntfs3
      0x5346544e,  // ntfs
      0x4244,      // hfs
      0x482b,      // hfsplus
      0x9660,      // iso9660
      0x15013346,  // udf
      0x73717368,  // squashfs
      0xe0f5e1e2,  // erofs
  };
  return kLocal.contains(static_cast<std::uint64_t>(status.f_type) & 0xffffffffU);
}

void FolderWatch::absent(const std::string& path) {
  seen_[path] = {};
  last_root_.reset();
}

bool FolderWatch::another(const std::string& path, int root) {
  drain();
  struct stat now {};
  if (::fstat(root, &now) != 0) return false;
  const bool other =
      last_root_ && (unmounted_ || last_root_->device != now.st_dev || last_root_->inode != now.st_ino);
  last_root_ = {now.st_dev, now.st_ino};
  unmounted_ = false;
  if (other) seen_[path].changed = true;
  return other;
}

void FolderWatch::listing(const std::string& path, const std::vector<std::string_view>& names,
                          const std::vector<UniqueFd>& folders) {
  struct stat root {};
  Seen seen;
  if (!folders.empty() && ::fstat(folders.front().get(), &root) == 0) {
    seen.device = root.st_dev;
    seen.inode = root.st_ino;
    seen.told = watch(path, names, folders);
  }
  seen_[path] = seen;
}

bool FolderWatch::watch(const std::string& path, const std::vector<std::string_view>& names,
                        const std::vector<UniqueFd>& folders) {
  if (!notify_) notify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  // Something mounted over the root, a stick for one: no event of the folder below it tells.
  if (!mounts_) mounts_.reset(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!notify_ || !mounts_) return false;

  std::map<int, Interest> fresh;
  bool all = true;
  for (std::size_t i = 0; i < folders.size(); ++i) {
    if (!local_(folders[i].get())) all = false;
    // By the descriptor that was opened without following links; its name could lead elsewhere by now.
    const std::string place = "/proc/self/fd/" + std::to_string(folders[i].get());
    const int number = ::inotify_add_watch(notify_.get(), place.c_str(), kChanges);
    if (number < 0)
      all = false;
    else
      fresh[number] = {path, i < names.size() ? std::string(names[i]) : ""};
  }
  std::vector<int> before;
  std::erase_if(interests_, [&](const auto& one) {
    if (one.second.path != path) return false;
    before.push_back(one.first);
    return true;
  });
  for (auto& [number, interest] : fresh) interests_.emplace(number, std::move(interest));
  for (const int number : before)
    if (!interests_.contains(number)) (void)::inotify_rm_watch(notify_.get(), number);
  return all;
}

void FolderWatch::on_event(int watch, std::uint32_t mask, std::string_view name) {
  if ((mask & IN_Q_OVERFLOW) != 0) {
    for (auto& [path, seen] : seen_) seen.changed = true;
    return;
  }
  if ((mask & IN_UNMOUNT) != 0) unmounted_ = true;
  const auto [from, to] = interests_.equal_range(watch);
  for (auto one = from; one != to; ++one) {
    const Interest& interest = one->second;
    const bool of_folder = name.empty();
    if (of_folder || (interest.entry.empty() ? document_name(name) : interest.entry == name))
      seen_[interest.path].changed = true;
  }
  if ((mask & IN_IGNORED) != 0) interests_.erase(from, to);
}

void FolderWatch::drain() {
  if (!notify_) return;
  // Bounded: who makes events faster than they are read cannot keep us here.
  for (int round = 0; round < 64; ++round) {
    const bool more = read_inotify(
        notify_.get(), [this](int watch, std::uint32_t mask, std::string_view name) { on_event(watch, mask, name); });
    if (!more) return;
  }
}

bool FolderWatch::changed(const std::vector<std::string>& paths) const {
  return std::ranges::any_of(paths, [this](const std::string& path) {
    const auto seen = seen_.find(path);
    return seen != seen_.end() && seen->second.changed;
  });
}

bool FolderWatch::root_replaced(const std::vector<std::string>& paths) const {
  struct stat now {};
  const bool there = ::stat(root_.c_str(), &now) == 0;
  return std::ranges::any_of(paths, [&](const std::string& path) {
    const auto seen = seen_.find(path);
    return seen != seen_.end() && seen->second.told &&
           (!there || seen->second.device != now.st_dev || seen->second.inode != now.st_ino);
  });
}

Result<void> FolderWatch::wait(const std::vector<std::string>& paths, int other, milliseconds at_most,
                               milliseconds poll) {
  const bool told = std::ranges::all_of(paths, [this](const std::string& path) {
    const auto seen = seen_.find(path);
    return seen != seen_.end() && seen->second.told;
  });
  const auto until = Clock::now() + (told ? at_most : std::min(at_most, poll));
  bool look_at_root = told;
  for (;;) {
    drain();
    if (changed(paths) || (look_at_root && root_replaced(paths))) return {};
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    std::array<pollfd, 3> waiting{
        {{other, POLLIN, 0}, {told ? notify_.get() : -1, POLLIN, 0}, {told ? mounts_.get() : -1, POLLPRI, 0}}};
    const int ready = ::poll(waiting.data(), waiting.size(),
                             static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000)));
    if (ready < 0 && errno != EINTR) return fail_errno(errno, root_ + ": poll");
    if (ready > 0 && waiting[0].revents != 0) return {};
    look_at_root = ready > 0 && waiting[2].revents != 0;
    if (ready <= 0 && Clock::now() >= until) return {};
  }
}

}  // namespace jit
