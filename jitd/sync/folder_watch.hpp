// Waits for changes in a few folders below one root: by inotify(7) where nobody but this machine changes its files,
// by looking again after a while everywhere else.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/sys/fd.hpp"
#include "policy/result.hpp"

namespace jit {

// Whether the file system of an open directory is changed by this machine's kernel alone, so that inotify tells of
// everything (statfs(2)). Of a type that is not known to be so: false, which costs a look every few seconds.
[[nodiscard]] bool on_this_machine(int directory);

class FolderWatch {
 public:
  using Local = std::function<bool(int directory)>;
  FolderWatch(std::string root, Local local) : root_(std::move(root)), local_(std::move(local)) {}

  // To be called before `path` is listed; what happens in it from then on is told by wait(). `folders`: the root and
  // what is there of the parts of `path` below it, open; `names`: those parts. No descriptor is kept, so that a
  // stick can be unmounted.
  void listing(const std::string& path, const std::vector<std::string_view>& names,
               const std::vector<UniqueFd>& folders);

  // The root could not be opened: wait() looks again after a while.
  void absent(const std::string& path);

  // Whether this root, open, is another than the last one: a folder in its place, or another stick in its slot, with
  // the same numbers. Said once; wait() ends at once then.
  [[nodiscard]] bool another(const std::string& path, int root);

  // Returns when something may have changed in one of these folders since it was last listed (one that never was:
  // from now on), when `other` (-1: none) is readable, or after `at_most`; where changes are not told, after `poll`.
  [[nodiscard]] Result<void> wait(const std::vector<std::string>& paths, int other, std::chrono::milliseconds at_most,
                                  std::chrono::milliseconds poll);

 private:
  struct Seen {
    bool told = false;     // every change since it was listed is
    bool changed = false;  // since it was listed
    dev_t device = 0;      // of the root then
    ino_t inode = 0;
  };
  // Who wants to know of what in a folder that is watched: the box itself (all documents in it), or the entry that
  // leads on to it.
  struct Interest {
    std::string path;
    std::string entry;
  };

  bool watch(const std::string& path, const std::vector<std::string_view>& names,
             const std::vector<UniqueFd>& folders);
  void drain();
  void on_event(int watch, std::uint32_t mask, std::string_view name);
  [[nodiscard]] bool changed(const std::vector<std::string>& paths) const;
  [[nodiscard]] bool root_replaced(const std::vector<std::string>& paths) const;

  std::string root_;
  Local local_;
  struct Root {
    dev_t device;
    ino_t inode;
  };
  std::optional<Root> last_root_;
  bool unmounted_ = false;  // what was watched, since then
  UniqueFd notify_, mounts_;
  std::map<std::string, Seen> seen_;
  std::multimap<int, Interest> interests_;  // by inotify's number of the folder
};

}  // namespace jit
