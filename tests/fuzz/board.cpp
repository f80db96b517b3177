// The board's reader: whatever a board holds, with its checksums made right so that they hide nothing, questions are
// answered within bounds, and without a live word nobody is let through a gate by a grant.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "jitd/wire/answer.hpp"
#include "jitd/wire/codec.hpp"
#include "jitd/wire/layout.hpp"

using namespace jit::wire;

namespace {

void seal(std::string& board, std::uint64_t at, std::size_t size) {
  if (at + size > board.size()) return;
  const auto record = std::as_bytes(std::span(board)).subspan(at, size - 4);
  store_u32(board.data() + at + size - 4, crc32c(record));
}

// Checksums and lengths as the reader wants them, positions too.
void repair(std::string& board) {
  if (board.size() < layout::kHeader) return;
  std::memcpy(board.data(), layout::kMagic, sizeof layout::kMagic);
  store_u32(board.data() + layout::header::version, layout::kVersion);
  struct Section {
    std::size_t count_at, size, index_at;
    std::uint32_t limit;
  };
  const Section sections[] = {
      {layout::header::services, layout::kService, layout::service::index, 16},
      {layout::header::gates, layout::kGate, layout::gate::index, 64},
      {layout::header::subjects, layout::kIndex, layout::index_entry::index, 64},
      {layout::header::subjects, layout::kSubject, layout::subject::index, 64},
      {layout::header::grants, layout::kGrant, layout::grant::index, 64},
      {layout::header::sudo_ends, layout::kSudoEnd, layout::sudo_end::index, 64},
  };
  std::uint64_t at = layout::kHeader;
  for (const Section& section : sections) {
    const std::uint32_t count = load_u32(board.data() + section.count_at) % (section.limit + 1);
    store_u32(board.data() + section.count_at, count);
    for (std::uint32_t i = 0; i < count; ++i, at += section.size) {
      if (at + section.size > board.size()) board.resize(at + section.size);
      store_u32(board.data() + at + section.index_at, i);
      seal(board, at, section.size);
    }
  }
  at += layout::kLiveWord * std::uint64_t{load_u32(board.data() + layout::header::grants)};
  board.resize(at);
  store_u64(board.data() + layout::header::length, at);
  seal(board, 0, layout::kHeader);
}

void ask(const std::string& bytes) {
  const MemoryBoard source(std::as_bytes(std::span(bytes)));
  const auto board = BoardView::open(source);
  if (!board) return;
  for (std::uint32_t i = 0; i < board->gates(); ++i) (void)board->gate(i);
  bool any_live = false;
  for (std::uint32_t i = 0; i < board->grants(); ++i) {
    const auto grant = board->grant(i);
    any_live = any_live || (grant && grant->live);
  }
  for (const char* service : {"sshd", "sudo", "su"}) {
    for (const char* subject : {"alice", "bob", "root", "nobody"}) {
      Query query;
      query.service = service;
      query.subject = subject;
      query.has_uid = std::strcmp(service, "sshd") != 0;
      query.uid = 1000;
      query.started_ms = 4'000'000;
      for (const bool enforces : {true, false}) {
        query.line_enforces = enforces;
        const Answer got = answer(*board, query, {1'800'000'000'000, 5'000'000});
        if (got.verdict == Verdict::allow && !any_live) std::abort();
        if (got.verdict == Verdict::deny && !enforces && got.gate[0] != '\0') std::abort();
        if (std::strlen(got.gate) >= sizeof got.gate || std::strlen(got.message) >= sizeof got.message) std::abort();
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string board(reinterpret_cast<const char*>(data), size);
  ask(board);
  repair(board);
  ask(board);
  return 0;
}
