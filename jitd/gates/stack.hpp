// PAM stacks as they take effect: /etc/pam.d (pam.d(5)) with include, @include and substack followed, and the proof that our
// account line is reached by everybody and nothing overrules it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

enum class PamType : std::uint8_t { auth, account, password, session };

struct PamLine {
  PamType type = PamType::account;
  bool quiet = false;            // leading '-'
  std::string control;           // "required" or the words inside [...]
  std::map<std::string, std::string> actions;  // return value to action, of either form; "default" too
  std::string module;            // as written
  std::vector<std::string> args;
  std::string file;
  unsigned line = 0;
  bool ours = false;             // module's last path part is pam_jit.so
  bool marked = false;           // written by us (gates/lines.hpp)
};

// Reads a service's files through `read_file(name)`, where name is a file of the pam.d directory.
class PamConfig {
 public:
  [[nodiscard]] static Result<PamConfig> load(const std::string& pam_dir, const std::string& service);
  [[nodiscard]] static Result<PamConfig> parse(const std::map<std::string, std::string>& files, const std::string& service);

  // The effective stack of a type, includes spliced in; a substack keeps its own depth.
  struct Entry {
    PamLine line;
    unsigned depth = 0;  // 0: the service's own; 1: inside a substack ...
  };
  [[nodiscard]] const std::vector<Entry>& stack(PamType type) const;
  [[nodiscard]] const std::string& service() const { return service_; }

 private:
  std::string service_;
  std::map<PamType, std::vector<Entry>> stacks_;
};

// What is wrong with our line in this service's account stack; empty: proven. Fails when there is none, when it is not
// `required` (or requisite), when anything before it can end the stack or jump over it (sufficient, success=done, ok with
// a jump, [... =die] is no bypass), when it is in a substack, or `services=` does not name the service, or `mode=` differs from the wanted.
struct StackFinding {
  bool fatal = true;  // false: a warning
  std::string text;   // "/etc/pam.d/sshd:4: ..."
};
[[nodiscard]] std::vector<StackFinding> prove_account(const PamConfig& config, const std::string& wanted_mode);
[[nodiscard]] std::vector<StackFinding> prove_session(const PamConfig& config, const std::string& wanted_mode);

// Services whose stack of `type` reaches `service`'s file by include (su-l includes su, sudo-i includes sudo on some
// systems): they must all stand in services=.
[[nodiscard]] Result<std::vector<std::string>> services_reaching(const std::string& pam_dir, const std::string& service);

}  // namespace jit
