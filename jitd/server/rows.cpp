#include "jitd/server/rows.hpp"

#include <algorithm>

namespace jit {
namespace {

constexpr std::size_t kMaxText = 4096;  // of a reason, comment or note on the wire
constexpr std::size_t kMaxLines = 64;   // of signers, requesters, waiting_for each

void put(wire::Writer& frame, wire::Tag tag, std::string_view text) {
  if (!text.empty()) frame.text(tag, clipped(text, kMaxText));
}

void put_time(wire::Writer& frame, wire::Tag tag, std::int64_t seconds) {
  if (seconds > 0) frame.number(tag, static_cast<std::uint64_t>(seconds));
}

// What is left of an active grant, by the clock that ends it first.
std::int64_t remaining(const GrantRecord& record, const Instant& now) {
  std::int64_t left = record.not_after - now.wall_ms / 1000;
  if (record.boot_deadline_ms > 0) {
    const auto boot =
        (static_cast<std::int64_t>(record.boot_deadline_ms) - static_cast<std::int64_t>(now.boot_ms)) / 1000;
    left = std::min(left, boot);
  }
  return std::max<std::int64_t>(left, 0);
}

}  // namespace

std::string_view clipped(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;  // never inside a UTF-8 sequence
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

void put_grant(wire::Writer& frame, const GrantView& view, const Instant& now) {
  using wire::Tag;
  const GrantRecord& record = view.record;
  put(frame, Tag::id, record.id);
  put(frame, Tag::digest, digest_text(record.digest));
  put(frame, Tag::kind, record.direct ? "grant" : "request");
  put(frame, Tag::state, to_text(record.state));
  put(frame, Tag::host, view.host);
  put(frame, Tag::user, record.user);
  frame.number(Tag::uid, record.uid);
  put(frame, Tag::role, record.role);
  put(frame, Tag::reason, record.reason);
  put(frame, Tag::ticket, record.ticket);
  if (record.duration.count() > 0) frame.number(Tag::duration, static_cast<std::uint64_t>(record.duration.count()));
  put_time(frame, Tag::created, record.created);

  const bool over = record.state == GrantState::ended || record.state == GrantState::refused;
  if (record.state == GrantState::pending) put_time(frame, Tag::expires, record.expires);
  put_time(frame, Tag::not_before, record.activated);
  if (record.state == GrantState::active || record.state == GrantState::activating) {
    put_time(frame, Tag::not_after, record.not_after);
    if (record.not_after > 0) frame.number(Tag::remaining, static_cast<std::uint64_t>(remaining(record, now)));
  }
  put_time(frame, Tag::start, record.start);
  if (!record.extends.empty()) put(frame, Tag::extends, id_of(record.extends.front()));
  if (record.once) frame.number(Tag::once, 1);
  if (over) put_time(frame, Tag::ended_at, record.ended);
  put(frame, over ? Tag::end_reason : Tag::note, record.why);
  for (std::size_t i = 0; i < std::min(record.requesters.size(), kMaxLines); ++i)
    put(frame, Tag::requester, to_text(record.requesters[i]));
  for (std::size_t i = 0; i < std::min(view.signers.size(), kMaxSignatures); ++i)
    put(frame, Tag::signer, clipped(view.signers[i], 1024));
  for (std::size_t i = 0; i < std::min(view.waiting_for.size(), kMaxSignatures); ++i)
    put(frame, Tag::waiting_for, clipped(view.waiting_for[i], 256));
  put(frame, Tag::rule, record.rule);
  if (view.reviewable) frame.number(Tag::yes, 1);
}

void put_identity(wire::Writer& frame, const HostView& host) {
  using wire::Tag;
  frame.text(Tag::host, host.config.host).text(Tag::host_key, host.host_key);
  if (host.key != nullptr) frame.text(Tag::value, public_key_line(host.key->public_key()));
  for (const auto& segment : host.config.segments) frame.text(Tag::segment, segment);
  frame.text(Tag::machine, digest_text(host.machine.digest));
  frame.text(Tag::state, host.machine.unknown.empty() ? "enrolled" : "unknown");
}

wire::Status status_of(GrantState state) {
  switch (state) {
    case GrantState::activating:
    case GrantState::active:
      return wire::Status::done;
    case GrantState::pending:
      return wire::Status::pending;
    case GrantState::ended:
    case GrantState::refused:
      break;
  }
  return wire::Status::refused;
}

}  // namespace jit
