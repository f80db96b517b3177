#include "jitd/effects/residue.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

#include "jitd/sys/fd.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr int kDeepest = 64;
constexpr const char* kCapability = "security.capability";
// Whose answers come from this machine alone, and that know setuid.
constexpr std::array kLocalTypes = {"ext2",     "ext3", "ext4",  "xfs", "btrfs",    "tmpfs", "overlay",
                                    "bcachefs", "f2fs", "ramfs", "zfs", "reiserfs", "jfs",   "nilfs2"};

// Mounts by their id (statx(2)): the local ones.
std::set<std::uint64_t> local_mounts() {
  std::set<std::uint64_t> ids;
  const auto text = read_file("/proc/self/mountinfo", std::size_t{1} << 22U);
  if (!text) return ids;
  for (const std::string_view line : split(*text, '\n')) {
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.end() - dash < 2) continue;
    const auto id = parse_number(fields[0]);
    if (id && std::ranges::find(kLocalTypes, dash[1]) != kLocalTypes.end()) ids.insert(*id);
  }
  return ids;
}

struct CloseDir {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};

// What one walk may still do.
struct Budget {
  std::chrono::steady_clock::time_point until;
  std::size_t entries;
  std::size_t looked = 0;
  std::string cut_short;
  bool spend() {
    if (!cut_short.empty()) return false;
    if (++looked > entries) cut_short = "there are more than " + std::to_string(entries) + " entries";
    if (looked % 256 == 0 && std::chrono::steady_clock::now() > until) cut_short = "it took too long";
    return cut_short.empty();
  }
};

// Every regular file below a folder, on local file systems.
class Walk {
 public:
  // `seen`: the folder, the name in it, its path, and what statx says.
  using Seen = std::function<void(int folder, const char* name, const std::string& path, const struct statx& status)>;
  Walk(Budget& budget, Seen seen) : budget_(budget), seen_(std::move(seen)) {}

  void place(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct statx status {};
    if (!fd || ::statx(fd.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, kWanted, &status) != 0) return;
    if (S_ISDIR(status.stx_mode) && enters(status)) folder(AT_FDCWD, path.c_str(), path, 0);
  }

 private:
  static constexpr unsigned kWanted =
      STATX_TYPE | STATX_MODE | STATX_UID | STATX_GID | STATX_NLINK | STATX_CTIME | STATX_INO | STATX_MNT_ID;

  // The type of a mount is looked up before anything is asked of it: a server, or a user's own FUSE, may never
  // answer.
  bool enters(const struct statx& status) {
    if ((status.stx_mask & STATX_MNT_ID) == 0) {
      budget_.cut_short = "this kernel does not tell mounts apart (before Linux 5.8)";
      return false;
    }
    return mounts_.contains(status.stx_mnt_id);
  }

  void folder(int parent, const char* name, const std::string& path, int depth) {
    UniqueFd fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME));
    if (!fd) return;
    const int number = fd.get();
    const std::unique_ptr<DIR, CloseDir> dir(::fdopendir(number));
    if (!dir) return;
    (void)fd.release();
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string_view own = entry->d_name;
      if (own == "." || own == "..") continue;
      if (entry->d_type != DT_REG && entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
      if (!budget_.spend()) return;
      struct statx status {};
      constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
      if (::statx(number, entry->d_name, kFlags, kWanted, &status) != 0) continue;
      const std::string below = path + "/" + entry->d_name;
      if (S_ISREG(status.stx_mode)) {
        seen_(number, entry->d_name, below, status);
      } else if (S_ISDIR(status.stx_mode) && enters(status)) {
        if (depth >= kDeepest) {
          budget_.cut_short = "folders are deeper than " + std::to_string(kDeepest);
          return;
        }
        folder(number, entry->d_name, below, depth + 1);
      }
    }
  }

  Budget& budget_;
  Seen seen_;
  std::set<std::uint64_t> mounts_ = local_mounts();
};

std::string own_path(const UniqueFd& fd) {
  return "/proc/self/fd/" + std::to_string(fd.get());
}

bool has_capabilities(const UniqueFd& fd) {
  return ::getxattr(own_path(fd).c_str(), kCapability, nullptr, 0) > 0;
}

class Finder {
 public:
  Finder(const std::vector<ResidueQuery>& queries, const ResidueLimits& limits,
         const std::vector<std::string>& system)
      : queries_(queries),
        limits_(limits),
        system_(system),
        budget_{std::chrono::steady_clock::now() + limits.time, limits.entries, 0, {}} {
    for (const ResidueQuery& query : queries) {
      since_ = std::min(since_, query.since);
      root_ = root_ || query.owners.contains(0);
    }
  }

