// Errors are values: every call that can fail returns Result<T>, and only main code and the servers show them, once.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace jit {

// What kind of failure it was, as far as a caller may act on it. What happened, where and what to do stands in the
// message.
enum class Errc : std::uint8_t {
  invalid,      // the input is wrong: a file, key or line named in the message
  refused,      // understood and refused: policy, trust, limits
  not_found,    // no such thing, or none that the caller may see (P8: both alike)
  unavailable,  // somebody we depend on does not answer; trying again may help
  busy,         // a lock or quota is taken; trying again helps
  system,       // the operating system said no; errnum tells
};

// One failure, in words for a person: what, where, and what to do. `errnum` is 0 unless the system said no.
struct Error {
  Errc code = Errc::invalid;
  std::string message;
  int errnum = 0;
};

template <class T>
using Result = tl::expected<T, Error>;

// fail(code, message): the failing Result of any type.
[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message), 0});
}

// fail_errno(errnum, what): "<what>: <strerror>", as Errc::system (not_found for ENOENT).
[[nodiscard]] tl::unexpected<Error> fail_errno(int errnum, const std::string& what);

// The error of `e` with "<where>: " put before its message.
[[nodiscard]] tl::unexpected<Error> within(const std::string& where, Error e);

}  // namespace jit
