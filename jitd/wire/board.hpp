// The board: what checks are answered from, an immutable file in /run/jit replaced by rename. Layout in
// docs/PROTOCOL.md. Header and every record carry a CRC-32C of their own, so that a reader verifies what it touches
// and nothing more: a check stays cheap with 10,000 grants on it. The one mutable field is a word for each grant,
// outside every checksum: kLive is live, anything else is ended, set in place: a revocation needs no space.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace jit::wire {

inline constexpr std::uint32_t kLive = 0x5a5a5a5a;
// The word of a grant that had ended before the board was made: its end, if it matters, stands among the sudo ends.
inline constexpr std::uint32_t kEndedBefore = 0xa5a5a5a5;
// Of one that is ending: its rule may be there still, so every sudo of its user waits until it is known when it went.
inline constexpr std::uint32_t kEnding = 0;
inline constexpr std::size_t kMaxGates = 64;  // `opens` is a bit set

// The word to set in place when a grant ends: boot-time clock of the end in tenths of a second, rounded up, so that a
// sudo which waited across it is known until the next board. Never kLive, kEndedBefore or 0 (0, or a time still to
// come, is an end at an unknown time: every sudo of that uid that runs already is refused).
[[nodiscard]] std::uint32_t ended_word(std::uint64_t boot_ms) noexcept;

// Where a board's bytes come from: a mapping in jitd, pread on a descriptor in pam_jit (never a mapping that may be
// truncated under the reader). Returns false unless all of `into` was read.
class BoardSource {
 public:
  virtual bool read(std::uint64_t offset, std::span<std::byte> into) const noexcept = 0;

 protected:
  ~BoardSource() = default;
};

// A board that is in memory.
class MemoryBoard final : public BoardSource {
 public:
  explicit MemoryBoard(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  bool read(std::uint64_t offset, std::span<std::byte> into) const noexcept override {
    if (offset > bytes_.size() || into.size() > bytes_.size() - offset) return false;
    if (!into.empty()) std::memcpy(into.data(), bytes_.data() + offset, into.size());
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
};

struct BoardGate {
  std::uint32_t index = 0;
  bool enforce = false;
  bool everybody = false;  // users = ["*"]
  char name[64] = {};
  char help[512] = {};
};

// What the board knows of one user name. Gates are bit sets by index.
struct BoardSubject {
  std::uint64_t covered = 0;   // gates whose users list it, in upper or lower case
  std::uint64_t excepted = 0;  // gates whose except lists exactly it
  std::uint32_t first_grant = 0, grants = 0;
};

struct BoardGrant {
  std::uint32_t index = 0;
  char id[17] = {};
  std::uint32_t uid = 0;
  std::int64_t not_after_ms = 0;       // wall clock
  std::uint64_t boot_deadline_ms = 0;  // CLOCK_BOOTTIME
  std::uint64_t opens = 0;             // bit set of gate indices
  bool has_sudo = false;
  bool conditional = false;  // carries a condition that only jitd can judge
  bool live = false;         // the word as it read
  std::uint32_t word = 0;
};

// The last end of a sudo entitlement of a uid.
struct SudoEnd {
  std::uint32_t uid = 0;
  std::uint64_t boot_ms = 0;  // CLOCK_BOOTTIME
};

// Reads one board. open() verifies magic, version, length, the header's checksum and, where `boot_id` is given (36
// characters), that the board is of that boot. Everything that gives an optional gives nullopt for what is
// unreadable: absent is never told from damaged by guessing. `source` must outlive the view.
class BoardView {
 public:
  [[nodiscard]] static std::optional<BoardView> open(const BoardSource& source,
                                                     std::string_view boot_id = {}) noexcept;

  [[nodiscard]] std::uint32_t gates() const noexcept { return gates_; }
  [[nodiscard]] std::uint32_t grants() const noexcept { return grants_; }
  [[nodiscard]] std::uint64_t enforced() const noexcept { return enforce_; }      // gates that enforce
  [[nodiscard]] std::uint64_t everybodys() const noexcept { return everybody_; }  // gates with users = ["*"]

  [[nodiscard]] std::optional<BoardGate> gate(std::uint32_t index) const noexcept;
  [[nodiscard]] std::optional<BoardGrant> grant(std::uint32_t index) const noexcept;
  // Gates that name this PAM service; 0: none.
  [[nodiscard]] std::optional<std::uint64_t> gates_of(std::string_view service) const noexcept;
  // A name that the board does not know has no bits and no grants.
  [[nodiscard]] std::optional<BoardSubject> subject(std::string_view name) const noexcept;
  // Boot-time clock of the last end of a sudo entitlement of this uid; 0: none.
  [[nodiscard]] std::optional<std::uint64_t> last_sudo_end(std::uint32_t uid) const noexcept;
  // All of them, for carrying over to the next board.
  [[nodiscard]] std::uint32_t sudo_ends() const noexcept { return sudo_ends_; }
  [[nodiscard]] std::optional<SudoEnd> sudo_end(std::uint32_t index) const noexcept;

  // visit(const BoardGrant&) for each grant of a subject, the one that ends last first; false when a record was
  // unreadable.
  template <class Visit>
  [[nodiscard]] bool grants_of(const BoardSubject& subject, Visit&& visit) const {
    for (std::uint32_t i = subject.grants; i-- > 0;) {
      const std::optional<BoardGrant> grant = this->grant(subject.first_grant + i);
      if (!grant) return false;
      visit(*grant);
    }
    return true;
  }

  // Where the live word of grant `index` is, for whoever sets it in place (4 bytes, little-endian, aligned).
  [[nodiscard]] std::uint64_t live_word_offset(std::uint32_t index) const noexcept { return live_at_ + 4ULL * index; }

 private:
  BoardView() = default;
  // One record of a section into `into`, its checksum and the position it carries at `index_at` verified.
  [[nodiscard]] bool record(std::uint64_t section, std::uint32_t index, std::span<std::byte> into,
                            std::size_t index_at) const noexcept;

  const BoardSource* source_ = nullptr;
  std::uint64_t enforce_ = 0, everybody_ = 0;
  std::uint32_t gates_ = 0, services_ = 0, subjects_ = 0, grants_ = 0, sudo_ends_ = 0;
  std::uint64_t services_at_ = 0, gates_at_ = 0, index_at_ = 0, subjects_at_ = 0, grants_at_ = 0, sudo_ends_at_ = 0,
                live_at_ = 0;
};

}  // namespace jit::wire
