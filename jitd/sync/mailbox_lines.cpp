#include "jitd/sync/mailbox_lines.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "policy/document/envelope.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using Verb = MailboxCommand::Verb;
using What = MailboxReply::What;

constexpr std::string_view kGreeting = "jit-mailbox";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kMaxStamp = 80;
constexpr std::size_t kMaxErrorText = 1024;

constexpr std::array<std::pair<Verb, std::string_view>, 5> kVerbs = {
    {{Verb::list, "list"}, {Verb::get, "get"}, {Verb::put, "put"}, {Verb::wait, "wait"}, {Verb::quit, "quit"}}};

// Replies of one word.
constexpr std::array<std::pair<What, std::string_view>, 4> kWords = {
    {{What::ok, "ok"}, {What::changed, "changed"}, {What::same, "same"}, {What::bye, "bye"}}};

constexpr std::array<std::pair<Errc, std::string_view>, 6> kErrors = {{{Errc::invalid, "invalid"},
                                                                       {Errc::refused, "refused"},
                                                                       {Errc::not_found, "not-found"},
                                                                       {Errc::unavailable, "unavailable"},
                                                                       {Errc::busy, "busy"},
                                                                       {Errc::system, "system"}}};

template <class Table, class Key>
std::string word_of(const Table& table, Key key) {
  for (const auto& [one, word] : table)
    if (one == key) return std::string(word);
  return {};
}

// Letters, digits and "._-": nothing that could end a word or a line, or mean something in a path.
bool plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

tl::unexpected<Error> strange(std::string_view line) {
  return fail(Errc::invalid, "\"" + shown(line, 80) + "\" makes no sense here");
}

Result<MailboxReply> parse_error(std::string_view line) {
  const std::string_view rest = line.substr(6);  // behind "error "
  const auto blank = rest.find(' ');
  if (blank == std::string_view::npos) return strange(line);
  for (const auto& [code, word] : kErrors) {
    if (rest.substr(0, blank) != word) continue;
    MailboxReply reply{What::error};
    reply.error = {code, shown(rest.substr(blank + 1), kMaxErrorText), 0};
    return reply;
  }
  return strange(line);
}

Result<MailboxReply> parse_item(std::string_view line, const std::vector<std::string_view>& words) {
  const auto size = parse_number(words[1], kMaxDocument);
  if (!size || words[2].empty() || words[2].size() > kMaxStamp || !plain(words[2]) || !mailbox_name(words[3]))
    return strange(line);
  MailboxReply reply{What::item};
  reply.item = {std::string(words[3]), *size, std::string(words[2])};
  return reply;
}

}  // namespace

bool mailbox_name(std::string_view name) {
  return document_name(name) && plain(name);
}

void MailboxInput::add(std::string_view bytes) {
  text_.erase(0, std::exchange(at_, 0));
  text_.append(bytes);
}

Result<std::optional<std::string>> MailboxInput::line(std::size_t limit) {
  const std::string_view rest = std::string_view(text_).substr(at_);
  const auto end = rest.find('\n');
  if (std::min(end, rest.size()) > limit)
    return fail(Errc::invalid, "a line of more than " + std::to_string(limit) + " bytes");
  if (end == std::string_view::npos) return std::nullopt;
  at_ += end + 1;
  return std::string(rest.substr(0, end));
}

std::optional<std::string> MailboxInput::block(std::size_t size) {
  if (text_.size() - at_ < size) return std::nullopt;
  at_ += size;
  return text_.substr(at_ - size, size);
}

Result<MailboxCommand> parse_mailbox_command(std::string_view line) {
  const auto words = split(line, ' ');
  for (const auto& [verb, word] : kVerbs) {
    if (words[0] != word) continue;
    MailboxCommand command{verb, {}, 0};
    if (words.size() != (verb == Verb::get || verb == Verb::put ? 2U : 1U)) break;
    if (verb == Verb::get) {
      if (!mailbox_name(words[1])) return fail(Errc::invalid, "that is no document's name");
      command.name = words[1];
    }
    if (verb == Verb::put) {
      const auto size = parse_number(words[1], kMaxDocument);
      if (!size || *size == 0)
        return fail(Errc::invalid, "a document has 1 to " + std::to_string(kMaxDocument) + " bytes");
      command.size = *size;
    }
    return command;
  }
  return fail(Errc::invalid, "the commands are: list, get NAME, put BYTES, wait, quit");
}

std::string to_line(const MailboxCommand& command) {
  std::string line = word_of(kVerbs, command.verb);
  if (command.verb == Verb::get) line += " " + command.name;
  if (command.verb == Verb::put) line += " " + std::to_string(command.size);
  return line + "\n";
}

Result<MailboxReply> parse_mailbox_reply(std::string_view line) {
  if (line.starts_with("error ")) return parse_error(line);
  for (const auto& [what, word] : kWords)
    if (line == word) return MailboxReply{what};
  const auto words = split(line, ' ');
  if (words.size() == 3 && words[0] == kGreeting) {
    if (words[1] != kVersion)
      return fail(Errc::invalid, "its mailbox speaks version " + shown(words[1], 20) + ", which is not known here");
    // A host of this name has a place in a mailbox, or its name is none.
    if (const auto box = Box::from_host(std::string(words[2])); !box) return tl::unexpected(box.error());
    return MailboxReply{What::greeting, std::string(words[2])};
  }
  if (words.size() == 4 && words[0] == "item") return parse_item(line, words);
  if (words.size() == 2 && (words[0] == "end" || words[0] == "data")) {
    const bool data = words[0] == "data";
    const auto number = parse_number(words[1], data ? kMaxDocument : kMaxMailboxItems);
    if (!number) return strange(line);
    MailboxReply reply{data ? What::data : What::end};
    reply.number = *number;
    return reply;
  }
  return strange(line);
}

std::string to_line(const MailboxReply& reply) {
  switch (reply.what) {
    case What::greeting:
      return std::string(kGreeting) + " " + std::string(kVersion) + " " + reply.host + "\n";
    case What::item:
      return "item " + std::to_string(reply.item.size) + " " + reply.item.stamp + " " + reply.item.name + "\n";
    case What::end:
      return "end " + std::to_string(reply.number) + "\n";
    case What::data:
      return "data " + std::to_string(reply.number) + "\n";
    case What::error:
      return "error " + word_of(kErrors, reply.error.code) + " " + shown(reply.error.message, kMaxErrorText) + "\n";
    default:
      return word_of(kWords, reply.what) + "\n";
  }
}

}  // namespace jit
