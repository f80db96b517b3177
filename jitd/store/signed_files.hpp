// Locks and revocations, kept as the files that they came as (VAR/signed/DIGEST.jit): they refuse what comes, so they
// must outlive the database. Whoever has the files can prove them again; the database is where they are looked up.
#pragma once

#include <string>
#include <vector>

#include "policy/digest.hpp"
#include "policy/result.hpp"

namespace jit {

class SignedFiles {
 public:
  // The folder is made (0700) when the first file comes.
  explicit SignedFiles(std::string dir) : dir_(std::move(dir)) {}

  // Durable when it returns. The same document again replaces what is there.
  [[nodiscard]] Result<void> keep(const Digest& digest, const std::string& text) const;
  // Gone; not made durable: one that comes back refuses what it refused before.
  void drop(const Digest& digest) const;

  struct File {
    Digest digest;
    std::string text;
  };
  // All there are, in the order in which they came. What is no document of ours is passed over.
  [[nodiscard]] Result<std::vector<File>> all() const;

 private:
  std::string dir_;
};

}  // namespace jit
