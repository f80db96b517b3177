// Where everything is. Fixed when the module is built: it runs in setuid programs, and takes no word from anybody
// about where to look. The modules that tests load are built with JIT_PAM_TEST_UID and look in their working
// directory.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include "jitd/wire/protocol.hpp"

namespace jit::pam {

#ifdef JIT_PAM_TEST_UID
inline constexpr const char* kCheckSocket = "check.sock";
inline constexpr const char* kBoard = "board";
inline constexpr const char* kLogins = "logins";
inline constexpr const char* kCommands = "commands";
inline constexpr const char* kLoginUid = "loginuid";
inline constexpr const char* kPasswd = "passwd";
inline constexpr const char* kGroup = "group";
inline constexpr const char* kBootIdFile = "boot_id";
inline uid_t trusted_uid() noexcept {
  return JIT_PAM_TEST_UID;
}
#else
inline constexpr const char* kCheckSocket = wire::kCheckSocket;
inline constexpr const char* kBoard = wire::kBoardFile;
inline constexpr const char* kLogins = wire::kLoginNotes;
inline constexpr const char* kCommands = wire::kCommandNotes;
inline constexpr const char* kLoginUid = "/proc/self/loginuid";
inline constexpr const char* kPasswd = "/etc/passwd";
inline constexpr const char* kGroup = "/etc/group";
inline constexpr const char* kBootIdFile = "/proc/sys/kernel/random/boot_id";
// Of jitd, its socket and its board, and of the account files.
constexpr uid_t trusted_uid() noexcept {
  return 0;
}
#endif

}  // namespace jit::pam
