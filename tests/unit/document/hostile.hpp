// Commands made of what sudoers, globs, regular expressions and shells would take for something else.
#pragma once

#include <rapidcheck.h>

#include <string>
#include <vector>

#include "policy/document/effects.hpp"

namespace jit::test {

inline rc::Gen<std::string> hostile_word() {
  const auto piece = rc::gen::element<std::string>(
      "a", "b", "restart", "é", "漢", " ", ",", ":", "=", "\\", "\\\\", "!", "*", "?", "[", "]", "[!a]",
      "[[:alpha:]]", "\"", "\"\"", "'", "#", "#0", "%", "%wheel", "@", "+", "-", "^", "$", "^.*$", "(", ")", "{a,b}",
      "~", "`", "$(id)", ";", "&", "|", "<", ">", "sha256:", "ALL", "NOPASSWD:", "...", ".", "..", "sudoedit", "\\*",
      "\\x41", "\\x2a", "%s", "/", "//", "\\#");
  return rc::gen::map(rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(piece)),
                      [](const std::vector<std::string>& pieces) {
                        std::string word;
                        for (const std::string& one : pieces) {
                          if (word.size() < 24) word += one;
                        }
                        // Blanks at the ends are refused (effects_test.cpp).
                        if (word.front() == ' ') word.insert(0, "x");
                        if (word.back() == ' ') word += 'x';
                        return word;
                      });
}

inline rc::Gen<Command> hostile_command() {
  const auto path =
      rc::gen::element<std::string>("/usr/bin/x", "/opt/a b/c", "/opt/a,b:c=d#e", "/opt/!x@y%z+(1)", "/usr/bin/list",
                                    "/opt/größe", "/opt/ALL", "/opt/'q'", "/opt/sha256:AA", "/opt/#include");
  const auto args =
      rc::gen::map(rc::gen::container<std::vector<std::string>>(hostile_word()), [](std::vector<std::string> words) {
        if (words.size() > 4) words.resize(4);
        return words;
      });
  return rc::gen::apply(
      [](std::string path_, std::vector<std::string> args_, bool any) {
        return Command{std::move(path_), std::move(args_), any};
      },
      path, args, rc::gen::arbitrary<bool>());
}

}  // namespace jit::test
