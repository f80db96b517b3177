// Options that several subcommands share, and checks that CLI11 runs while it parses, so that a wrong one is a usage
// error.
#pragma once

#include <string>

#include "jitctl/command.hpp"
#include "jitctl/deliver.hpp"
#include "policy/time.hpp"

namespace jit::ctl {

// "" when good, else what is wrong: the form that CLI11's check() takes.
[[nodiscard]] std::string duration_problem(const std::string& text);
[[nodiscard]] std::string time_problem(const std::string& text);
[[nodiscard]] std::string role_problem(const std::string& text);
[[nodiscard]] std::string user_problem(const std::string& text);
[[nodiscard]] std::string words_problem(const std::string& text);  // reason or comment
[[nodiscard]] std::string ticket_problem(const std::string& text);

// A time as RFC 3339 UTC has it, or in the form of ssh-keygen(1): 20261122180000Z. Errors name the first.
[[nodiscard]] Result<WallTime> parse_time(const std::string& text);
// --until: a time that is still to come.
[[nodiscard]] Result<WallTime> parse_until(const Context& context, const std::string& text);

// --key and -o/--output.
void add_sign_options(Command& command, SignOptions& options);
// --qr, wherever a document could be written with -o.
void add_qr(Command& command, Context& context);
// --on HOST... and --segment S...
void add_where(Command& command, Where& where);
// -m/--message, required.
void add_reason(Command& command, std::string& reason);

}  // namespace jit::ctl
