// Files that a source's specification names: certificates, keys, passwords. Links are followed, as whoever renews
// certificates uses them; what counts is the file behind.
#pragma once

#include <string>

#include "policy/result.hpp"
#include "policy/sources.hpp"

namespace jit {

enum class Secrecy : bool { open, secret };

// A regular file of at most 1 MiB. Errc::refused: others may write it, or, when it is secret, read it (its group may:
// so root gives a key to the user of jitd-sync).
[[nodiscard]] Result<std::string> read_source_file(const std::string& path, Secrecy secrecy);

// The first line of a secret file, without its end; 1 to 1024 bytes, no control characters.
[[nodiscard]] Result<std::string> read_password_file(const std::string& path);

// All that a specification names, by their content; empty where it names none.
struct SourceFiles {
  std::string ca, certificate, key, password;
};
[[nodiscard]] Result<SourceFiles> read_source_files(const SourceSpec& spec);

}  // namespace jit
