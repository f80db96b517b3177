#include "jitd/sync/outbox.hpp"

#include <algorithm>

#include "jitd/sync/mailbox.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kIdCharacters = 16;
constexpr std::size_t kSequenceDigits = 12;
constexpr std::size_t kMaxSegments = 1024;

bool all_of(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

}  // namespace

OutboxKind outbox_kind(std::string_view name) {
  if (name == "alive.jit") return OutboxKind::alive;
  if (name.size() < 6 || !name.ends_with(".jit")) return OutboxKind::none;
  const std::string_view middle = name.substr(2, name.size() - 6);
  if (name.starts_with("r-") && middle.size() == kIdCharacters &&
      all_of(middle, "0123456789abcdefghjkmnpqrstvwxyz"))  // Crockford base32, as id_of() writes it
    return OutboxKind::request;
  if (name.starts_with("e-") && middle.size() == kSequenceDigits && all_of(middle, "0123456789"))
    return OutboxKind::event;
  return OutboxKind::none;
}

Result<OutboxHost> parse_outbox_host(std::string_view text) {
  const auto wrong = [](std::string_view why) {
    return fail(Errc::invalid, "the outbox's host: " + std::string(why));
  };
  OutboxHost host;
  if (!text.ends_with('\n')) return wrong("it does not end with a line break");
  text.remove_suffix(1);
  for (const std::string_view line : split(text, '\n')) {
    const auto blank = line.find(' ');
    const std::string_view word = line.substr(0, blank);
    const std::string value(blank == std::string_view::npos ? "" : line.substr(blank + 1));
    if (word == "host" && host.host.empty()) {
      if (auto good = Box::to_host(value); !good) return wrong(good.error().message);
      host.host = value;
    } else if (word == "segment" && host.segments.size() < kMaxSegments) {
      if (auto good = Box::to_segment(value); !good) return wrong(good.error().message);
      if (std::ranges::find(host.segments, value) == host.segments.end()) host.segments.push_back(value);
    } else if (word == "key" && host.key.empty() && value.starts_with("SHA256:") && !unclean(value)) {
      host.key = value;
    } else {
      return wrong("a line that is none of host, segment and key: \"" + shown(line, 80) + "\"");
    }
  }
  if (host.host.empty()) return wrong("no host is named");
  return host;
}

}  // namespace jit
