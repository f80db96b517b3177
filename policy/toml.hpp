// toml++ as this project uses it, included by the two .cpp files that read TOML and by nobody else.
//
// toml++ guards its parser with assertions that some inputs reach ("[[[" as the start of a line, in 3.3). As assert()
// that would end the daemon, and with NDEBUG it would be undefined behaviour. Here a failed assertion throws instead:
// both readers catch it and answer that the text cannot be read.
#pragma once

#include <stdexcept>

namespace jit {

constexpr void toml_assertion(bool holds) {
  if (!holds) throw std::runtime_error("the text confuses the TOML parser");
}

}  // namespace jit

#undef NDEBUG  // with it, toml++ replaces TOML_ASSERT by nothing
#define TOML_ASSERT(expr) ::jit::toml_assertion(static_cast<bool>(expr))
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
