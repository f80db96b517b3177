#include "jitd/sync/directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "jitd/sync/unguessable.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kPoll{5000}, kEagerPoll{1000};
constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// Far more than any box should have; a list without an end has one here.
constexpr std::size_t kMaxEntries = 4'000'000;
// The coarsest clock of files, FAT's, counts by two seconds.
constexpr seconds kSettled{4};
constexpr int kAttempts = 4;

struct CloseDir {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};

// What the system said, as mailboxes say it.
tl::unexpected<Error> trouble(int errnum, const std::string& where) {
  const auto say = [&](Errc code, const std::string& advice) {
    return tl::unexpected<Error>(Error{code, where + ": " + std::strerror(errnum) + advice, errnum});  // NOLINT
  };
  switch (errnum) {
    case ENOENT:
      return say(Errc::not_found, "");
    case EROFS:
      return say(Errc::refused, ": mount it for writing, or say post = false of this source");
    case EACCES:
    case EPERM:
      return say(Errc::refused, ": its owner and mode do not let uid " + std::to_string(::geteuid()) + " do that");
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case ENAMETOOLONG:
    case EINVAL:
      return say(Errc::invalid, "");
    default:
      return say(Errc::unavailable, "");
  }
}

bool plain_name(const std::string& name) {
  return document_name(name) && name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

bool same(const std::vector<UniqueFd>& a, const std::vector<UniqueFd>& b) {
  return std::ranges::equal(a, b, [](const UniqueFd& one, const UniqueFd& other) {
    struct stat first {
    }, second{};
    return ::fstat(one.get(), &first) == 0 && ::fstat(other.get(), &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
  });
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

DirectoryMailbox::DirectoryMailbox(const SourceSpec& spec, Ports ports)
    : root_(spec.path),
      poll_(spec.poll > Seconds(0) ? milliseconds(spec.poll) : kPoll),
      ports_(std::move(ports)),
      watch_(spec.path, ports_.local) {}

std::string DirectoryMailbox::place(const Box& box, std::string_view name) const {
  return root_ + "/" + box.path() + (name.empty() ? "" : "/" + shown(name, 300));
}

Result<DirectoryMailbox::Way> DirectoryMailbox::walk(const Box& box, bool make) {
  Way way;
  // The root is the administrator's word and may be a link; nothing below it is.
  UniqueFd root(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root && (errno == ENOENT || errno == ENOTDIR))
    return fail(Errc::unavailable, root_ + ": there is no such folder now");
  if (!root) return trouble(errno, root_);
  way.folders.push_back(std::move(root));
  std::string so_far = root_;
  const std::string path = box.path();
  for (const std::string_view part : split(path, '/')) {
    const std::string name(part);
    so_far += "/" + name;
    const int above = way.box();
    bool made = false;
    UniqueFd folder(::openat(above, name.c_str(), kFolder));
    if (!folder && errno == ENOENT) {
      if (!make) return way;
      made = ::mkdirat(above, name.c_str(), 0755) == 0;
      if (!made && errno != EEXIST) return trouble(errno, so_far);
      folder.reset(::openat(above, name.c_str(), kFolder));
    }
    if (!folder && (errno == ELOOP || errno == ENOTDIR))
      return fail(Errc::invalid, so_far + ": is a link, or no folder at all");
    if (!folder) return trouble(errno, so_far);
    struct stat status {};
    // Whatever the umask, and no less than the folder above gives (a group, an ACL); file systems without modes
    // refuse.
    if (made && ::fstat(folder.get(), &status) == 0) (void)ports_.files->fchmod(folder.get(), status.st_mode | 0755U);
    way.folders.push_back(std::move(folder));
  }
  way.whole = true;
  return way;
}

std::string DirectoryMailbox::stamp(const struct stat& status) {
  std::string text = std::to_string(status.st_ino) + "." + std::to_string(status.st_size) + "." +
                     std::to_string(nanoseconds(status.st_mtim)) + "." + std::to_string(nanoseconds(status.st_ctim));
  // It may change again without any of these: look at it again until its clock must have gone on.
  const auto now = ports_.now().time_since_epoch();
  if (std::chrono::nanoseconds(nanoseconds(status.st_ctim)) > now - kSettled)
    text += "+" + std::to_string(++unsettled_);
  return text;
}

Result<DirectoryMailbox::Way> DirectoryMailbox::watched_walk(const Box& box) {
  const std::string path = box.path();
  auto way = walk(box, false);
  if (way && watch_.another(path, way->folders.front().get()))
    return fail(Errc::unavailable, root_ + ": is not the folder, or the medium, that it was");
  for (int attempt = 0; way && attempt < kAttempts; ++attempt) {
    watch_.listing(path, split(path, '/'), way->folders);
    // A folder that came before it was watched is told of by nobody: the way must still be the same.
    auto again = walk(box, false);
    if (again && same(way->folders, again->folders)) return way;
    way = std::move(again);
  }
  if (!way) watch_.absent(path);
  return way;
}

Result<void> DirectoryMailbox::list_after(std::size_t passed, const Box& box, const Visit& visit) {
  auto way = watched_walk(box);
  if (!way) return tl::unexpected(way.error());
  if (!way->whole) return {};
  UniqueFd folder = std::move(way->folders.back());
  const std::unique_ptr<DIR, CloseDir> dir(::fdopendir(folder.get()));
  if (!dir) return trouble(errno, place(box));
  const int at = folder.release();  // the stream's now
  for (std::size_t entries = 0;; ++entries) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());  // NOLINT(concurrency-mt-unsafe): this stream is nobody else's
    if (entry == nullptr && errno != 0) return trouble(errno, place(box));
    if (entry == nullptr) return {};
    if (entries >= kMaxEntries)
      return fail(Errc::invalid, place(box) + ": has more than " + std::to_string(kMaxEntries) + " entries");
    if ((entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN) || !document_name(entry->d_name)) continue;
    struct stat status {};
    // What is passed over is not looked at, unless nothing else tells whether it is a file.
    if (passed == 0 || entry->d_type == DT_UNKNOWN) {
      // Gone meanwhile, or not ours to look at.
      if (::fstatat(at, entry->d_name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) continue;
      if (!S_ISREG(status.st_mode)) continue;
    }
    if (passed > 0) {
      --passed;
      continue;
    }
    if (!visit({entry->d_name, static_cast<std::uint64_t>(status.st_size), stamp(status)})) return {};
  }
}

Result<std::string> DirectoryMailbox::get(const Box& box, const Item& item) {
  const std::string where = place(box, item.name);
  if (!plain_name(item.name)) return fail(Errc::invalid, where + ": is no name of a document");
  const auto way = walk(box, false);
  if (!way) return tl::unexpected(way.error());
  if (!way->whole) return fail(Errc::not_found, where + ": is not there");
  // Looked at before it is opened: opening a device does things. Another that comes in between is not waited for.
  struct stat status {};
  if (::fstatat(way->box(), item.name.c_str(), &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
    return trouble(errno, where);
  if (!S_ISREG(status.st_mode)) return fail(Errc::invalid, where + ": is no regular file");
  const UniqueFd file(
      ::openat(way->box(), item.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) return trouble(errno, where);
  if (::fstat(file.get(), &status) != 0) return trouble(errno, where);
  if (!S_ISREG(status.st_mode)) return fail(Errc::invalid, where + ": is no regular file");
  if (status.st_size > static_cast<off_t>(kMaxDocument))
    return fail(Errc::invalid, where + ": is larger than a document may be");
  auto text = read_fd(file.get(), kMaxDocument, where);
  if (!text && text.error().errnum != 0) return trouble(text.error().errnum, where);
  return text;
}

Result<void> DirectoryMailbox::fill(int folder, const std::string& temporary, std::string_view bytes,
                                    const std::string& shown_as) {
  Files& files = *ports_.files;
  const UniqueFd file(
      files.openat(folder, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return trouble(errno, shown_as);
  struct stat status {};
  // As for folders: to be read by all, whatever the umask.
  if (::fstat(file.get(), &status) == 0) (void)files.fchmod(file.get(), (status.st_mode & 07777U) | 0644U);
  auto written = write_at(files, file.get(), bytes, 0, shown_as);
  if (!written) return trouble(written.error().errnum, shown_as);
  // EINVAL: a file system that knows no fsync.
  if (files.fsync(file.get()) != 0 && errno != EINVAL) return trouble(errno, shown_as);
  return {};
}

Result<void> DirectoryMailbox::put(const Box& box, const std::string& name, std::string_view bytes,
                                   WallTime /*until: a folder forgets nothing*/) {
  const std::string where = place(box, name);
  if (!plain_name(name)) return fail(Errc::invalid, where + ": is no name of a document");
  if (bytes.size() > kMaxDocument) return fail(Errc::invalid, where + ": is larger than a document may be");
  const auto way = walk(box, true);
  if (!way) return tl::unexpected(way.error());
  Files& files = *ports_.files;
  const std::string temporary = "." + unguessable_name() + ".tmp";
  auto done = fill(way->box(), temporary, bytes, where);
  if (done && files.renameat(way->box(), temporary.c_str(), way->box(), name.c_str()) != 0)
    done = trouble(errno, where);
  if (!done) {
    (void)files.unlinkat(way->box(), temporary.c_str(), 0);
    // The folder that it was to go to is there; one that is gone was removed just now.
    if (done.error().code == Errc::not_found) done.error().code = Errc::unavailable;
    return done;
  }
  (void)files.fsync(way->box());
  return {};
}

Result<void> DirectoryMailbox::remove(const Box& box, const std::string& name) {
  const std::string where = place(box, name);
  if (!plain_name(name)) return fail(Errc::invalid, where + ": is no name of a document");
  const auto way = walk(box, false);
  if (!way) return tl::unexpected(way.error());
  if (!way->whole) return {};
  if (ports_.files->unlinkat(way->box(), name.c_str(), 0) != 0 && errno != ENOENT) return trouble(errno, where);
  return {};
}

Result<void> DirectoryMailbox::wait(const std::vector<Box>& boxes, int other, milliseconds at_most, bool eager) {
  std::vector<std::string> paths;
  paths.reserve(boxes.size());
  for (const Box& box : boxes) paths.push_back(box.path());
  return watch_.wait(paths, other, at_most, eager ? std::min(poll_, kEagerPoll) : poll_);
}

}  // namespace jit
