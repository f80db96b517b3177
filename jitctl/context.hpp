// What a subcommand works with: the daemon, child processes, the terminal, the clock and where files are. Tests put
// fakes in.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jitctl/client.hpp"
#include "jitctl/foreground.hpp"
#include "jitd/sync/mailbox.hpp"
#include "jitd/sys/spawn.hpp"
#include "policy/document/effects.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit::ctl {

// jitctl's exit codes, those of wire::Status: scripts rely on them.
enum class Exit : int { done = 0, failed = 1, usage = 2, pending = 3, unreachable = 4, refused = 5 };

// Where things are on a host. Only tests say otherwise.
struct Places {
  std::string etc = "/etc";
  std::string etc_jit = "/etc/jit";
  std::string var = "/var/lib/jit";
  std::string run = "/run/jit";
  std::string usr = "/usr";
  std::string proc = "/proc";
  std::string recordings = kRecordingDir;
  std::string systemd = "/run/systemd/system";  // there where systemd is the init (sd_booted(3))
  std::string sync = "/var/lib/jit-sync";       // what jitd-sync says of its sources
};

// Four of them, by random_device.
[[nodiscard]] std::string random_digits();

struct Context {
  Daemon& daemon;
  Spawn& spawn;
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool in_terminal = false;   // somebody can answer a question
  bool out_terminal = false;  // somebody reads along
  std::size_t columns = 80;   // of the terminal
  std::size_t rows = 24;
  bool json = false;
  bool qr = false;     // documents are printed as QR codes (qr.hpp), and nothing else is
  bool typed = false;  // a document came from the terminal, from where answers come, too
  uid_t uid = 0;
  std::string user = {};  // who runs us, by name; empty when the uid has none
  std::function<std::optional<std::string>(const char*)> env = {};
  std::function<WallTime()> now = {};
  Places places = {};
  // Becomes another program, argv[0] by its absolute path, with a clean environment. Comes back only with why not.
  std::function<Error(const std::vector<std::string>& argv)> become = {};
  std::vector<std::string> behind_dashes = {};  // of `run`: what stands behind "--", untouched
  // Digits that nobody knows beforehand; tests say otherwise.
  std::function<std::string()> make_digits = random_digits;
  // Runs a command in our place; tests say otherwise.
  std::function<Result<int>(const std::vector<std::string>&)> foreground = run_in_foreground;

  // Opens the mailbox of a source.
  std::function<Result<std::unique_ptr<Mailbox>>(const SourceSpec&)> open_mailbox = {};
  // For how long something took: milliseconds that only go forward. And until `other` (-1: none) is readable, or so
  // long.
  std::function<std::chrono::milliseconds()> ticks = {};
  std::function<void(int other, std::chrono::milliseconds)> pause = {};

  // True when a question can be put to a person and the answer is theirs.
  [[nodiscard]] bool can_ask() const { return in_terminal && !json; }
};

// What a subcommand came to. An Error is shown once, by main; its code gives the exit status.
using Outcome = Result<Exit>;

// refused: 5, unavailable (jitd): 4, everything else: 1.
[[nodiscard]] Exit exit_of(const Error& error);
[[nodiscard]] Exit exit_of(wire::Status status);

// A mistake in how the command was called, found after parsing: exit 2.
[[nodiscard]] Outcome usage(Context& context, std::string_view what);

// One line to standard error: "jitctl: <what>", shown().
void complain(Context& context, std::string_view what);

// The daemon's reply to `verb`; replies that are neither done nor pending become an Error with the daemon's message,
// so that each is shown once and gives the right exit code.
[[nodiscard]] Result<Reply> ask_jitd(Context& context, wire::Verb verb, const Row& fields,
                                     std::chrono::milliseconds deadline = kCallDeadline);

// Puts a yes-or-no question; anything but y or yes is no. Where a document was typed in, yes is a number made up for
// this question: a scanner types whatever is in a code, and that may go on behind the document. Call only when
// can_ask().
[[nodiscard]] bool ask_yes(Context& context, std::string_view question);

// Puts a question with a default answer, "" for none; the end of input is an error.
[[nodiscard]] Result<std::string> ask_line(Context& context, std::string_view question, std::string_view otherwise);

// sd_booted(3), in the tree that `places` names.
[[nodiscard]] bool systemd_is_init(const Context& context);

// Refuses unless uid 0.
[[nodiscard]] Result<void> need_root(const Context& context, std::string_view what);

}  // namespace jit::ctl
