#include "jitd/core/sudo_words.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace jit {
namespace {

constexpr std::string_view kPlain = "ABbEHkNnPS", kWithValue = "CDghpRrTtUu", kShell = "is";
constexpr std::array<std::string_view, 9> kLongPlain = {
    "askpass",         "bell", "background", "preserve-env", "set-home", "reset-timestamp", "non-interactive",
    "preserve-groups", "stdin"};
constexpr std::array<std::string_view, 11> kLongWithValue = {"close-from", "chdir",      "group",          "host",
                                                             "prompt",     "chroot",     "role",           "type",
                                                             "user",       "other-user", "command-timeout"};
constexpr std::array<std::string_view, 2> kLongShell = {"login", "shell"};

bool contains(const auto& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string_view last_part(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// /bin is /usr/bin where it is a link, and for this question it does no harm where it is not.
std::string_view without_usr(std::string_view path) {
  constexpr std::string_view kUsr = "/usr";
  return path.starts_with("/usr/bin/") || path.starts_with("/usr/sbin/") ? path.substr(kUsr.size()) : path;
}

}  // namespace

std::optional<std::vector<std::string>> command_of_sudo(const std::vector<std::string>& argv) {
  if (argv.empty() || last_part(argv[0]).ends_with("edit")) return std::nullopt;  // sudoedit, by whatever link
  bool shell = false;
  std::size_t at = 1;
  for (; at < argv.size(); ++at) {
    const std::string_view word = argv[at];
    if (word == "--") {
      ++at;
      break;
    }
    if (!word.starts_with('-')) {
      const auto equals = word.find('=');
      if (equals == std::string_view::npos || equals == 0 || word.find('/') < equals) break;
      continue;  // a variable for the command
    }
    if (word.starts_with("--")) {
      const auto equals = word.find('=');
      const std::string_view name = word.substr(2, equals == std::string_view::npos ? equals : equals - 2);
      if (contains(kLongShell, name)) {
        shell = true;
      } else if (contains(kLongWithValue, name)) {
        if (equals == std::string_view::npos) ++at;
      } else if (!contains(kLongPlain, name)) {
        return std::nullopt;
      }
      continue;
    }
    if (word.size() < 2) return std::nullopt;
    for (std::size_t i = 1; i < word.size(); ++i) {
      if (kShell.find(word[i]) != std::string_view::npos) {
        shell = true;
      } else if (kWithValue.find(word[i]) != std::string_view::npos) {
        if (i + 1 == word.size()) ++at;
        break;
      } else if (kPlain.find(word[i]) == std::string_view::npos) {
        return std::nullopt;
      }
    }
  }
  if (shell) return std::vector<std::string>{"-"};  // with a command too: the shell is what runs it
  if (at >= argv.size()) return std::nullopt;
  return std::vector<std::string>(argv.begin() + static_cast<std::ptrdiff_t>(at), argv.end());
}

std::optional<std::vector<std::string>> plain_command_of_sudo(const std::vector<std::string>& argv) {
  constexpr std::array<std::string_view, 15> kHarmless = {"-A",
                                                          "-B",
                                                          "-b",
                                                          "-H",
                                                          "-k",
                                                          "-n",
                                                          "-S",
                                                          "--askpass",
                                                          "--bell",
                                                          "--background",
                                                          "--set-home",
                                                          "--reset-timestamp",
                                                          "--non-interactive",
                                                          "--stdin",
                                                          "--"};
  constexpr std::array<std::string_view, 4> kHarmlessWithValue = {"-u", "-p", "--user", "--prompt"};
  auto words = command_of_sudo(argv);
  if (!words) return std::nullopt;
  const bool shell = words->size() == 1 && words->front() == "-" && argv.back() != "-";
  bool login = false;
  std::size_t at = 1;
  for (const std::size_t end = shell ? argv.size() : argv.size() - words->size(); at < end; ++at) {
    const std::string_view word = argv[at];
    if (contains(kHarmlessWithValue, word)) {
      ++at;
    } else if (shell && (word == "-i" || word == "--login")) {
      login = true;
    } else if (!contains(kHarmless, word) && !word.starts_with("--user=") && !word.starts_with("--prompt=")) {
      return std::nullopt;
    }
  }
  if (!shell) return words;
  return login ? std::optional<std::vector<std::string>>({"-i"}) : std::nullopt;
}

Fits fits(const SudoEffect& rule, const std::vector<std::string>& words) {
  const Command& command = rule.command;
  if (command.path == "ALL") return Fits::exactly;
  if (words.empty() || last_part(words[0]) != last_part(command.path)) return Fits::no;
  const auto given = static_cast<std::ptrdiff_t>(words.size()) - 1;
  const auto wanted = static_cast<std::ptrdiff_t>(command.args.size());
  if (given < wanted || (given > wanted && !command.any_args)) return Fits::no;
  if (!std::equal(command.args.begin(), command.args.end(), words.begin() + 1)) return Fits::no;
  return without_usr(words[0]) == without_usr(command.path) ? Fits::exactly : Fits::perhaps;
}

}  // namespace jit
