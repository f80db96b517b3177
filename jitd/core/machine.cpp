#include "jitd/core/machine.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

#include "jitd/sys/files.hpp"
#include "jitd/sys/own_files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxFile = 4096;
constexpr const char* kName = "machine";

// The one word of a small file of the kernel's or the system's; nullopt: it cannot be read.
std::optional<std::string> word_of(const std::string& path) {
  Result<std::string> text = read_file(path, kMaxFile);
  if (!text) return std::nullopt;
  std::string word = text->substr(0, text->find('\n'));
  std::ranges::transform(word, word.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

bool only_hex(std::string_view word) {
  return std::ranges::all_of(word, [](unsigned char c) { return std::isxdigit(c) != 0; });
}

// Firmware that was never told has all zeros or all ones.
bool means_something(std::string_view digits) {
  return digits.find_first_not_of('0') != std::string_view::npos &&
         digits.find_first_not_of('f') != std::string_view::npos;
}

Digest labelled(std::string_view what, const std::string& value) {
  return sha256("jit " + std::string(what) + "\n" + value + "\n");
}

// As it is noted: a word and a value a line.
struct Noted {
  Digest digest;
  MachineFacts facts;
  std::string host_key;
};

std::string text_of(const Noted& noted) {
  std::string text = "machine " + digest_text(noted.digest) + "\n";
  if (noted.facts.id) text += "id " + digest_text(*noted.facts.id) + "\n";
  if (noted.facts.board) text += "board " + digest_text(*noted.facts.board) + "\n";
  return text + "key " + noted.host_key + "\n";
}

std::optional<Noted> parse(const std::string& text) {
  Noted noted;
  bool whole = false;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    const std::string_view word = line.substr(0, blank), value = line.substr(blank + 1);
    if (word == "key") {
      noted.host_key = value;
      continue;
    }
    const Result<Digest> digest = parse_digest(value);
    if (!digest) return std::nullopt;
    if (word == "machine") {
      noted.digest = *digest;
      whole = true;
    } else if (word == "id") {
      noted.facts.id = *digest;
    } else if (word == "board") {
      noted.facts.board = *digest;
    } else {
      return std::nullopt;
    }
  }
  return whole && !noted.host_key.empty() ? std::optional(noted) : std::nullopt;
}

Digest digest_of(const MachineFacts& facts) {
  std::string text = "jit machine\n";
  if (facts.id) text += digest_text(*facts.id) + "\n";
  if (facts.board) text += digest_text(*facts.board) + "\n";
  return sha256(text);
}

Result<void> write(const std::string& var, const Noted& noted) {
  const auto dir = open_dir(var);
  if (!dir) return tl::unexpected<Error>(dir.error());
  if (auto kept = replace_file(system_files(), dir->get(), kName, text_of(noted), {0600, ::geteuid(), ::getegid()});
      !kept)
    return within(var + "/" + kName, kept.error());
  return {};
}

}  // namespace

MachineFacts read_machine(const MachineSources& sources) {
  constexpr std::size_t kIdDigits = 32;
  MachineFacts facts;
  if (const auto id = word_of(sources.id); id && id->size() == kIdDigits && only_hex(*id) && means_something(*id))
    facts.id = labelled("machine-id", *id);
  struct stat status {};
  for (const std::string& mark : sources.container)
    if (::stat(mark.c_str(), &status) == 0) return facts;
  if (const auto board = word_of(sources.board)) {
    std::string digits = *board;
    std::erase(digits, '-');
    if (digits.size() == kIdDigits && only_hex(digits) && means_something(digits))
      facts.board = labelled("board", digits);
  }
  return facts;
}

Machine known_machine(const std::string& var, const MachineFacts& facts, const std::string& host_key,
                      std::string& warning) {
  const std::string path = var + "/" + kName;
  constexpr std::string_view kWhatToDo =
      ". Nothing new is given here until root says which it is: 'jitctl enrol --keep-key' if this is the same host, "
      "moved or with other hardware; 'jitctl enrol --new-key' if it is a copy";
  const auto unknown = [&](const std::string& why) {
    return Machine{digest_of(facts), why + std::string(kWhatToDo)};
  };
  const auto dir = open_dir(var);
  const auto text = dir ? read_own_file(dir->get(), kName, kMaxFile, path)
                        : Result<std::string>(tl::unexpected<Error>(dir.error()));
  std::optional<Noted> noted;
  if (text) {
    noted = parse(*text);
    if (!noted) return unknown("what " + path + " says of the machine of this host's key cannot be read");
  } else if (text.error().code != Errc::not_found) {
    return unknown(text.error().message);
  }
  if (noted) {
    const auto other = [](const std::optional<Digest>& then, const std::optional<Digest>& now) {
      return then && now && *then != *now;
    };
    if (noted->host_key != host_key) return unknown("the host key is not the one that was made on this machine");
    if (other(noted->facts.id, facts.id) || other(noted->facts.board, facts.board)) {
      std::vector<std::string> what;
      if (other(noted->facts.id, facts.id)) what.emplace_back("another /etc/machine-id");
      if (other(noted->facts.board, facts.board)) what.emplace_back("another board (DMI product_uuid)");
      return unknown("this is not the machine that the host key was made on: it has " + joined(what));
    }
  }
  Noted now = noted.value_or(Noted{digest_of(facts), facts, host_key});
  if (!now.facts.id) now.facts.id = facts.id;
  if (!now.facts.board) now.facts.board = facts.board;
  if (!noted || now.facts != noted->facts) {
    if (Result<void> kept = write(var, now); !kept)
      warning = "a copy of this host would not be told from it: " + kept.error().message;
  }
  return {now.digest, ""};
}

Result<Machine> enrol_machine(const std::string& var, const MachineFacts& facts, const std::string& host_key) {
  const Noted noted{digest_of(facts), facts, host_key};
  if (Result<void> kept = write(var, noted); !kept) return tl::unexpected<Error>(kept.error());
  return Machine{noted.digest, ""};
}

}  // namespace jit
