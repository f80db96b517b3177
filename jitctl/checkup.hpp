// What doctor looks at, one function a subject. Each adds findings; none changes anything.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jitctl/context.hpp"

namespace jit::ctl {

struct Finding {
  enum class Level { fine, note, problem } level = Level::note;
  std::string what;  // what is so
  std::string todo;  // what to do about it; empty for what is fine
};

class Findings {
 public:
  void fine(std::string what) { add({Finding::Level::fine, std::move(what), {}}); }
  void note(std::string what, std::string todo) { add({Finding::Level::note, std::move(what), std::move(todo)}); }
  void problem(std::string what, std::string todo) {
    add({Finding::Level::problem, std::move(what), std::move(todo)});
  }
  [[nodiscard]] const std::vector<Finding>& all() const { return all_; }
  [[nodiscard]] std::size_t problems() const;
  // True when a finding says this already.
  [[nodiscard]] bool mentions(std::string_view what) const;

 private:
  void add(Finding finding);  // once: the daemon and the files often say the same
  std::vector<Finding> all_;
};

void check_daemon(Context& context, Findings& findings);   // answers, policy in force, clock, warnings of its own
void check_board(Context& context, Findings& findings);    // what checks are answered from when jitd is gone
void check_config(Context& context, Findings& findings);   // what `jitd --check` says: would it start
void check_policy(Context& context, Findings& findings);   // the files as they stand, and on this host
void check_trust(Context& context, Findings& findings);    // approvers, bad lines, owners
void check_gates(Context& context, Findings& findings);    // every stack with our line, exempt logins, UsePAM
void check_door(Context& context, Findings& findings);     // lines that ask for a grant: conversation, proof, timers
void check_mailbox(Context& context, Findings& findings);  // the mailbox over ssh, where it is on
void check_sudo(Context& context, Findings& findings);     // sudoers' PAM switches, zz-jit, group_source, sudo-rs
void check_namespaces(Context& context, Findings& findings);  // whether a group can be kept in one
void check_host(Context& context, Findings& findings);        // the pinned name
void check_disk(Context& context, Findings& findings);        // room where grants are written
void check_units(Context& context, Findings& findings);       // daemon, boot unit, dead-man

}  // namespace jit::ctl
