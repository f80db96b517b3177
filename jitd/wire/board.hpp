// The board: what checks are answered from, an immutable file in /run/jit replaced by rename. Layout in docs/PROTOCOL.md.
// Header and every record carry a CRC-32C of their own, so that a reader verifies what it touches and nothing more: a
// check stays cheap with 10,000 grants on it. The one mutable field is a word for each grant, outside every checksum:
// kLive is live, anything else is ended, set in place: a revocation needs no space.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace jit::wire {

inline constexpr std::uint32_t kLive = 0x5a5a5a5a;
inline constexpr std::size_t kMaxGates = 64;  // `opens` is a bit set

// Where a board's bytes come from: a mapping in jitd, pread on a descriptor in pam_jit (never a mapping that may be
// truncated under the reader). Returns false unless all of `into` was read.
class BoardSource {
 public:
  virtual bool read(std::uint64_t offset, std::span<std::byte> into) const noexcept = 0;

 protected:
  ~BoardSource() = default;
};

struct BoardGate {
  std::uint32_t index = 0;
  bool enforce = false;
  bool everybody = false;  // users = ["*"]
  char name[64] = {};
  char help[512] = {};
};

struct BoardGrant {
  std::uint32_t index = 0;
  char id[17] = {};
  std::uint32_t uid = 0;
  std::int64_t not_after_ms = 0;       // wall clock
  std::uint64_t boot_deadline_ms = 0;  // CLOCK_BOOTTIME
  std::uint64_t opens = 0;             // bit set of gate indices
  bool has_sudo = false;
  bool conditional = false;            // carries a condition that only jitd can judge
  bool live = false;                   // the word as it read
};

// Reads one board. open() verifies magic, version, length and the header's checksum.
class BoardView {
 public:
  [[nodiscard]] static std::optional<BoardView> open(const BoardSource& source) noexcept;

  [[nodiscard]] std::uint32_t gates() const noexcept { return gates_; }
  [[nodiscard]] std::uint32_t grants() const noexcept { return grants_; }
  [[nodiscard]] std::optional<BoardGate> gate(std::uint32_t index) const noexcept;
  // Whether `service` is one of the gate's. nullopt: unreadable.
  [[nodiscard]] std::optional<bool> gate_has_service(const BoardGate& gate, std::string_view service) const noexcept;
  // Whether the gate covers this subject (users, less except). Names and, where known, uids must match.
  [[nodiscard]] std::optional<bool> gate_covers(const BoardGate& gate, std::string_view subject) const noexcept;

  // Grants of a subject: visit(BoardGrant) for each, in not_after order; false when a record was unreadable.
  template <class Visit>
  [[nodiscard]] bool grants_of(std::string_view subject, Visit&& visit) const {
    std::uint32_t at = first_grant(subject);
    for (;; ++at) {
      BoardGrant grant;
      switch (grant_of(at, subject, grant)) {
        case Step::match: visit(static_cast<const BoardGrant&>(grant)); break;
        case Step::skip: break;
        case Step::end: return true;
        case Step::bad: return false;
      }
    }
  }

  // Boot-time clock of the last end of a sudo entitlement of this uid; 0: none. nullopt: unreadable.
  [[nodiscard]] std::optional<std::uint64_t> last_sudo_end(std::uint32_t uid) const noexcept;

  // Where the live word of grant `index` is, for whoever sets it in place.
  [[nodiscard]] std::uint64_t live_word_offset(std::uint32_t index) const noexcept;

 private:
  enum class Step { match, skip, end, bad };
  BoardView() = default;
  [[nodiscard]] std::uint32_t first_grant(std::string_view subject) const noexcept;
  [[nodiscard]] Step grant_of(std::uint32_t at, std::string_view subject, BoardGrant& out) const noexcept;

  const BoardSource* source_ = nullptr;
  std::uint32_t gates_ = 0, services_ = 0, subjects_ = 0, grants_ = 0, sudo_ends_ = 0;
  std::uint64_t gates_at_ = 0, services_at_ = 0, subjects_at_ = 0, grants_at_ = 0, live_at_ = 0, sudo_ends_at_ = 0;
};

}  // namespace jit::wire
