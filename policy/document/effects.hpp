// `effects`: the canonical text of what a host would give, which approvers sign (sign what you see). No times, no
// ids, no dialect of a tool. Lines in byte order, LF after each:
//
//   group NAME gid N
//   opens GATE
//   sudo as NAME uid N: PATH ARGS [FLAGS]       flags sorted: nopasswd record record-best-effort; no brackets when
//                                               there are none
//
// Words are split by one space; inside a word bytes below 0x21, 0x7f and \ [ ] : , are \xHH. A last word "..." allows
// any arguments (a literal one is \x2e..), no arguments means none. The path "ALL" is every command.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit {

// A command that a role allows: exactly these arguments, or any.
struct Command {
  std::string path;               // absolute, or "ALL"
  std::vector<std::string> args;  // raw, unescaped
  bool any_args = false;          // "..." stood last, after `args`
  auto operator<=>(const Command&) const = default;
};

// Reads and writes "PATH ARGS": the form of policy's `commands` and of `effects` (in policy, `: , [ ]` may stand
// bare).
// "..." behind fixed arguments means these, alone or with any others behind them. Errors: a path that is relative,
// has
// "." or ".." or "//" or a wildcard, ends with "/", or is sudoedit; "..." not last; an empty word; control
// characters; "ALL" with arguments. Classic sudo matches the arguments joined by blanks (sudoers(5), "Wildcards in
// command arguments"): it cannot tell one argument with a blank in it from two.
[[nodiscard]] Result<Command> parse_command(std::string_view text);
[[nodiscard]] std::string to_text(const Command& command);

struct GroupEffect {
  std::string group;
  std::uint32_t gid = 0;
  auto operator<=>(const GroupEffect&) const = default;
};

// Whether sudo's I/O log keeps what goes over the terminal. Required: not given where it cannot be kept. Best effort:
// kept where the host's sudo can, given in any case.
enum class Recording : std::uint8_t { none, required, best_effort };

struct SudoEffect {
  std::string as;
  std::uint32_t uid = 0;
  Command command;
  bool nopasswd = false;
  Recording record = Recording::none;
  auto operator<=>(const SudoEffect&) const = default;
};

struct Effects {
  std::vector<GroupEffect> groups;
  std::vector<std::string> opens;
  std::vector<SudoEffect> sudo;
  bool operator==(const Effects&) const = default;
};

// The canonical text (sorted, each line once) and its only reader; parse_effects refuses anything that to_text would
// not have written, so text and value stand for each other one to one.
[[nodiscard]] std::string to_text(const Effects& effects);
[[nodiscard]] Result<Effects> parse_effects(std::string_view text);

// Where sudo writes recordings under a grant, and under what name until jitd knows whose they are (mkdtemp(3)): jitd
// moves each into GRANT/N below it. root's, 0700.
inline constexpr const char* kRecordingDir = "/var/log/jit-io";
inline constexpr std::string_view kUnclaimed = "unclaimed-";

// Which sudo reads the drop-in. sudo-rs rejects NOTAFTER and ignores LOG_OUTPUT, and every installed sudo counts.
enum class SudoDialect : std::uint8_t { classic, sudo_rs, both };

// The sudoers lines of `effects.sudo` for one user, as `#uid`, one line each with a header comment line. Total: every
// byte of a command is escaped (sudoers(5) "Special characters", globs and fnmatch classes included), or it is an
// error.
//   classic: NOTAFTER=...Z always, LOG_INPUT: LOG_OUTPUT: where recorded
//   sudo_rs: no NOTAFTER; a rule that must be recorded, or a command that sudo-rs would match otherwise, is an error
//            (not given)
//   both:    without NOTAFTER; but rules that must be recorded, and those that sudo-rs would match otherwise, with
//            it: sudo-rs drops them
// Where anything is recorded, a Defaults line of this user says where to: the same in each of their drop-ins, so that
// two never disagree. It covers their other recorded rules too.
// Tags are written out both ways (PASSWD:/NOPASSWD:, NOSETENV:) so that nothing is inherited. "..." behind fixed
// arguments is among what sudo-rs would match otherwise: up to 0.2.5 it reads the "*" literally. Errors: nothing to
// write, a command that parse_command would not have read, an id of nobody, or what sudo-rs cannot do.
[[nodiscard]] Result<std::string> to_sudoers(const Effects& effects, std::uint32_t uid, SudoDialect dialect,
                                             WallTime not_after, std::string_view grant_id);

}  // namespace jit
