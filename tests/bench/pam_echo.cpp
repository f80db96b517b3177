// A PAM module that does nothing but a bare SEQPACKET round trip: what asking a daemon costs at the least. The bench
// compares pam_jit with it; it is never installed.
#include <security/pam_modules.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

extern "C" __attribute__((visibility("default"))) int pam_sm_acct_mgmt(pam_handle_t* /*pamh*/, int /*flags*/,
                                                                       int /*argc*/, const char** /*argv*/) {
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return PAM_SYSTEM_ERR;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, "echo.sock", sizeof "echo.sock");
  char frame[96] = {};
  const bool done = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                    ::send(fd, frame, sizeof frame, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof frame) &&
                    ::recv(fd, frame, sizeof frame, 0) == static_cast<ssize_t>(sizeof frame);
  ::close(fd);
  return done ? PAM_SUCCESS : PAM_SYSTEM_ERR;
}
