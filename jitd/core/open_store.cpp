#include "jitd/core/open_store.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "jitd/core/clock_guard.hpp"
#include "jitd/store/head_file.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/lock.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kAside = "jit.db.damaged-";

std::int64_t changed_at(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mtim.tv_sec : 0;
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

// Who keeps us from it: SQLite's locks are classic ones, which have an owner.
std::string holder_of(const std::string& database) {
  for (const std::string& file : {database, database + "-shm"})
    if (const pid_t pid = FileLock::holder(file); pid > 0) return "; process " + std::to_string(pid) + " holds it";
  return "";
}

Result<std::string> put_aside(const std::string& database, WallTime at) {
  std::string stamp = format_utc(at);
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  const std::string folder = database.substr(0, database.rfind('/') + 1);
  const std::string aside = folder + std::string(kAside) + stamp;
  if (::rename(database.c_str(), aside.c_str()) != 0) return fail_errno(errno, "cannot set " + database + " aside");
  // With it what belongs to it: a new database must never find another's journal.
  for (const char* part : {"-wal", "-shm"})
    if (::rename((database + part).c_str(), (aside + part).c_str()) != 0 && errno != ENOENT)
      return fail_errno(errno, "cannot set " + database + part + " aside");
  return aside;
}

// The new one knows from when on it remembers, and takes no earlier time for true.
Result<void> begin_again(Store& store, const Clock& clock, std::int64_t since) {
  const Instant now = clock.now();
  ClockMark mark;
  mark.wall_ms = mark.anchor_wall_ms = since * 1000;
  mark.boot_id = clock.boot_id();
  mark.boot_ms = mark.anchor_boot_ms = now.boot_ms;
  auto transaction = store.begin();
  if (!transaction) return tl::unexpected(transaction.error());
  if (auto set = store.set_value(kMemorySince, std::to_string(since)); !set) return set;
  if (auto set = store.set_value(kClockMark, to_text(mark)); !set) return set;
  return (*transaction)->commit();
}

}  // namespace

Result<OpenedStore> open_store(const Paths& paths, const ExpirePorts& ports, const std::string& damaged) {
  const std::string database = paths.var + "/jit.db", ends = paths.var + "/ends";
  std::int64_t since = ports.clock.now().wall_ms / 1000;
  for (const std::string& file : {database, database + "-wal", ends}) since = std::max(since, changed_at(file));

  OpenedStore opened;
  auto store = damaged.empty() ? Store::open(database) : tl::unexpected(Error{Errc::invalid, damaged, 0});
  if (!store && store.error().code == Errc::busy) {
    Error error = store.error();
    error.message += holder_of(database);
    return tl::unexpected(std::move(error));
  }
  if (!store && store.error().code == Errc::invalid) {
    const auto aside = put_aside(database, ports.clock.now().wall());
    if (!aside) return within(store.error().message, aside.error());
    opened.lost = store.error().message + "; it is kept as " + *aside;
    store = Store::open(database);
  }
  if (!store) return tl::unexpected(store.error());
  const auto mark = (*store)->value(kClockMark);
  if (!mark) return tl::unexpected(mark.error());
  // Of the one before, and not taken away before that is.
  if (!*mark && ::unlink(HeadFile::path_of(database).c_str()) != 0 && errno != ENOENT)
    return fail_errno(errno, "cannot remove " + HeadFile::path_of(database));
  if (!*mark && exists(ends)) {
    if (opened.lost.empty()) opened.lost = database + " is gone or empty";
    // Before anything is remembered again: killed in between, the next start finds the same and does it once more.
    const Expired expired = expire(paths, ports, true);
    opened.lost += "; " + std::to_string(expired.grants.size()) +
                   " grants are ended with it, locks and revocations are read again from " + paths.var +
                   "/signed, and no grant counts that was signed before " + format_utc(WallTime(Seconds(since)));
    for (const std::string& failure : expired.failures) opened.lost += "; " + failure;
    if (auto begun = begin_again(**store, ports.clock, since); !begun) return tl::unexpected(begun.error());
  }
  opened.store = std::move(*store);
  return opened;
}

std::vector<std::string> set_aside(const Paths& paths) {
  std::vector<std::string> found;
  const auto dir = open_dir(paths.var);
  const auto names = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
  for (const std::string& name : names.value_or(std::vector<std::string>{}))
    if (name.starts_with(kAside) && !name.ends_with("-wal") && !name.ends_with("-shm"))
      found.push_back(paths.var + "/" + name);
  return found;
}

}  // namespace jit
