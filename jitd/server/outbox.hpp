// VAR/outbox: what this host has to say, as files that somebody without any right carries away (jitd-sync, or a
// person with a stick). A mirror of what the engine says, made right file by file whatever is there:
//
//   host                   "host NAME", "segment NAME"..., "key FINGERPRINT": whose mailbox this is
//   r-ID.jit               each request that waits
//   e-SSSSSSSSSSSS.jit     events, by sequence
//   alive.jit              that the host is alive, every so often
//
// Only names of this form are ever written or removed, and only where the folder is root's alone. Files come by
// rename under another name that does not end with .jit, and are not made durable: the engine can always say it
// again. Without the folder there is nobody to tell, and none of this is done.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "jitd/core/engine.hpp"
#include "jitd/server/inotify.hpp"
#include "jitd/server/loop.hpp"
#include "jitd/sys/files.hpp"
#include "policy/result.hpp"

namespace jit {

// Whether there is an outbox, and the highest sequence that an event of this host in it has; 0: none. `own`: the
// host's key, and nobody else's.
[[nodiscard]] std::optional<std::uint64_t> told_in(const std::string& outbox, const TrustFile& own);

class Outbox {
 public:
  static constexpr std::size_t kPerTurn = 16;  // files written before the loop gets its turn

  struct Ports {
    Engine& engine;
    Files& files;
    std::function<std::shared_ptr<const HostView>()> host;
    std::function<void(int priority, const std::string& message)> log;
  };

  // `folder` need not be there; its parent is watched for it.
  [[nodiscard]] static Result<std::unique_ptr<Outbox>> open(Loop& loop, const std::string& folder, Ports ports);

  // The engine or the host may have something else to say. Cheap when they do not.
  void changed();
  // Why not everything is there; empty: it is.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  Outbox(Loop& loop, std::string folder, Ports ports);
  void look();  // whether the folder is there
  void went();
  void beat();
  void work();
  // Does what is to be done, kPerTurn files of it at most. False: there is more.
  [[nodiscard]] Result<bool> mirror(int dir);
  [[nodiscard]] Result<void> scan(int dir);  // forgets what is known of the folder, and removes what is over
  [[nodiscard]] Result<bool> remove_over(int dir);
  [[nodiscard]] Result<bool> write_new(int dir);
  // Both do nothing to what is no file; refused_ has its name then.
  [[nodiscard]] Result<void> drop(int dir, const std::string& name);
  [[nodiscard]] Result<void> put(int dir, const std::string& name, const std::string& text);
  void trouble(const std::string& why);

  Loop& loop_;
  std::string folder_;
  Ports ports_;
  std::unique_ptr<Inotify> notify_;
  std::shared_ptr<const HostView> host_;  // as it was looked at last
  bool there_ = false;
  FileMode mode_;     // of what is written
  dev_t device_ = 0;  // of the folder that all this is about
  ino_t number_ = 0;
  bool scan_ = true;           // its names are to be looked at
  bool beat_ = true;           // alive.jit is to be written
  std::uint64_t news_ = 0;     // of the engine, when it was asked last
  bool all_ = false;           // and all of that is there
  Engine::Outgoing out_;       // what it said
  std::set<Digest> requests_;  // that are there
  EventRange events_;          // that are there
  std::string host_text_;      // of that file; empty: not known
  std::size_t touched_ = 0;    // files, in this turn
  std::string problem_, refused_;
  Source working_, again_, beating_;
};

}  // namespace jit
