// VAR/inbox: documents that came from a source. Anybody who may write there is a stranger: only regular files with
// one link and a document's size are read, their names mean nothing, and each goes to the engine and away.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "jitd/server/inotify.hpp"
#include "jitd/server/loop.hpp"
#include "jitd/sys/fd.hpp"
#include "policy/result.hpp"

namespace jit {

class Inbox {
 public:
  static constexpr std::size_t kPerTurn = 16;         // files looked at before the loop gets its turn
  static constexpr std::size_t kRemembered = 100000;  // names that wait for their turn; more: a new scan

  // What became of a file: taken in, or why not. `keep`: leave it there and look again in a while (jitd could not
  // judge it).
  struct Verdict {
    bool keep = false;
  };
  using Done = std::function<void(Verdict)>;
  // Hands a file's bytes on; `done` may be called later.
  using Take = std::function<void(std::string text, Done done)>;
  // A file that was thrown away unread, and why.
  using Refused = std::function<void(const std::string& why)>;

  [[nodiscard]] static Result<std::unique_ptr<Inbox>> open(Loop& loop, const std::string& directory, Take take,
                                                           Refused refused);

 private:
  Inbox(Loop& loop, UniqueFd directory, Take take, Refused refused);
  void look_again();
  void on_event(const Inotify::Event& event);
  void scan();
  void work();
  void look_at(const std::string& name);
  void refuse(const std::string& name, bool directory, const std::string& why);

  Loop& loop_;
  UniqueFd directory_;
  Take take_;
  Refused refused_;
  std::unique_ptr<Inotify> notify_;
  std::deque<std::string> names_;
  bool rescan_ = false;
  bool again_set_ = false;
  Source working_, again_;
  std::shared_ptr<bool> here_ = std::make_shared<bool>(true);
};

}  // namespace jit
