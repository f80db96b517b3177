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

// Looks at the known places (/usr/bin, /usr/local/bin and /usr/lib/cargo/bin, plain and with .ws and -rs, resolved
// and each once) and asks each for its version.
[[nodiscard]] std::vector<SudoTool> find_sudos(Spawn& spawn);
// The paths alone, resolved, without running any.
[[nodiscard]] std::vector<std::string> sudo_paths();
[[nodiscard]] SudoDialect dialect_of(const std::vector<SudoTool>& tools);

// find_sudos, remembered until one of the places changes (a package was installed or removed).
class InstalledSudos {
 public:
  explicit InstalledSudos(Spawn& spawn) : spawn_(spawn) {}
  [[nodiscard]] const std::vector<SudoTool>& now();

 private:
  Spawn& spawn_;
  std::string seen_;
  std::vector<SudoTool> tools_;
};

class Dropins {
 public:
  Dropins(Files& files, Spawn& spawn, std::string dir = kDropinDir);

  // Writes ".jit-<id>.tmp" (0440 root:root before its content), checks it alone with each visudo, renames it to
  // "jit-<id>". A failed check leaves nothing. sudo-rs' visudo is not asked about a text with NOTAFTER, which is
  // there so that sudo-rs drops the line, nor about one that records, of which it knows nothing.
  [[nodiscard]] Result<void> put(const std::string& grant_id, const std::string& sudoers,
                                 const std::vector<SudoTool>& tools);
  // Unlinks it and what a crash may have left of it; a missing file is fine.
  [[nodiscard]] Result<void> remove(const std::string& grant_id);
  // Ids of drop-ins that are there. A missing directory has none.
  [[nodiscard]] Result<std::vector<std::string>> present() const;
  // The text of one, for comparing. Errc::not_found when there is none.
  [[nodiscard]] Result<std::string> text(const std::string& grant_id) const;
  // Unlinks temporaries that a crash left.
  void sweep();

  // The readback, slow and run in the helper: asks each sudo with `sudo -l -U USER -u AS -- CMD ARGS` that what was
  // meant is what it gives, and that the rule that wins is ours: of `sudo -ll` from 1.9.14 on (file, authenticate,
  // log_input, log_output), else from `etc`/sudoers and `etc`/sudoers.d, in which no rule may come after the include
  // of `dir`. What must be recorded also has to go where we look for it, and not to run when it cannot be written:
  // sudo's own listing of the Defaults in force says so. Errc::refused says what is in the way and what to do.
  [[nodiscard]] static Result<void> readback(Spawn& spawn, const std::vector<SudoTool>& tools,
                                             const std::string& user, const Effects& effects,
                                             const std::string& grant_id, const std::string& dir,
                                             const std::string& etc = "/etc");

  // Whether sudo knows any rule for this user besides those in `dir` ("ALL" through a group, ...): asked at
  // activation for opens = ["sudo"]. Where sudo does not name the files of its rules, those of ours are known by
  // run-as and NOTAFTER; any other counts, the safe side.
  [[nodiscard]] static Result<bool> has_standing_rule(Spawn& spawn, const SudoTool& tool, const std::string& user,
                                                      const std::string& dir = kDropinDir);

 private:
  Files& files_;
  Spawn& spawn_;
  std::string dir_;
};

}  // namespace jit
