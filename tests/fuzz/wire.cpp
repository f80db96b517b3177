// The wire codec: whatever bytes come, a frame is refused or read within its bounds; a query or answer that is taken
// goes over again as it was; and only the exact word lets in.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "jitd/wire/check.hpp"

using namespace jit::wire;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void query_survives(const Query& query) {
  std::byte buffer[kMaxCheckFrame];
  const auto frame = Frame::parse(make_query(buffer, 1, query));
  require(frame.has_value());
  const auto again = read_query(*frame);
  require(again && again->phase == query.phase && again->service == query.service &&
          again->subject == query.subject && again->has_uid == query.has_uid && again->uid == query.uid &&
          again->target == query.target && again->started_ms == query.started_ms && again->tty == query.tty &&
          again->rhost == query.rhost && again->line_enforces == query.line_enforces);
}

void answer_survives(const Answer& answer) {
  std::byte buffer[kMaxCheckFrame];
  const auto frame = Frame::parse(make_answer(buffer, 1, answer));
  require(frame.has_value());
  const auto again = read_answer(*frame, 1);
  require(again && again->verdict == answer.verdict && std::strcmp(again->gate, answer.gate) == 0 &&
          std::strcmp(again->grant, answer.grant) == 0 && std::strcmp(again->message, answer.message) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto frame = Frame::parse(bytes);
  if (!frame) return 0;
  std::size_t total = kHeaderSize;
  frame->each([&](Tag tag, std::string_view value) {
    total += 4 + value.size();
    (void)tag_rule(tag);
    (void)frame->number(tag);
    (void)frame->text(tag);
  });
  require(total == size);
  (void)control_verb(frame->verb());
  if (const auto query = read_query(*frame)) query_survives(*query);
  if (const auto answer = read_answer(*frame, frame->id())) {
    if (answer->verdict == Verdict::allow) require(frame->number(Tag::verdict) == 0x5c96e1d3U);
    answer_survives(*answer);
  }
  return 0;
}
