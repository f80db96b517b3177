#include "jitd/effects/frozen_users.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "jitd/effects/freezer.hpp"
#include "jitd/sys/fd.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/proc_files.hpp"

namespace jit {
namespace {

constexpr std::size_t kMostAtOnce = 64;  // users; of more, the search is on its own

std::string slice_of(const CgroupTree& tree, std::uint64_t uid) {
  return tree.folder + "/user.slice/user-" + std::to_string(uid) + ".slice";
}

}  // namespace

FrozenUsers::FrozenUsers(const CgroupTree& tree, std::string note, const std::vector<uid_t>& users)
    : note_(std::move(note)) {
  if (!tree.unified || tree.folder.empty()) return;
  std::string uids;
  for (const uid_t uid : users) {
    const std::string slice = slice_of(tree, uid);
    if (slices_.size() == kMostAtOnce) break;
    // Root's sessions, and who somebody else froze, are left as they are.
    if (uid == 0 || is_frozen(slice) || ::access((slice + "/cgroup.freeze").c_str(), W_OK) != 0) continue;
    slices_.push_back(slice);
    uids += std::to_string(uid) + "\n";
  }
  if (slices_.empty()) return;
  const UniqueFd file(::open(note_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file || ::write(file.get(), uids.data(), uids.size()) != static_cast<ssize_t>(uids.size())) {
    slices_.clear();
    (void)::unlink(note_.c_str());
    return;
  }
  freeze(slices_);
}

FrozenUsers::~FrozenUsers() {
  if (slices_.empty()) return;
  for (const std::string& slice : slices_) thaw(slice);
  (void)::unlink(note_.c_str());
}

void FrozenUsers::thaw_left(const CgroupTree& tree, const std::string& note) {
  const auto uids = read_file(note, kMaxProcFile);
  if (!uids) return;
  for (const std::uint64_t uid : numbers(*uids)) thaw(slice_of(tree, uid));
  (void)::unlink(note.c_str());
}

}  // namespace jit
