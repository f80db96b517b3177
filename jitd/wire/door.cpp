#include "jitd/wire/door.hpp"

namespace jit::wire {
namespace {

bool take(const Frame& frame, Tag tag, std::size_t limit, std::string_view& into) noexcept {
  const auto text = frame.text(tag);
  if (!text) return true;
  if (text->size() > limit || text->find('\0') != std::string_view::npos) return false;
  into = *text;
  return true;
}

bool take(const Frame& frame, Tag tag, std::span<char> into) noexcept {
  std::string_view text;
  if (!take(frame, tag, into.size() - 1, text)) return false;
  copy_text(into, text);
  return true;
}

bool fits(std::string_view text, std::size_t limit) noexcept {
  return !text.empty() && text.size() <= limit;
}

std::string_view text_of(const char* array) noexcept {
  return {array, std::strlen(array)};
}

// Both or none.
bool whole(const DoorAsk& ask) noexcept {
  return ask.role.empty() == ask.reason.empty();
}

}  // namespace

std::span<const std::byte> make_door_ask(std::span<std::byte> buffer, std::uint32_t id, const DoorAsk& ask) noexcept {
  if (!fits(ask.service, kMaxService) || !fits(ask.subject, kMaxSubject) || !fits(ask.gate, kMaxService) ||
      ask.role.size() > kMaxDoorRole || ask.reason.size() > kMaxDoorReason || !whole(ask))
    return {};
  Writer frame(buffer, Verb::ask, id);
  frame.text(Tag::service, ask.service).text(Tag::subject, ask.subject).text(Tag::gate, ask.gate);
  if (ask.has_uid) frame.number(Tag::subject_uid, ask.uid);
  if (fits(ask.rhost, kMaxSubject)) frame.text(Tag::rhost, ask.rhost);
  if (!ask.role.empty()) frame.text(Tag::role, ask.role).text(Tag::reason, ask.reason);
  return frame.finish();
}

std::optional<DoorAsk> read_door_ask(const Frame& frame) noexcept {
  if (frame.verb() != Verb::ask) return std::nullopt;
  DoorAsk ask;
  if (!take(frame, Tag::service, kMaxService, ask.service) || !take(frame, Tag::subject, kMaxSubject, ask.subject) ||
      !take(frame, Tag::gate, kMaxService, ask.gate) || !take(frame, Tag::rhost, kMaxSubject, ask.rhost) ||
      !take(frame, Tag::role, kMaxDoorRole, ask.role) || !take(frame, Tag::reason, kMaxDoorReason, ask.reason))
    return std::nullopt;
  if (ask.service.empty() || ask.subject.empty() || ask.gate.empty() || !whole(ask)) return std::nullopt;
  if (const auto uid = frame.number(Tag::subject_uid)) {
    if (*uid >= UINT32_MAX) return std::nullopt;  // -1 is nobody
    ask.has_uid = true;
    ask.uid = static_cast<std::uint32_t>(*uid);
  }
  return ask;
}

std::span<const std::byte> make_door_said(std::span<std::byte> buffer, std::uint32_t id,
                                          const DoorSaid& said) noexcept {
  Writer frame(buffer, said.last ? Verb::result : Verb::item, id);
  if (said.last) frame.number(Tag::status, static_cast<std::uint64_t>(said.status));
  if (said.id[0] != '\0') frame.text(Tag::id, text_of(said.id));
  if (said.role[0] != '\0') frame.text(Tag::role, text_of(said.role));
  if (said.message[0] != '\0') frame.text(Tag::message, text_of(said.message));
  return frame.finish();
}

std::optional<DoorSaid> read_door_said(const Frame& frame, std::uint32_t id) noexcept {
  if ((frame.verb() != Verb::result && frame.verb() != Verb::item) || frame.id() != id) return std::nullopt;
  DoorSaid said;
  said.last = frame.verb() == Verb::result;
  if (said.last) {
    const auto status = frame.number(Tag::status);
    if (!status || *status > static_cast<std::uint64_t>(Status::refused)) return std::nullopt;
    said.status = static_cast<Status>(*status);
  }
  if (!take(frame, Tag::id, said.id) || !take(frame, Tag::role, said.role) ||
      !take(frame, Tag::message, said.message))
    return std::nullopt;
  return said;
}

}  // namespace jit::wire
