// The current board, mapped. The file is replaced by rename; whoever looks sees that it is another one and maps that.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>

#include "jitd/wire/board.hpp"
#include "jitd/wire/protocol.hpp"

namespace jit {

// Used by one thread alone (the check thread). Words that end a grant are set in the file in place, by jitd's loop or
// by `jitd --expire`; the shared mapping shows them at once.
class BoardCache {
 public:
  explicit BoardCache(std::string path = wire::kBoardFile);
  BoardCache(const BoardCache&) = delete;
  BoardCache& operator=(const BoardCache&) = delete;
  ~BoardCache();

  // The bytes of the board as it stands, valid until the next call; nullptr when there is none that can be mapped.
  // One stat(2), and a new mapping only when the file is another.
  [[nodiscard]] const wire::BoardSource* current() noexcept;

 private:
  class Mapping;
  std::string path_;
  struct stat seen_ {};
  std::unique_ptr<Mapping> mapping_;
};

}  // namespace jit
