// Options that several subcommands share, and checks that CLI11 runs while it parses, so that a wrong one is a usage
// error.
#pragma once

#include <string>

#include "jitctl/command.hpp"
#include "jitctl/deliver.hpp"

namespace jit::ctl {

// "" when good, else what is wrong: the form that CLI11's check() takes.
[[nodiscard]] std::string duration_problem(const std::string& text);
[[nodiscard]] std::string time_problem(const std::string& text);  // RFC 3339 UTC
[[nodiscard]] std::string role_problem(const std::string& text);
[[nodiscard]] std::string user_problem(const std::string& text);
[[nodiscard]] std::string words_problem(const std::string& text);  // reason or comment

// --key and -o/--output.
void add_sign_options(Command& command, SignOptions& options);
// --on HOST... and --segment S...
void add_where(Command& command, Where& where);
// -m/--message, required.
void add_reason(Command& command, std::string& reason);

}  // namespace jit::ctl
