// Refusals, told one by one and from some number in an hour on counted into one entry: asking in vain, or handing in
// again and again what counts for nothing, fills neither the audit nor what others are told. Pure: time is an
// argument.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace jit {

class Denials {
 public:
  using Who = std::map<std::string, std::string>;  // fields of the entry that counts

  // Whether this one is told by itself: of `whose`, the first `most` in an hour are.
  [[nodiscard]] bool single(const std::string& whose, const Who& who, std::uint64_t most, std::uint64_t boot_ms);

  struct Counted {
    Who who;
    std::uint64_t most = 0, count = 0;  // how many were told, and how many more there were
  };
  // Those whose hour is over; they begin anew.
  [[nodiscard]] std::vector<Counted> over(std::uint64_t boot_ms);
  // When there is something to count next.
  [[nodiscard]] std::optional<std::uint64_t> due_boot_ms() const;

 private:
  struct Hour {
    Who who;
    std::uint64_t until_boot_ms = 0, most = 0, told = 0, counted = 0;
  };
  std::map<std::string, Hour> hours_;
};

}  // namespace jit
