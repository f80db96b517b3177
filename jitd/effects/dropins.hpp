// sudoers drop-ins in /run/jit/sudoers.d: one file a grant, jit-<id>, 0440 root:root.
#pragma once

#include <string>
#include <vector>

#include "jitd/sys/files.hpp"
#include "jitd/sys/spawn.hpp"
#include "policy/document/effects.hpp"

namespace jit {

inline constexpr const char* kDropinDir = "/run/jit/sudoers.d";

// A sudo that is installed: every one counts, not the one in PATH.
struct SudoTool {
  std::string sudo;    // absolute path
  std::string visudo;  // absolute path, or empty
  bool rs = false;
  std::string version;
};

// Looks at the known places (/usr/bin/sudo, /usr/bin/sudo-rs, /usr/lib/cargo/bin/sudo, /usr/bin/sudo.ws, resolved) and asks each for its
// version.
[[nodiscard]] std::vector<SudoTool> find_sudos(Spawn& spawn);
[[nodiscard]] SudoDialect dialect_of(const std::vector<SudoTool>& tools);

class Dropins {
 public:
  Dropins(Files& files, Spawn& spawn, std::string dir = kDropinDir);

  // Writes ".jit-<id>.tmp", checks it alone with each visudo, renames it to "jit-<id>". A failed check leaves nothing.
  [[nodiscard]] Result<void> put(const std::string& grant_id, const std::string& sudoers, const std::vector<SudoTool>& tools);
  // Unlinks; a missing file is fine.
  [[nodiscard]] Result<void> remove(const std::string& grant_id);
  // Ids of drop-ins that are there.
  [[nodiscard]] Result<std::vector<std::string>> present() const;

  // The readback, slow and run in the helper: asks each sudo with `sudo -l -U USER -u AS CMD ARGS` that what was meant is
  // what it gives (tags: nopasswd, record from `sudo -ll` / cvtsudoers) and that a standing rule does not win over ours.
  [[nodiscard]] static Result<void> readback(Spawn& spawn, const std::vector<SudoTool>& tools, const std::string& user,
                                             const Effects& effects, const std::string& grant_id, const std::string& dir);

  // Whether sudo knows any rule for this user besides ours ("ALL" through a group, ...): asked at activation for
  // opens = ["sudo"].
  [[nodiscard]] static Result<bool> has_standing_rule(Spawn& spawn, const SudoTool& tool, const std::string& user);

 private:
  Files& files_;
  Spawn& spawn_;
  std::string dir_;
};

}  // namespace jit
