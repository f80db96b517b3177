// What subcommands say of their command line. CLI11 parses; it is included by command.cpp and app.cpp alone, since it
// costs the compiler ten seconds a file.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace jit::ctl {

// An option or argument of a subcommand. Every call returns the option itself, to be chained.
class Option {
 public:
  explicit Option(CLI::Option& option) : option_(&option) {}
  Option* required();
  // `problem` returns "" for a good value, else what is wrong with it: a usage error.
  Option* check(std::string (*problem)(const std::string&));
  Option* type_name(const std::string& name);  // as --help shows the value
  Option* delimiter(char between);             // several values in one word
  Option* one_each();                          // one value each time that it is given; what follows is no other
  [[nodiscard]] bool given() const;            // on the command line that was parsed

 private:
  CLI::Option* option_;
};

// A subcommand being declared. Lives as long as the Commands that made it.
class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}
  Option* add_option(const std::string& names, std::string& into, const std::string& description);
  Option* add_option(const std::string& names, std::vector<std::string>& into, const std::string& description);
  Option* add_option(const std::string& names, std::uint64_t& into, const std::string& description);
  Option* add_flag(const std::string& names, bool& into, const std::string& description);
  [[nodiscard]] CLI::App& app() { return *app_; }

 private:
  CLI::App* app_;
  std::deque<Option> options_;  // their addresses are handed out
};

}  // namespace jit::ctl
