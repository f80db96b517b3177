#include "jitd/core/board_file.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "jitd/wire/board.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxBoard = std::size_t{512} << 20U;

std::string little_endian(std::uint32_t word) {
  std::string bytes;
  for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(word >> shift & 0xffU);
  return bytes;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Result<void> set_words(Files& files, const std::string& board, std::uint32_t value,
                       const std::function<bool(std::string_view id)>& over) {
  const auto fd = open_regular(AT_FDCWD, board, O_RDWR, board);
  if (!fd) return fd.error().errnum == ENOENT ? Result<void>{} : tl::unexpected(fd.error());
  const auto text = read_fd(fd->get(), kMaxBoard, board);
  if (!text) return tl::unexpected(text.error());
  const wire::MemoryBoard memory(bytes_of(*text));
  const auto view = wire::BoardView::open(memory);
  if (!view) return fail(Errc::invalid, board + " is damaged");
  const std::string word = little_endian(value);
  Result<void> done;
  for (std::uint32_t i = 0; i < view->grants(); ++i) {
    const auto grant = view->grant(i);
    // One that cannot be read opens nothing either.
    if (!grant || (!grant->live && grant->word != wire::kEnding) || grant->word == value) continue;
    if (!over(static_cast<const char*>(grant->id))) continue;
    auto written = write_at(files, fd->get(), word, static_cast<off_t>(view->live_word_offset(i)), board);
    if (!written && done) done = written;
  }
  return done;
}

}  // namespace

Result<void> mark_ending(Files& files, const std::string& board,
                         const std::function<bool(std::string_view id)>& over) {
  return set_words(files, board, wire::kEnding, over);
}

Result<void> mark_ended(Files& files, const std::string& board, std::uint64_t boot_ms,
                        const std::function<bool(std::string_view id)>& over) {
  return set_words(files, board, wire::ended_word(boot_ms), over);
}

BoardWithout::BoardWithout(const std::string& board, std::uint64_t boot_ms,
                           const std::function<bool(std::string_view id)>& over) {
  auto text = read_file(board, kMaxBoard);
  if (!text) return;
  bytes_ = std::move(*text);
  const wire::MemoryBoard memory(bytes_of(bytes_));
  const auto view = wire::BoardView::open(memory);
  const std::string word = little_endian(wire::ended_word(boot_ms));
  for (std::uint32_t i = 0; view && i < view->grants(); ++i) {
    const auto grant = view->grant(i);
    const std::uint64_t at = view->live_word_offset(i);
    if (grant && over(static_cast<const char*>(grant->id)) && at + word.size() <= bytes_.size())
      bytes_.replace(at, word.size(), word);
  }
}

wire::Answer BoardWithout::answer(const wire::Query& query, const wire::Clocks& clocks) const {
  const wire::MemoryBoard memory(bytes_of(bytes_));
  const auto view = wire::BoardView::open(memory);
  return view ? wire::answer(*view, query, clocks) : wire::Answer{};
}

CarriedOver carry_over(const std::string& board, std::uint64_t now_ms,
                       const std::function<bool(std::string_view id)>& wanted) {
  CarriedOver carried;
  const auto text = read_file(board, kMaxBoard);
  if (!text) return carried;
  const wire::MemoryBoard memory(bytes_of(*text));
  const auto view = wire::BoardView::open(memory);
  if (!view) return carried;
  const auto note_end = [&](std::uint32_t uid, std::uint64_t at) {
    std::uint64_t& last = carried.sudo_ends[uid];
    last = std::max(last, at);
  };
  for (std::uint32_t i = 0; i < view->sudo_ends(); ++i)
    if (const auto end = view->sudo_end(i); end) note_end(end->uid, end->boot_ms);
  for (std::uint32_t i = 0; i < view->grants(); ++i) {
    const auto grant = view->grant(i);
    if (!grant) continue;
    if (!grant->live) carried.ended.emplace(static_cast<const char*>(grant->id));
    if (!grant->has_sudo || grant->word == wire::kEndedBefore) continue;
    // The word says when, in tenths of a second rounded up; 0 or a time to come says only that it has ended.
    const std::uint64_t told = std::uint64_t{grant->word} * 100;
    if (!grant->live) note_end(grant->uid, told == 0 ? now_ms : std::min(told, now_ms));
    if (grant->live && !wanted(static_cast<const char*>(grant->id))) note_end(grant->uid, now_ms);
  }
  return carried;
}

}  // namespace jit
