#include "jitd/wire/check.hpp"

namespace jit::wire {
namespace {

constexpr std::size_t kMaxForRecord = 255;

std::string_view cut(std::string_view text) noexcept {
  return {text.data(), text.size() > kMaxForRecord ? kMaxForRecord : text.size()};
}

bool has_nul(std::string_view text) noexcept {
  return text.find('\0') != std::string_view::npos;
}

// False when the field is there and longer than `limit`, or holds a NUL. An absent one leaves `into` as it is.
bool take(const Frame& frame, Tag tag, std::size_t limit, std::string_view& into) noexcept {
  const auto text = frame.text(tag);
  if (!text) return true;
  if (text->size() > limit || has_nul(*text)) return false;
  into = *text;
  return true;
}

bool take(const Frame& frame, Tag tag, std::span<char> into) noexcept {
  std::string_view text;
  if (!take(frame, tag, into.size() - 1, text)) return false;
  copy_text(into, text);
  return true;
}

std::string_view text_of(const char* array) noexcept {
  return {array, std::strlen(array)};
}

}  // namespace

std::span<const std::byte> make_query(std::span<std::byte> buffer, std::uint32_t id, const Query& query) noexcept {
  if (query.service.empty() || query.service.size() > kMaxService || query.subject.empty() ||
      query.subject.size() > kMaxSubject)
    return {};
  Writer frame(buffer, Verb::check, id);
  frame.number(Tag::phase, static_cast<std::uint64_t>(query.phase));
  frame.text(Tag::service, query.service).text(Tag::subject, query.subject);
  if (query.has_uid) frame.number(Tag::subject_uid, query.uid);
  if (!query.target.empty()) frame.text(Tag::target, cut(query.target));
  if (!query.tty.empty()) frame.text(Tag::tty, cut(query.tty));
  if (!query.rhost.empty()) frame.text(Tag::rhost, cut(query.rhost));
  frame.number(Tag::started, query.started_ms).number(Tag::line_enforces, query.line_enforces ? 1 : 0);
  return frame.finish();
}

std::optional<Query> read_query(const Frame& frame) noexcept {
  if (frame.verb() != Verb::check) return std::nullopt;
  Query query;
  const auto phase = frame.number(Tag::phase);
  if (!phase || *phase < 1 || *phase > 3) return std::nullopt;
  query.phase = static_cast<Phase>(*phase);
  if (!take(frame, Tag::service, kMaxService, query.service) || query.service.empty() ||
      !take(frame, Tag::subject, kMaxSubject, query.subject) || query.subject.empty() ||
      !take(frame, Tag::target, kMaxForRecord, query.target) || !take(frame, Tag::tty, kMaxForRecord, query.tty) ||
      !take(frame, Tag::rhost, kMaxForRecord, query.rhost))
    return std::nullopt;
  if (const auto uid = frame.number(Tag::subject_uid)) {
    if (*uid >= UINT32_MAX) return std::nullopt;  // -1 is nobody
    query.has_uid = true;
    query.uid = static_cast<std::uint32_t>(*uid);
  }
  if (const auto started = frame.number(Tag::started)) query.started_ms = *started;
  // Only a plain 0 makes the line an observing one.
  if (const auto enforces = frame.number(Tag::line_enforces)) query.line_enforces = *enforces != 0;
  return query;
}

std::span<const std::byte> make_answer(std::span<std::byte> buffer, std::uint32_t id, const Answer& answer) noexcept {
  Writer frame(buffer, Verb::result, id);
  frame.number(Tag::status, static_cast<std::uint64_t>(Status::done));
  frame.number(Tag::verdict, static_cast<std::uint64_t>(answer.verdict));
  if (answer.gate[0] != '\0') frame.text(Tag::gate, text_of(answer.gate));
  if (answer.grant[0] != '\0') frame.text(Tag::grant, text_of(answer.grant));
  if (answer.message[0] != '\0') frame.text(Tag::message, text_of(answer.message));
  return frame.finish();
}

std::optional<Answer> read_answer(const Frame& frame, std::uint32_t id) noexcept {
  if (frame.verb() != Verb::result || frame.id() != id) return std::nullopt;
  const auto status = frame.number(Tag::status);
  const auto verdict = frame.number(Tag::verdict);
  if (!status || *status != static_cast<std::uint64_t>(Status::done) || !verdict) return std::nullopt;
  Answer answer;
  bool known = false;
  for (const Verdict each : {Verdict::allow, Verdict::not_gated, Verdict::observe, Verdict::deny, Verdict::unknown}) {
    if (*verdict != static_cast<std::uint64_t>(each)) continue;
    answer.verdict = each;
    known = true;
  }
  if (!known || !take(frame, Tag::gate, answer.gate) || !take(frame, Tag::grant, answer.grant) ||
      !take(frame, Tag::message, answer.message))
    return std::nullopt;
  return answer;
}

}  // namespace jit::wire
