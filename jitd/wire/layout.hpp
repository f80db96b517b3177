// Where everything is on a board, for its reader and its writer. docs/PROTOCOL.md says the same in words.
//
// Sections follow each other without gaps: header, services, gates, index, subjects, grants, sudo ends, live words.
// Their places follow from the counts in the header alone. Every record ends with a CRC-32C over all of it before; it
// carries its own position, so that a record in a wrong place is not believed either.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jit::wire::layout {

inline constexpr char kMagic[8] = {'J', 'I', 'T', 'B', 'O', 'A', 'R', 'D'};
inline constexpr std::uint32_t kVersion = 1;

inline constexpr std::size_t kHeader = 256;
inline constexpr std::size_t kService = 80;
inline constexpr std::size_t kGate = 584;
inline constexpr std::size_t kIndex = 16;
inline constexpr std::size_t kSubject = 304;
inline constexpr std::size_t kGrant = 64;
inline constexpr std::size_t kSudoEnd = 24;
inline constexpr std::size_t kLiveWord = 4;

inline constexpr std::size_t kName = 64;          // of a gate or service, with at least one NUL
inline constexpr std::size_t kHelp = 512;         // likewise
inline constexpr std::size_t kSubjectName = 256;  // of a user, with its length beside it
inline constexpr std::size_t kGrantId = 16;
inline constexpr std::size_t kBootId = 36;
inline constexpr std::uint32_t kMaxServices = 1024;
inline constexpr std::uint32_t kMaxRecords = 1U << 20U;  // subjects, grants, sudo ends

namespace header {
inline constexpr std::size_t version = 8, length = 16, boot_id = 24, enforce = 64, everybody = 72, gates = 80,
                             services = 84, subjects = 88, grants = 92, sudo_ends = 96;
}
namespace service {
inline constexpr std::size_t name = 0, gates = 64, index = 72;
}
namespace gate {
inline constexpr std::size_t name = 0, help = 64, index = 576;
}
namespace index_entry {
inline constexpr std::size_t hash = 0, index = 8;
}
namespace subject {
inline constexpr std::size_t hash = 0, covered = 8, excepted = 16, first_grant = 24, grants = 28, name_length = 32,
                             index = 36, name = 40;
}
namespace grant {
inline constexpr std::size_t id = 0, uid = 16, flags = 20, not_after = 24, boot_deadline = 32, opens = 40,
                             subject = 48, index = 52;
inline constexpr std::uint32_t kSudo = 1, kConditional = 2;
}  // namespace grant
namespace sudo_end {
inline constexpr std::size_t uid = 0, index = 4, boot_ms = 8;
}

// FNV-1a, 64 bit, over the name with ASCII letters in lower case: names that some name services take for one another
// stand beside each other.
[[nodiscard]] constexpr std::uint64_t name_hash(std::string_view name) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : name) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    hash = (hash ^ static_cast<unsigned char>(lower)) * 0x100000001b3U;
  }
  return hash;
}

}  // namespace jit::wire::layout
