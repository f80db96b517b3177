#include "jitd/sys/user_namespace.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "jitd/sys/fd.hpp"

namespace jit {
namespace {

constexpr int kDeepest = 33;  // user_namespaces(7): 32 nested ones

}  // namespace

std::vector<uid_t> namespace_owners(pid_t pid, const std::string& proc) {
  std::vector<uid_t> owners;
  struct stat ours {
  }, theirs{};
  if (::stat((proc + "/self/ns/user").c_str(), &ours) != 0) return owners;
  UniqueFd space(::open((proc + "/" + std::to_string(pid) + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
  for (int depth = 0; depth < kDeepest && space; ++depth) {
    if (::fstat(space.get(), &theirs) != 0) break;
    if (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino) break;
    uid_t owner = 0;
    if (::ioctl(space.get(), NS_GET_OWNER_UID, &owner) != 0) break;
    owners.push_back(owner);
    space = UniqueFd(::ioctl(space.get(), NS_GET_PARENT));
  }
  return owners;
}

bool in_container(pid_t pid, const std::string& proc) {
  struct stat ours {
  }, theirs{}, our_users{}, its_users{};
  const UniqueFd space(::open((proc + "/" + std::to_string(pid) + "/ns/pid").c_str(), O_RDONLY | O_CLOEXEC));
  if (!space || ::fstat(space.get(), &theirs) != 0 || ::stat((proc + "/self/ns/pid").c_str(), &ours) != 0)
    return false;
  if (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino) return false;
  const UniqueFd users(::ioctl(space.get(), NS_GET_USERNS));
  return users && ::fstat(users.get(), &its_users) == 0 &&
         ::stat((proc + "/self/ns/user").c_str(), &our_users) == 0 && its_users.st_dev == our_users.st_dev &&
         its_users.st_ino == our_users.st_ino;
}

}  // namespace jit
