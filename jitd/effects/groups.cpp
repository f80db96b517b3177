#include "jitd/effects/groups.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "jitd/effects/pwd_lock.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxGroupFile = std::size_t{64} << 20U;
constexpr off_t kSmallestReserve = off_t{64} * 1024;
constexpr std::chrono::milliseconds kCacheDeadline{250};

// An account file as it was read: its text, and the descriptor that carries mode, owner and labels to the new one.
struct AccountFile {
  UniqueFd fd;
  std::string text;
};

Result<AccountFile> read_account_file(int etc, const std::string& name, const std::string& shown_as) {
  auto fd = open_regular(etc, name, O_RDONLY, shown_as);
  if (!fd) return tl::unexpected(fd.error());
  auto text = read_fd(fd->get(), kMaxGroupFile, shown_as);
  if (!text) return tl::unexpected(text.error());
  return AccountFile{std::move(*fd), std::move(*text)};
}

Result<void> replace(Files& files, int etc, const std::string& name, const AccountFile& old,
                     const std::string& text) {
  const auto mode = mode_of(old.fd.get());
  if (!mode) return tl::unexpected(mode.error());
  return replace_file(files, etc, name, text, *mode);
}

bool no_space(const Error& error) {
  return error.errnum == ENOSPC || error.errnum == EDQUOT;
}

}  // namespace

Groups::Groups(Files& files, Spawn& spawn, std::string etc, std::string reserve, LockPatience patience)
    : files_(files), spawn_(spawn), etc_(std::move(etc)), reserve_(std::move(reserve)), patience_(patience) {}

Result<GroupChange> Groups::apply(const std::vector<MembershipEdit>& edits, LockEffort effort) {
  PwdLock lock;
  const std::string path = etc_ + "/.pwd.lock";
  if (effort == LockEffort::activation) {
    auto taken = try_pwd_lock(path);
    if (!taken) return tl::unexpected(taken.error());
    lock = std::move(*taken);
  } else {
    lock = force_pwd_lock(path, patience_);
  }
  std::vector<EditResult> first;
  auto change = rewrite(edits, first);
  const auto full = [](const Result<GroupChange>& done) {
    return done ? done->behind && no_space(*done->behind) : no_space(done.error());
  };
  if (full(change) && free_reserve()) {
    lock.notes.push_back("the disk is full: gave up " + reserve_ + " to rewrite the group files");
    std::vector<EditResult> second;
    change = rewrite(edits, second);
    // Renamed into place but not synced, the first attempt's edits are there already: they are ours all the same.
    for (std::size_t i = 0; change && i < first.size(); ++i)
      if (first[i] == EditResult::changed && change->results[i] == EditResult::already)
        change->results[i] = EditResult::changed;
  }
  if (!change) return change;
  const auto& results = change->results;
  const bool changed = std::find(results.begin(), results.end(), EditResult::changed) != results.end();
  change->without_lock = changed && !lock.lock.has_value();
  change->notes = std::move(lock.notes);
  lock.lock.reset();  // nobody need wait for us while caches are flushed
  if (changed) flush_caches();
  return change;
}

// A member that gshadow does not know is out of step, for whoever reads in between and for good when the second write
// fails: so gshadow comes first when members are added, and last when they are taken away. A name in gshadow alone
// still gives the group to whoever asks newgrp(1) for it, so what was taken away from group alone is told as such.
Result<GroupChange> Groups::rewrite(const std::vector<MembershipEdit>& edits, std::vector<EditResult>& results) {
  const auto etc = open_dir(etc_);
  if (!etc) return tl::unexpected(etc.error());
  const auto group = read_account_file(etc->get(), "group", etc_ + "/group");
  if (!group) return tl::unexpected(group.error());
  auto gshadow = read_account_file(etc->get(), "gshadow", etc_ + "/gshadow");
  if (!gshadow && gshadow.error().errnum != ENOENT) return tl::unexpected(gshadow.error());

  auto edited = edit_groups(group->text, gshadow ? gshadow->text : std::string(), edits);
  if (!edited) return tl::unexpected(edited.error());
  results = edited->results;
  const auto write_group = [&]() -> Result<void> {
    if (!edited->group_changed) return {};
    return replace(files_, etc->get(), "group", *group, edited->group_text);
  };
  const auto write_gshadow = [&]() -> Result<void> {
    if (!gshadow || !edited->gshadow_changed) return {};
    return replace(files_, etc->get(), "gshadow", *gshadow, edited->gshadow_text);
  };
  const bool adds = std::ranges::any_of(edits, [](const MembershipEdit& edit) { return edit.member; });
  Result<void> done = adds ? write_gshadow() : write_group();
  if (done) done = adds ? write_group() : write_gshadow();
  if (done) return GroupChange{results};
  const auto now = adds ? tl::unexpected(done.error()) : read_account_file(etc->get(), "group", etc_ + "/group");
  if (!now || now->text != edited->group_text) return tl::unexpected(done.error());
  return GroupChange{results, false, done.error()};
}

Result<std::string> Groups::read_group() const {
  return read_file(etc_ + "/group", kMaxGroupFile);
}

Result<std::string> Groups::read_passwd() const {
  return read_file(etc_ + "/passwd", kMaxGroupFile);
}

Result<void> Groups::keep_reserve() {
  off_t size = kSmallestReserve;
  for (const char* name : {"/group", "/gshadow"}) {
    struct stat status {};
    if (::lstat((etc_ + name).c_str(), &status) == 0) size += status.st_size + status.st_size / 2;
  }
  auto fd = open_regular(AT_FDCWD, reserve_, O_RDWR, reserve_);
  if (fd) {
    struct stat status {};
    if (::fstat(fd->get(), &status) == 0 && status.st_size >= size) return {};
  } else if (fd.error().errnum != ENOENT) {
    return tl::unexpected(fd.error());
  } else {
    fd = UniqueFd(files_.openat(AT_FDCWD, reserve_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0));
    if (!*fd || files_.fchmod(fd->get(), 0600) != 0) return fail_errno(errno, reserve_);
  }
  if (files_.fallocate(fd->get(), size) != 0 || files_.fsync(fd->get()) != 0) return fail_errno(errno, reserve_);
  return {};
}

bool Groups::free_reserve() {
  if (files_.unlinkat(AT_FDCWD, reserve_.c_str(), 0) != 0) return false;
  // Journalling file systems hand the blocks out again only when the unlink is on disk.
  const auto parent = open_dir(std::filesystem::path(reserve_).parent_path().string());
  if (parent) (void)files_.fsync(parent->get());
  return true;
}

// Caches that would go on showing the old membership. Ours is the local file; a cache that does not run needs
// nothing.
void Groups::flush_caches() {
  struct Cache {
    const char* running;  // there while its daemon runs
    std::vector<std::string> command;
  };
  const std::vector<Cache> caches = {{"/run/nscd/socket", {"/usr/sbin/nscd", "-i", "group"}},
                                     {"/run/sssd.pid", {"/usr/sbin/sss_cache", "-G"}}};
  for (const Cache& cache : caches) {
    struct stat status {};
    if (::lstat(cache.running, &status) != 0 || ::lstat(cache.command[0].c_str(), &status) != 0) continue;
    SpawnRequest request;
    request.argv = cache.command;
    request.deadline = kCacheDeadline;
    (void)spawn_.run(request);
  }
}

}  // namespace jit
