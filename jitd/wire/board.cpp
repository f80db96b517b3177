#include "jitd/wire/board.hpp"

#include "jitd/wire/codec.hpp"
#include "jitd/wire/layout.hpp"

namespace jit::wire {
namespace {

bool checksum_holds(std::span<const std::byte> record) noexcept {
  const std::size_t covered = record.size() - 4;
  return crc32c(record.first(covered)) == load_u32(record.data() + covered);
}

std::string_view view(const std::byte* at, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(at), size};
}

// The text of a NUL-padded field; nullopt when it has no NUL.
std::optional<std::string_view> padded(const std::byte* at, std::size_t size) noexcept {
  const void* end = std::memchr(at, 0, size);
  if (end == nullptr) return std::nullopt;
  return view(at, static_cast<std::size_t>(static_cast<const std::byte*>(end) - at));
}

// Bits of the gates that a board with so many has.
std::uint64_t gate_mask(std::uint32_t gates) noexcept {
  return gates >= kMaxGates ? ~std::uint64_t{0} : (std::uint64_t{1} << gates) - 1;
}

}  // namespace

std::uint32_t ended_word(std::uint64_t boot_ms) noexcept {
  const auto word = static_cast<std::uint32_t>(boot_ms / 100 + 1);
  return word == kLive || word == kEndedBefore || word == 0 ? word + 1 : word;
}

std::optional<BoardView> BoardView::open(const BoardSource& source, std::string_view boot_id) noexcept {
  std::byte bytes[layout::kHeader];
  if (!source.read(0, bytes)) return std::nullopt;
  if (std::memcmp(bytes, layout::kMagic, sizeof layout::kMagic) != 0) return std::nullopt;
  if (load_u32(bytes + layout::header::version) != layout::kVersion || !checksum_holds(bytes)) return std::nullopt;
  if (!boot_id.empty() && view(bytes + layout::header::boot_id, layout::kBootId) != boot_id) return std::nullopt;

  BoardView board;
  board.source_ = &source;
  board.enforce_ = load_u64(bytes + layout::header::enforce);
  board.everybody_ = load_u64(bytes + layout::header::everybody);
  board.gates_ = load_u32(bytes + layout::header::gates);
  board.services_ = load_u32(bytes + layout::header::services);
  board.subjects_ = load_u32(bytes + layout::header::subjects);
  board.grants_ = load_u32(bytes + layout::header::grants);
  board.sudo_ends_ = load_u32(bytes + layout::header::sudo_ends);
  if (board.gates_ > kMaxGates || board.services_ > layout::kMaxServices || board.subjects_ > layout::kMaxRecords ||
      board.grants_ > layout::kMaxRecords || board.sudo_ends_ > layout::kMaxRecords)
    return std::nullopt;
  board.services_at_ = layout::kHeader;
  board.gates_at_ = board.services_at_ + layout::kService * std::uint64_t{board.services_};
  board.index_at_ = board.gates_at_ + layout::kGate * std::uint64_t{board.gates_};
  board.subjects_at_ = board.index_at_ + layout::kIndex * std::uint64_t{board.subjects_};
  board.grants_at_ = board.subjects_at_ + layout::kSubject * std::uint64_t{board.subjects_};
  board.sudo_ends_at_ = board.grants_at_ + layout::kGrant * std::uint64_t{board.grants_};
  board.live_at_ = board.sudo_ends_at_ + layout::kSudoEnd * std::uint64_t{board.sudo_ends_};
  const std::uint64_t end = board.live_at_ + layout::kLiveWord * std::uint64_t{board.grants_};
  std::byte last[1];
  if (load_u64(bytes + layout::header::length) != end || !source.read(end - 1, last)) return std::nullopt;
  return board;
}

bool BoardView::record(std::uint64_t section, std::uint32_t index, std::span<std::byte> into,
                       std::size_t index_at) const noexcept {
  return source_->read(section + std::uint64_t{into.size()} * index, into) && checksum_holds(into) &&
         load_u32(into.data() + index_at) == index;
}

std::optional<BoardGate> BoardView::gate(std::uint32_t index) const noexcept {
  std::byte bytes[layout::kGate];
  if (index >= gates_ || !record(gates_at_, index, bytes, layout::gate::index)) return std::nullopt;
  const auto name = padded(bytes + layout::gate::name, layout::kName);
  const auto help = padded(bytes + layout::gate::help, layout::kHelp);
  if (!name || name->empty() || !help) return std::nullopt;
  BoardGate gate;
  gate.index = index;
  gate.enforce = (enforce_ >> index & 1U) != 0;
  gate.everybody = (everybody_ >> index & 1U) != 0;
  copy_text(gate.name, *name);
  copy_text(gate.help, *help);
  return gate;
}

