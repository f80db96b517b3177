// PAM stacks as they take effect: /etc/pam.d (pam.d(5)) with include, @include and substack followed, and the proof
// that our account line is reached by everybody and nothing overrules it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

inline constexpr const char* kPamDir = "/etc/pam.d";
inline constexpr std::string_view kModule = "pam_jit.so";

enum class PamType : std::uint8_t { auth, account, password, session };

struct PamLine {
  PamType type = PamType::account;
  bool quiet = false;                          // leading '-'
  std::string control;                         // "required" or the words inside [...], or "substack"
  std::map<std::string, std::string> actions;  // return value to action, of either form; "default" is always there
  std::string module;                          // as written; of a substack the file's name
  std::vector<std::string> args;
  std::string file;
  unsigned line = 0;
  bool ours = false;    // module's last path part is pam_jit.so
  bool marked = false;  // written by us (gates/lines.hpp)

  // The value of the argument `name=`; empty when absent.
  [[nodiscard]] std::string argument(std::string_view name) const;
};

// One service's stacks, read from files of the pam.d directory.
class PamConfig {
 public:
  // `instead` replaces the text of files by name: for proving a change before it is written. A file that `pam_dir`
  // lacks is looked for in /usr/lib/pam.d when pam_dir is /etc/pam.d, as libpam does.
  [[nodiscard]] static Result<PamConfig> load(const std::string& pam_dir, const std::string& service,
                                              const std::map<std::string, std::string>& instead = {});
  [[nodiscard]] static Result<PamConfig> parse(const std::map<std::string, std::string>& files,
                                               const std::string& service);

  // The effective stack of a type, includes spliced in; a substack keeps its own depth.
  struct Entry {
    PamLine line;
    unsigned depth = 0;  // 0: the service's own; 1: inside a substack ...
  };
  // Where the service has no line of the type, that is the stack of `other`.
  [[nodiscard]] const std::vector<Entry>& stack(PamType type) const;
  [[nodiscard]] bool from_other(PamType type) const { return from_other_.at(type); }
  [[nodiscard]] const std::string& service() const { return service_; }

 private:
  using Reader = std::function<Result<std::string>(const std::string& name)>;
  [[nodiscard]] static Result<PamConfig> build(const std::string& service, const Reader& read,
                                               const std::string& shown_dir);

  std::string service_;
  std::map<PamType, std::vector<Entry>> stacks_;
  std::map<PamType, bool> from_other_;
};

// What is wrong with our line in this service's account stack; empty: proven. Fails when there is none, when it is
// not `required` (or requisite), when anything before it can end the stack or jump over it (sufficient, success=done,
// ok with a jump, [... =die] is no bypass), when something behind it can forget its refusal (reset), when it is in a
// substack, or `services=` does not name the service, or `mode=` differs from the wanted ("" takes either).
struct StackFinding {
  bool fatal = true;  // false: a warning
  std::string text;   // "/etc/pam.d/sshd:4: ..."
};
[[nodiscard]] std::vector<StackFinding> prove_account(const PamConfig& config, const std::string& wanted_mode);
// The same for the session line, which must also stand behind pam_systemd.
[[nodiscard]] std::vector<StackFinding> prove_session(const PamConfig& config, const std::string& wanted_mode);

// `service` and every service whose account or session stack reaches its file by include (su-l includes su, sudo-i
// includes sudo on some systems): they must all stand in services=.
[[nodiscard]] Result<std::vector<std::string>> services_reaching(const std::string& pam_dir,
                                                                 const std::string& service);

// The services that one gate is about, because one program uses them both: sudo with sudo-i, su with su-l, as far as
// they have a file in pam_dir. A gate on one half alone is a way around it.
[[nodiscard]] std::vector<std::string> service_family(const std::string& pam_dir, const std::string& service);

}  // namespace jit