  ResidueReport run(const std::vector<std::string>& places) {
    Walk walk(budget_, [this](int folder, const char* name, const std::string& path, const struct statx& status) {
      look(folder, name, path, status);
    });
    for (const std::string& place : places) walk.place(place);
    report_.looked = budget_.looked;
    report_.cut_short = budget_.cut_short;
    return std::move(report_);
  }

 private:
  void look(int folder, const char* name, const std::string& path, const struct statx& status) {
    if (status.stx_ctime.tv_sec < since_) return;
    const bool bits = (status.stx_mode & (S_ISUID | S_ISGID)) != 0;
    if (!bits && !root_) return;
    // From here on that very file, whatever its name means by now.
    const UniqueFd fd(::openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat file {};
    if (!fd || ::fstat(fd.get(), &file) != 0 || !S_ISREG(file.st_mode)) return;
    const bool capable = root_ && has_capabilities(fd);
    std::string undone;
    bool tried = false;
    for (const ResidueQuery& query : queries_) {
      const std::string what = of(query, file, capable);
      if (what.empty()) continue;
      if (!tried) undone = disarm(fd, file, capable);
      tried = true;
      if (report_.found.size() >= limits_.found) {
        ++report_.more;
      } else {
        report_.found.push_back({query.grant, path, what, undone});
      }
    }
  }

  static std::string of(const ResidueQuery& query, const struct stat& file, bool capable) {
    if (file.st_ctim.tv_sec < query.since) return {};
    if ((file.st_mode & S_ISUID) != 0 && query.owners.contains(file.st_uid))
      return file.st_uid == 0 ? "setuid root" : "setuid of uid " + std::to_string(file.st_uid);
    if ((file.st_mode & S_ISGID) != 0 && query.groups.contains(file.st_gid))
      return "setgid of gid " + std::to_string(file.st_gid);
    return capable && query.owners.contains(0) ? "capabilities" : "";
  }

  std::string disarm(const UniqueFd& fd, const struct stat& file, bool capable) {
    if (file.st_nlink > 1) {
      const std::string other = system_name(file);
      if (!other.empty()) return other;
    }
    if (capable && ::removexattr(own_path(fd).c_str(), kCapability) != 0)
      return "its capabilities stay: " + fail_errno(errno, "it").value().message;
    constexpr mode_t kAllowed = S_IRWXU | S_IRWXG | S_IRWXO | S_ISVTX;
    if ((file.st_mode & (S_ISUID | S_ISGID)) != 0 && ::chmod(own_path(fd).c_str(), file.st_mode & kAllowed) != 0)
      return "its mode stays: " + fail_errno(errno, "it").value().message;
    return {};
  }

  // Why a file of several names is let be; empty: none of them is the system's.
  std::string system_name(const struct stat& file) {
    if (!system_read_) {
      system_read_ = true;
      Budget budget{std::chrono::steady_clock::now() + limits_.time, limits_.entries, 0, {}};
      Walk walk(budget, [&](int, const char*, const std::string& path, const struct statx& status) {
        if (status.stx_nlink > 1)
          linked_.emplace(std::pair(makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino), path);
      });
      for (const std::string& place : system_) walk.place(place);
      system_whole_ = budget.cut_short.empty();
    }
    const auto found = linked_.find({file.st_dev, file.st_ino});
    if (found != linked_.end()) return "it is a further name of " + found->second;
    return system_whole_ ? "" : "whether it is a further name of a program of the system cannot be told";
  }

  const std::vector<ResidueQuery>& queries_;
  const ResidueLimits& limits_;
  const std::vector<std::string>& system_;
  Budget budget_;
  ResidueReport report_;
  std::int64_t since_ = INT64_MAX;
  bool root_ = false;
  bool system_read_ = false, system_whole_ = false;
  std::map<std::pair<dev_t, std::uint64_t>, std::string> linked_;  // the system's files of several names
};

template <class Ids>
void add_ids(std::string& text, const char* key, const Ids& ids) {
  for (const auto id : ids) text += std::string(key) + " " + std::to_string(id) + "\n";
}

constexpr std::size_t kMaxNote = std::size_t{64} * 1024;
constexpr const char *kLive = "/live", *kOver = "/over", *kFound = "/found";

bool is_grant(std::string_view name) {
  return name.size() == 16 &&
         std::ranges::all_of(name, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); });
}

}  // namespace

