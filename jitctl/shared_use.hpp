// A role that `jitctl run` asked for, while several runs of the same user use it: the last of them gives it back.
#pragma once

#include <string>

#include "jitctl/context.hpp"
#include "jitd/sys/fd.hpp"

namespace jit::ctl {

// Holds a shared lock on a file of the grant's name in the user's runtime folder, marked when a run asked for the
// grant; who gets the lock for itself alone is the last. The kernel lets go of the lock of a run that was killed. The
// file is the user's own, as their grants are. Without such a folder nobody is seen.
class SharedUse {
 public:
  // Uses this grant. `ours`: we asked for it.
  [[nodiscard]] static SharedUse begin(const Context& context, const std::string& grant, bool ours);
  // Others are seen, and see us.
  [[nodiscard]] bool seen() const { return static_cast<bool>(file_); }
  // No more: true when the grant is to be given back now, since a run asked for it and none uses it any more. One
  // that begins meanwhile waits until this is gone.
  [[nodiscard]] bool over();

  SharedUse() = default;
  SharedUse(SharedUse&& other) noexcept = default;
  SharedUse& operator=(SharedUse&& other) noexcept;
  SharedUse(const SharedUse&) = delete;
  SharedUse& operator=(const SharedUse&) = delete;
  ~SharedUse();

 private:
  UniqueFd file_;
  std::string path_;
  bool ours_ = false;
  bool last_ = false;
};

}  // namespace jit::ctl
