// The line by which a host is made known to those who approve for it (jit-documents(5)):
//
//   jit-enrolment 1 HOST ssh-ed25519 AAAA... MACHINE CREATED SIGNATURE
//
// MACHINE is what its events say of the machine, CREATED a time as in documents, SIGNATURE the base64 of an SSH
// signature by that very key, in the namespace jit-enrolment, over everything before the blank in front of it. The
// signature shows that who made the line has the key and meant this name; whether it is that host, people have to
// know.
#pragma once

#include <string>
#include <string_view>

#include "policy/document/signature.hpp"
#include "policy/result.hpp"
#include "policy/time.hpp"

namespace jit {

inline constexpr std::string_view kEnrolmentNamespace = "jit-enrolment";
inline constexpr std::size_t kMaxEnrolment = 2048;  // bytes of a line

struct Enrolment {
  std::string host;
  PublicKey key;
  std::string machine;  // digest text
  WallTime created{};
  bool operator==(const Enrolment&) const = default;
};

// Without LF. Errors: what is in it does not read.
[[nodiscard]] Result<std::string> make_enrolment(const std::string& host, const std::string& machine,
                                                 WallTime created, const SigningKey& key);

// Verified, or an error that says what is wrong with the line; blanks and line ends around it do not count.
[[nodiscard]] Result<Enrolment> read_enrolment(std::string_view line);

}  // namespace jit
