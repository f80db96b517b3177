#include "policy/result.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace jit {

tl::unexpected<Error> fail_errno(int errnum, const std::string& what) {
  // generic_category's message is strerror's, without its static buffer.
  return tl::unexpected<Error>(Error{errnum == ENOENT ? Errc::not_found : Errc::system,
                                     fmt::format("{}: {}", what, std::generic_category().message(errnum)), errnum});
}

tl::unexpected<Error> within(const std::string& where, Error e) {
  e.message.insert(0, where + ": ");
  return tl::unexpected<Error>(std::move(e));
}

}  // namespace jit
