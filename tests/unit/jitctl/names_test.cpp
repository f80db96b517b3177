// Every subcommand and option stands in the man page and in each completion, and nothing is offered there that is
// not.
#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/unit/jitctl/fixture.hpp"

using namespace jit::ctl;

namespace {

std::string source(const std::string& path) {
  std::ifstream in(std::string(JIT_SOURCE_DIR) + "/" + path);
  REQUIRE(in.good());
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// A whole word, with an end that is no letter, digit or dash.
bool has_word(const std::string& text, const std::string& word) {
  const auto part = [](char byte) {
    return std::isalnum(static_cast<unsigned char>(byte)) != 0 || byte == '-' || byte == '_';
  };
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    if ((at == 0 || !part(text[at - 1])) && (end == text.size() || !part(text[end]))) return true;
  }
  return false;
}

std::string last_word(const std::string& path) {
  return path.substr(path.rfind(' ') == std::string::npos ? 0 : path.rfind(' ') + 1);
}

}  // namespace

TEST_CASE("the man page names every subcommand and option", "[jitctl][docs]") {
  Fixture f;
  const auto page = source("packaging/man/jitctl.1");
  for (const auto& command : shape_of_commands(f.context)) {
    if (!command.path.empty() && command.path.find(' ') != std::string::npos) {
      INFO(command.path);
      CHECK(page.find("Cm " + command.path) != std::string::npos);
    } else if (!command.path.empty()) {
      INFO(command.path);
      CHECK(page.find("Cm " + command.path) != std::string::npos);
    }
    for (const auto& option : command.options) {
      INFO(command.path << " " << option);
      CHECK(page.find("Fl " + option.substr(1)) != std::string::npos);
    }
  }
}

TEST_CASE("the man page of approver.toml names every key", "[jitctl][docs]") {
  const auto page = source("packaging/man/approver.toml.5");
  for (const auto* key : {"key", "hosts", "default_source", "name", "url", "ca", "crl", "certificate", "proxy",
                          "user", "password_file", "poll", "post"}) {
    INFO(key);
    CHECK(page.find(std::string("Ic ") + key + " = ") != std::string::npos);
  }
}

TEST_CASE("the completions name every subcommand and option", "[jitctl][docs]") {
  Fixture f;
  const auto bash = source("packaging/completions/jitctl.bash");
  const auto zsh = source("packaging/completions/_jitctl");
  const auto fish = source("packaging/completions/jitctl.fish");
  for (const auto& command : shape_of_commands(f.context)) {
    INFO(command.path);
    if (!command.path.empty()) {
      const auto word = last_word(command.path);
      CHECK(has_word(bash, word));
      CHECK(has_word(zsh, word));
      CHECK(has_word(fish, word));
    }
    for (const auto& option : command.options) {
      INFO(option);
      CHECK(has_word(bash, option));
      CHECK(zsh.find(option) != std::string::npos);
      const bool in_fish = option.starts_with("--") ? has_word(fish, "-l " + option.substr(2))
                                                    : has_word(fish, "-s " + option.substr(1));
      CHECK(in_fish);
    }
  }
}

TEST_CASE("no completion offers an option that there is not", "[jitctl][docs]") {
  Fixture f;
  std::set<std::string> known = {"--help"};
  for (const auto& command : shape_of_commands(f.context))
    known.insert(command.options.begin(), command.options.end());
  const std::regex option("--[a-z][a-z-]+");
  for (const auto* file : {"packaging/completions/jitctl.bash", "packaging/completions/_jitctl"}) {
    const auto text = source(file);
    for (std::sregex_iterator at(text.begin(), text.end(), option), end; at != end; ++at) {
      INFO(file << " " << at->str());
      CHECK(known.contains(at->str()));
    }
  }
  const auto fish = source("packaging/completions/jitctl.fish");
  const std::regex long_option("complete -c jitctl[^\n]* -l ([a-z-]+)");
  for (std::sregex_iterator at(fish.begin(), fish.end(), long_option), end; at != end; ++at) {
    INFO(at->str());
    CHECK(known.contains("--" + (*at)[1].str()));
  }
}

TEST_CASE("what later releases bring is not offered", "[jitctl][docs]") {
  Fixture f;
  for (const auto* later : {"break-glass", "metrics", "drill"}) {
    INFO(later);
    CHECK(f.jitctl({later}) == Exit::usage);
  }
}
