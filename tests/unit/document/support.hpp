// What the tests of documents share: a folder that goes away, programs run without a shell, and sample documents.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "policy/document/kinds.hpp"
#include "policy/document/signature.hpp"
#include "policy/document/verify.hpp"

namespace jit::test {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] std::filesystem::path path(std::string_view name = "") const { return root_ / name; }
  // Writes `content` to the file `name` and gives its path.
  std::string file(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path root_;
};

struct Ran {
  int status = -1;  // exit status, or 128 + signal
  std::string out;
  std::string err;
};

// Runs argv[0] with these arguments, `input` on its standard input and `variables` ("NAME=value") beside a plain
// PATH.
Ran run(const std::vector<std::string>& argv, std::string_view input = "",
        const std::vector<std::string>& variables = {});

std::string read_file(const std::filesystem::path& path);
// tests/unit/document/vectors/NAME
std::string vector_file(std::string_view name);

WallTime at(std::string_view utc);  // parse_utc that cannot fail
SigningKey new_key();

Request sample_request(const PublicKey& host_key);
Review sample_review();
GrantDocument sample_grant();
Revocation sample_revocation();
Lock sample_lock();
AskDocument sample_ask();
EventDocument sample_event(const PublicKey& host_key);
PolicyDocument sample_policy();
TrustDocument sample_trust();

// An envelope over the document's payload with a signature by each key, in `name_space` (by default that of its
// kind).
Envelope signed_by(const Document& document, const std::vector<const SigningKey*>& keys,
                   std::string_view name_space = "");

// Trust files with one line for each of these.
TrustFile trust_of(std::string path, const std::vector<std::pair<std::string, PublicKey>>& lines);

}  // namespace jit::test
