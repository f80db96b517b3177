// Boards for tests: a content to start from, its bytes, and a board that counts what is read of it.
#pragma once

#include <span>
#include <string>

#include "jitd/wire/answer.hpp"
#include "jitd/wire/board_writer.hpp"

namespace jit::wire::test {

inline constexpr const char* kBoot = "01234567-89ab-cdef-0123-456789abcdef";
inline constexpr std::int64_t kWall = 1'800'000'000'000;
inline constexpr std::uint64_t kBootMs = 5'000'000;
inline constexpr Clocks kNow{kWall, kBootMs};

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// A grant that lives for another minute.
inline GrantOnBoard grant(std::string id, std::string user, std::uint32_t uid, std::vector<std::string> opens) {
  GrantOnBoard out;
  out.id = std::move(id);
  out.user = std::move(user);
  out.uid = uid;
  out.not_after_ms = kWall + 60'000;
  out.boot_deadline_ms = kBootMs + 60'000;
  out.opens = std::move(opens);
  return out;
}

// Gate "login" on sshd and login for everybody but root, gate "dba" on sudo for alice and bob, gate "watch" on su,
// observed.
inline BoardContent content() {
  BoardContent out;
  out.boot_id = kBoot;
  out.gates = {
      {"login", {"sshd", "login"}, true, true, {}, {"root"}, "Ask with: jitctl request db-login"},
      {"dba", {"sudo", "sudo-i"}, true, false, {"alice", "bob"}, {}, ""},
      {"watch", {"su", "su-l"}, false, true, {}, {}, "su will need a grant"},
  };
  return out;
}

class CountingBoard final : public BoardSource {
 public:
  explicit CountingBoard(const std::string& board) : inner_(bytes_of(board)) {}
  bool read(std::uint64_t offset, std::span<std::byte> into) const noexcept override {
    ++reads;
    total += into.size();
    return inner_.read(offset, into);
  }
  mutable std::size_t reads = 0, total = 0;

 private:
  MemoryBoard inner_;
};

}  // namespace jit::wire::test
