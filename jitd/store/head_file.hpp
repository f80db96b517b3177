// How far the audit chain of the database had come, beside it: VAR/jit.db.head, written after each transaction that
// adds to the chain. A database that has no such entry is an older one, as a restored backup is, and does not know
// what ended since. One line, written in place: SEQUENCE sha256:HASH CRC32C. It is not made durable by itself: what a
// power cut leaves of it is older than the database or torn, and then says less.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "jitd/sys/fd.hpp"
#include "policy/digest.hpp"

namespace jit {

struct ChainHead {
  std::uint64_t sequence = 0;
  Digest hash;
};

class HeadFile {
 public:
  explicit HeadFile(const std::string& database) : path_(path_of(database)) {}
  [[nodiscard]] static std::string path_of(const std::string& database) { return database + ".head"; }

  // nullopt: there is none, or it is torn.
  [[nodiscard]] std::optional<ChainHead> read() const;
  // A failure is nobody's: the one before stays, which says less.
  void write(const ChainHead& head) noexcept;

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace jit
