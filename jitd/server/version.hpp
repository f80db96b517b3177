// The release, as CMakeLists.txt has it.
#pragma once

#include <string_view>

namespace jit {
#ifdef JIT_VERSION
inline constexpr std::string_view kVersion = JIT_VERSION;
#else
inline constexpr std::string_view kVersion = "0.1.0";
#endif
}  // namespace jit
