// authorized-keys USER TYPE BASE64: what sshd runs (AuthorizedKeysCommand, sshd_config(5)) to learn whether a key may
// log in as the mailbox's account: jit-mailbox(8). Prints that key's line or nothing.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "jitd/sync/confine.hpp"
#include "jitd/sync/mailbox_keys.hpp"
#include "jitd/sys/clock.hpp"

int main(int argc, char** argv) {
  try {
    if (argc != 4) {
      std::fputs("usage: authorized-keys USER TYPE BASE64\n", stderr);
      return 2;
    }
    (void)::clearenv();
    if (const auto confined = jit::confine(); !confined) {
      std::fprintf(stderr, "authorized-keys: %s\n", confined.error().message.c_str());
      return 1;
    }
    const jit::SystemClock clock;
    const std::string line = jit::authorized_line({}, argv[1], argv[2], argv[3], clock.now().wall());
    return std::fputs(line.c_str(), stdout) >= 0 && std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "authorized-keys: %s\n", error.what());
    return 1;
  }
}