std::string to_text(const ResidueQuery& query) {
  std::string text = "user " + std::to_string(query.user) + "\nsince " + std::to_string(query.since) + "\n";
  add_ids(text, "owner", query.owners);
  add_ids(text, "group", query.groups);
  return text;
}

std::optional<ResidueQuery> parse_residue_query(const std::string& grant, std::string_view text) {
  ResidueQuery query;
  query.grant = grant;
  if (!text.ends_with('\n')) return std::nullopt;
  text.remove_suffix(1);
  for (const std::string_view line : split(text, '\n')) {
    const auto blank = line.find(' ');
    const auto number =
        blank == std::string_view::npos ? fail(Errc::invalid, "") : parse_number(line.substr(blank + 1));
    if (!number) return std::nullopt;
    const std::string_view key = line.substr(0, blank);
    if (key == "since") {
      query.since = static_cast<std::int64_t>(std::min<std::uint64_t>(*number, INT64_MAX));
      continue;
    }
    if (*number >= UINT32_MAX) return std::nullopt;
    const auto id = static_cast<std::uint32_t>(*number);
    if (key == "user")
      query.user = id;
    else if (key == "owner")
      query.owners.insert(id);
    else if (key == "group")
      query.groups.insert(id);
    else
      return std::nullopt;
  }
  return query;
}

ResidueReport find_residue(const std::vector<ResidueQuery>& queries, const std::vector<std::string>& places,
                           const ResidueLimits& limits, const std::vector<std::string>& system) {
  return Finder(queries, limits, system).run(places);
}

Result<void> ResidueNotes::note(const ResidueQuery& query) {
  if (query.empty() || !is_grant(query.grant)) return {};
  const auto dir = open_dir(dir_ + kLive);
  if (!dir) return tl::unexpected(dir.error());
  // What was noted first is of the time when the grant began.
  if (::faccessat(dir->get(), query.grant.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return {};
  return replace_file(files_, dir->get(), query.grant, to_text(query), {0600, 0, 0}, false);
}

std::vector<std::string> ResidueNotes::names(const char* below) const {
  const auto dir = open_dir(dir_ + below);
  auto names = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
  if (!names) return {};
  std::erase_if(*names, [](const std::string& name) { return !is_grant(name); });
  return *names;
}

std::size_t ResidueNotes::over(const std::function<bool(const std::string& grant)>& which) {
  std::vector<std::string> ended = names(kLive);
  std::erase_if(ended, [&](const std::string& grant) { return !which(grant); });
  if (ended.empty()) return 0;
  const auto from = open_dir(dir_ + kLive);
  const auto to = open_dir(dir_ + kOver);
  if (!from || !to) return 0;
  std::size_t count = 0;
  for (const std::string& grant : ended)
    if (files_.renameat(from->get(), grant.c_str(), to->get(), grant.c_str()) == 0) ++count;
  return count;
}

std::vector<ResidueQuery> ResidueNotes::to_look_for() const {
  std::vector<ResidueQuery> queries;
  // The unit that starts this waits for the folder to be empty.
  const auto dir = open_dir(dir_ + kOver);
  const auto all = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
  for (const std::string& name : all.value_or(std::vector<std::string>{}))
    if (!is_grant(name)) (void)files_.unlinkat(dir->get(), name.c_str(), 0);
  for (const std::string& grant : names(kOver)) {
    const auto text = read_file(dir_ + kOver + "/" + grant, kMaxNote);
    auto query = text ? parse_residue_query(grant, *text) : std::nullopt;
    // One that cannot be read is reported as such: nothing is looked for.
    queries.push_back(query ? std::move(*query) : ResidueQuery{grant, 0, INT64_MAX, {}, {}});
  }
  return queries;
}

Result<void> ResidueNotes::report(const std::string& grant, const std::string& text) {
  const auto to = open_dir(dir_ + kFound);
  if (!to) return tl::unexpected(to.error());
  auto written = replace_file(files_, to->get(), grant, text, {0600, 0, 0}, false);
  if (const auto from = open_dir(dir_ + kOver)) (void)files_.unlinkat(from->get(), grant.c_str(), 0);
  return written;
}

std::map<std::string, std::string> ResidueNotes::take_reports() {
  std::map<std::string, std::string> reports;
  for (const std::string& grant : names(kFound)) {
    const std::string path = dir_ + kFound;
    if (auto text = read_file(path + "/" + grant, std::size_t{1} << 20U)) reports.emplace(grant, std::move(*text));
    if (const auto dir = open_dir(path)) (void)files_.unlinkat(dir->get(), grant.c_str(), 0);
  }
  return reports;
}

}  // namespace jit
