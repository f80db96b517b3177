// Our own lines in /etc/pam.d: written and taken out by an admin's `jitctl gate` and by package removal, never by an
// install. Each is marked, so that only what we wrote is ever removed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.hpp"

namespace jit {

inline constexpr std::string_view kMark =
    "# jit-gate";  // ends every line of ours; to libpam a comment like any other

enum class GateMode : std::uint8_t { observe, enforce };
[[nodiscard]] std::string_view name_of(GateMode mode);

// The service file's text with our lines: account first of the account stack, session last; any marked lines that
// were there are replaced. `services` goes into services=. Extra arguments (exempt=, timeout=) are kept from the old
// lines, unless `extra_args` gives them anew; a file without a line of ours starts with exempt=root timeout=500.
// Errors: a pam_jit.so line without the mark; a file that leaves account or session to `other` (a line of ours alone
// would replace that whole stack); what does not parse.
[[nodiscard]] Result<std::string> with_lines(std::string_view text, GateMode mode,
                                             const std::vector<std::string>& services,
                                             const std::vector<std::string>& extra_args);
// Without any marked line. Text that does not parse comes back without the lines of which that can be told all the
// same.
[[nodiscard]] std::string without_lines(std::string_view text);
// With `mode` as the value of mode= in its marked lines, and nothing else changed; of text that does not parse the
// lines of which that can be told.
[[nodiscard]] std::string with_mode(std::string_view text, GateMode mode);

// The list of exempt=, "root,@rescue", with or without that account. One that would be left without a word stays.
[[nodiscard]] std::string exempt_list(std::string_view list, std::string_view name, bool exempt);
// With or without the account in exempt= of its marked lines, and nothing else changed; a line without exempt= gets
// one.
[[nodiscard]] std::string with_exempt(std::string_view text, std::string_view name, bool exempt);

// The same on a directory: replaced atomically, owner, mode and labels kept. Names are of files in `pam_dir`.
// write_lines proves the stack that would come of it (gates/stack.hpp) and writes nothing where the proof fails.
[[nodiscard]] Result<void> write_lines(const std::string& pam_dir, const std::string& service, GateMode mode,
                                       const std::vector<std::string>& services,
                                       const std::vector<std::string>& extra_args);
// True when a line was taken out.
[[nodiscard]] Result<bool> remove_lines(const std::string& pam_dir, const std::string& service);

// A gate as an admin means it: the service and its twin (sudo and sudo-i, su and su-l). A service that another of
// them reaches by include gets no lines of its own. Returns the files that now carry lines, or that carried some.
//
// The way back needs no proof, or what breaks a stack would also keep the gate on it shut: with GateMode::observe,
// lines that stand get that mode before anything else, links followed to the file that they mean. Only then are they
// written anew, where the proof holds; where it does not, gate_problems says why. remove_gate proves nothing either.
[[nodiscard]] Result<std::vector<std::string>> set_gate(const std::string& pam_dir, const std::string& service,
                                                        GateMode mode, const std::vector<std::string>& extra_args);
[[nodiscard]] Result<std::vector<std::string>> remove_gate(const std::string& pam_dir, const std::string& service);
// Exempts an account from the gate on a service and its twin, or no longer, whatever mode it is in. Returns the files
// with lines of it; none: there is no gate.
[[nodiscard]] Result<std::vector<std::string>> exempt_in_gate(const std::string& pam_dir, const std::string& service,
                                                              std::string_view name, bool exempt);
// Whether set_gate would write; nothing is changed.
[[nodiscard]] Result<void> prove_gate(const std::string& pam_dir, const std::string& service, GateMode mode,
                                      const std::vector<std::string>& extra_args);
// What is wrong with a gate as it stands, of the service and its twin; empty: proven.
[[nodiscard]] std::vector<std::string> gate_problems(const std::string& pam_dir, const std::string& service,
                                                     GateMode mode);

// Every file with a line that names pam_jit.so, marked or not: "FILE:LINE". A file that cannot be read (a directory,
// a link to nothing or to itself) is passed over: libpam reads no more of it.
struct LineFound {
  std::string file;
  unsigned line = 0;
  bool marked = false;
  std::string text;
};
[[nodiscard]] Result<std::vector<LineFound>> find_lines(const std::string& pam_dir);

}  // namespace jit
