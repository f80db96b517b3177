// The two pieces of the C++ runtime that the compiler may ask for, so that no libstdc++ comes into sudo and sshd.
// Neither is ever reached in a right program; in a wrong one the process ends, which lets nobody in.
#include <bits/c++config.h>

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp,cert-dcl58-cpp): these names are the
// runtime's.
extern "C" [[noreturn, gnu::visibility("hidden")]] void __cxa_pure_virtual();

extern "C" void __cxa_pure_virtual() {
  __builtin_trap();
}

#if defined(_GLIBCXX_ASSERTIONS)
namespace std {
// What a failed check of _GLIBCXX_ASSERTIONS (an index out of a span) calls.
void __glibcxx_assert_fail(const char*, int, const char*, const char*) noexcept {
  __builtin_trap();
}
}  // namespace std
#endif
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp,cert-dcl58-cpp)
