// The mailbox in a folder: a USB stick, a network file system, a git checkout, what rsync fills. Whoever may write
// there is a stranger: nothing is followed, only regular files are opened, and nothing is waited for.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "jitd/sync/folder_watch.hpp"
#include "jitd/sync/mailbox.hpp"
#include "jitd/sys/files.hpp"

namespace jit {

class DirectoryMailbox final : public Mailbox {
 public:
  // What tests replace.
  struct Ports {
    Files* files = &system_files();
    FolderWatch::Local local = on_this_machine;
    std::function<std::chrono::system_clock::time_point()> now = std::chrono::system_clock::now;
  };
  // The folder is `spec.path`. It may be a link, and may come and go (Errc::unavailable); it is never made.
  explicit DirectoryMailbox(const SourceSpec& spec) : DirectoryMailbox(spec, Ports{}) {}
  DirectoryMailbox(const SourceSpec& spec, Ports ports);

  // As Mailbox says. Where the folder is slower than a million names in a box, who writes there is to be asked why.
  [[nodiscard]] Result<void> list(const Box& box, const Visit& visit) override { return list_after(0, box, visit); }
  // What is passed over is not looked at, which is nearly all of what a list costs.
  [[nodiscard]] Result<void> list_after(std::size_t passed, const Box& box, const Visit& visit) override;
  [[nodiscard]] Result<std::string> get(const Box& box, const Item& item) override;
  // Makes the box's folders, not the root. Files and folders may be read by all: what counts in them is signed.
  [[nodiscard]] Result<void> put(const Box& box, const std::string& name, std::string_view bytes,
                                 WallTime until) override;
  [[nodiscard]] Result<void> remove(const Box& box, const std::string& name) override;
  [[nodiscard]] Result<void> wait(const std::vector<Box>& boxes, int other, std::chrono::milliseconds at_most,
                                  bool eager) override;

 private:
  // The folders on the way to a box, from the root, as far as they are there.
  struct Way {
    std::vector<UniqueFd> folders;
    bool whole = false;
    [[nodiscard]] int box() const { return folders.back().get(); }
  };
  [[nodiscard]] Result<Way> walk(const Box& box, bool make);
  [[nodiscard]] Result<Way> watched_walk(const Box& box);
  [[nodiscard]] Result<void> fill(int folder, const std::string& temporary, std::string_view bytes,
                                  const std::string& shown_as);
  [[nodiscard]] std::string place(const Box& box, std::string_view name = {}) const;
  [[nodiscard]] std::string stamp(const struct stat& status);

  std::string root_;
  std::chrono::milliseconds poll_;
  Ports ports_;
  FolderWatch watch_;
  std::uint64_t unsettled_ = 0;
};

}  // namespace jit
