// Which documents of a source were delivered already: a ring of digests in a file of a fixed size. Losing it costs
// that they are delivered again, and no more: jitd knows them by itself.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "jitd/sys/fd.hpp"
#include "policy/digest.hpp"
#include "policy/result.hpp"

namespace jit {

class Seen {
 public:
  static constexpr std::size_t kSlots = 65536;
  static constexpr std::size_t kRecord = 32;  // bytes

  // One that is kept in memory alone.
  explicit Seen(std::size_t slots = kSlots) : slots_(slots) {}
  // Opens or makes DIRECTORY/NAME. What is damaged in it counts as not there. Errors: it is no regular file, or
  // cannot be read and written.
  [[nodiscard]] static Result<Seen> open(int directory, const std::string& name, std::size_t slots = kSlots);

  [[nodiscard]] bool contains(const Digest& digest) const;
  // Remembers it, in place of the oldest when there is no room. An error: it will be forgotten with the process.
  [[nodiscard]] Result<void> add(const Digest& digest);
  [[nodiscard]] std::size_t size() const { return order_.size(); }

 private:
  // In the file: a record is its number (little-endian, from 1) and the first 24 bytes of the digest. It stands at
  // (number - 1) modulo the slots, which is how one that is torn or somebody else's is known; zeros are none.
  using Key = std::array<std::uint8_t, 24>;
  struct Record {
    std::uint64_t number = 0;
    Key key{};
  };
  static Key key_of(const Digest& digest);
  void load(std::string_view bytes);
  [[nodiscard]] std::vector<std::uint32_t>::const_iterator find(const Key& key) const;

  std::size_t slots_;
  UniqueFd file_;
  std::uint64_t next_ = 1;
  std::vector<Record> ring_;          // by slot, as far as it is used
  std::vector<std::uint32_t> order_;  // the used slots, by key
};

}  // namespace jit