std::optional<BoardGrant> BoardView::grant(std::uint32_t index) const noexcept {
  std::byte bytes[layout::kGrant];
  std::byte word[layout::kLiveWord];
  if (index >= grants_ || !record(grants_at_, index, bytes, layout::grant::index) ||
      !source_->read(live_word_offset(index), word))
    return std::nullopt;
  BoardGrant grant;
  grant.index = index;
  copy_text(grant.id, view(bytes + layout::grant::id, layout::kGrantId));
  grant.uid = load_u32(bytes + layout::grant::uid);
  const std::uint32_t flags = load_u32(bytes + layout::grant::flags);
  grant.has_sudo = (flags & layout::grant::kSudo) != 0;
  // A flag of a later release is a condition that this one cannot judge.
  grant.conditional = (flags & ~layout::grant::kSudo) != 0;
  grant.not_after_ms = static_cast<std::int64_t>(load_u64(bytes + layout::grant::not_after));
  grant.boot_deadline_ms = load_u64(bytes + layout::grant::boot_deadline);
  grant.opens = load_u64(bytes + layout::grant::opens) & gate_mask(gates_);
  grant.word = load_u32(word);
  grant.live = grant.word == kLive;
  return grant;
}

std::optional<std::uint64_t> BoardView::gates_of(std::string_view service) const noexcept {
  // Sorted by name.
  for (std::uint32_t low = 0, high = services_; low < high;) {
    const std::uint32_t middle = low + (high - low) / 2;
    std::byte bytes[layout::kService];
    if (!record(services_at_, middle, bytes, layout::service::index)) return std::nullopt;
    const auto name = padded(bytes + layout::service::name, layout::kName);
    if (!name) return std::nullopt;
    if (*name == service) return load_u64(bytes + layout::service::gates) & gate_mask(gates_);
    if (*name < service) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return 0;
}

std::optional<BoardSubject> BoardView::subject(std::string_view name) const noexcept {
  const std::uint64_t hash = layout::name_hash(name);
  const auto hash_at = [&](std::uint32_t at) noexcept -> std::optional<std::uint64_t> {
    std::byte bytes[layout::kIndex];
    if (!record(index_at_, at, bytes, layout::index_entry::index)) return std::nullopt;
    return load_u64(bytes + layout::index_entry::hash);
  };
  std::uint32_t low = 0;
  for (std::uint32_t high = subjects_; low < high;) {
    const std::uint32_t middle = low + (high - low) / 2;
    const auto found = hash_at(middle);
    if (!found) return std::nullopt;
    if (*found < hash) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  // Names that differ in case alone, or by bad luck, share a hash.
  BoardSubject subject;
  for (std::uint32_t at = low; at < subjects_; ++at) {
    const auto found = hash_at(at);
    if (!found) return std::nullopt;
    if (*found != hash) break;
    std::byte bytes[layout::kSubject];
    if (!record(subjects_at_, at, bytes, layout::subject::index) || load_u64(bytes + layout::subject::hash) != hash)
      return std::nullopt;
    const std::size_t length = load_u32(bytes + layout::subject::name_length);
    if (length > layout::kSubjectName) return std::nullopt;
    const std::string_view theirs = view(bytes + layout::subject::name, length);
    subject.covered |= load_u64(bytes + layout::subject::covered) & gate_mask(gates_);
    if (theirs != name) continue;
    subject.excepted = load_u64(bytes + layout::subject::excepted) & gate_mask(gates_);
    subject.first_grant = load_u32(bytes + layout::subject::first_grant);
    subject.grants = load_u32(bytes + layout::subject::grants);
    if (subject.first_grant > grants_ || subject.grants > grants_ - subject.first_grant) return std::nullopt;
  }
  return subject;
}

std::optional<std::uint64_t> BoardView::last_sudo_end(std::uint32_t uid) const noexcept {
  // Sorted by uid, one record each.
  for (std::uint32_t low = 0, high = sudo_ends_; low < high;) {
    const std::uint32_t middle = low + (high - low) / 2;
    const std::optional<SudoEnd> found = sudo_end(middle);
    if (!found) return std::nullopt;
    if (found->uid == uid) return found->boot_ms;
    if (found->uid < uid) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return 0;
}

std::optional<SudoEnd> BoardView::sudo_end(std::uint32_t index) const noexcept {
  std::byte bytes[layout::kSudoEnd];
  if (index >= sudo_ends_ || !record(sudo_ends_at_, index, bytes, layout::sudo_end::index)) return std::nullopt;
  return SudoEnd{load_u32(bytes + layout::sudo_end::uid), load_u64(bytes + layout::sudo_end::boot_ms)};
}

}  // namespace jit::wire
