// mailbox: login shell and forced command of the account jit, whose ssh connections are a host's mailbox:
// jit-mailbox(8). Arguments, standard error's reader and environment are strangers'; of the environment one variable
// is looked at, the name of a file that sshd made.
#include <fcntl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>

#include "jitd/sync/confine.hpp"
#include "jitd/sync/mailbox_host.hpp"
#include "jitd/sync/mailbox_keys.hpp"
#include "jitd/sync/mailbox_quota.hpp"
#include "jitd/sync/mailbox_session.hpp"
#include "jitd/sync/shown_outbox.hpp"
#include "jitd/sys/clock.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxLogin = std::size_t{32} * 1024;
constexpr unsigned kLastResort = 660;  // seconds

// The key that was proven, as sshd left it in a file for us alone.
Result<PublicKey> proven_key(const std::string& path) {
  if (!path.starts_with('/'))
    return fail(Errc::refused, "this is reached by ssh alone, with sshd's ExposeAuthInfo on: jit-mailbox(8)");
  const auto file = open_regular(AT_FDCWD, path, O_RDONLY, "sshd's account of the login");
  if (!file) return tl::unexpected(file.error());
  struct stat status {};
  if (::fstat(file->get(), &status) != 0 || status.st_uid != ::geteuid() || status.st_nlink != 1 ||
      (status.st_mode & 07777) != 0600)
    return fail(Errc::refused, "sshd's account of the login is not sshd's");
  const auto text = read_fd(file->get(), kMaxLogin, "sshd's account of the login");
  if (!text) return tl::unexpected(text.error());
  return key_of_login(*text);
}

Result<std::string> serve(const std::string& login) {
  const MailboxPlaces places;
  const SystemClock clock;
  const auto key = proven_key(login);
  if (!key) return tl::unexpected(key.error());
  const auto visitor = visitor_of(read_trust_set(places.trust, &*key), *key, clock.now().wall());
  if (!visitor) return fail(Errc::refused, std::string(kUnknownKey));
  ::syslog(LOG_INFO, "open for %s, %s", visitor->name().c_str(), visitor->approver ? "approver" : "requester");
  auto quota = KeyQuota::open(places.run, *key, {});
  if (!quota) return tl::unexpected(quota.error());
  auto outbox = ShownOutbox::open(places.outbox, *visitor);
  if (!outbox) return tl::unexpected(outbox.error());
  TrustingHost host(places, *visitor, *quota, clock,
                    [](const std::string& line) { ::syslog(LOG_INFO, "%s", line.c_str()); });
  MailboxSession session(STDIN_FILENO, STDOUT_FILENO, *outbox, host, clock);
  return session.serve();
}

int run() {
  const char* path = ::getenv("SSH_USER_AUTH");  // NOLINT(concurrency-mt-unsafe): there is no other thread
  const std::string login = path == nullptr ? "" : path;
  (void)::clearenv();  // libraries go by it, too
  // Whatever the limits of a session miss, this ends it.
  ::alarm(kLastResort);
  (void)std::signal(SIGPIPE, SIG_IGN);
  (void)std::signal(SIGXFSZ, SIG_IGN);
  (void)::umask(077);
  (void)::closefrom(STDERR_FILENO + 1);
  // Its socket is there before no more may be opened.
  ::openlog("jit-mailbox", LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
  if (const auto confined = confine(); !confined) {
    refuse_mailbox(STDOUT_FILENO, {Errc::system, "the mailbox cannot confine itself", 0});
    ::syslog(LOG_ERR, "cannot confine itself: %s", confined.error().message.c_str());
    return 1;
  }
  const auto outcome = serve(login);
  if (outcome) {
    ::syslog(LOG_INFO, "closed: %s", shown(*outcome, 1024).c_str());
    return 0;
  }
  ::syslog(LOG_NOTICE, "refused: %s", shown(outcome.error().message, 1024).c_str());
  refuse_mailbox(STDOUT_FILENO, outcome.error());
  return 1;
}

}  // namespace
}  // namespace jit

int main() {
  try {
    return jit::run();
  } catch (const std::exception& error) {
    ::syslog(LOG_ERR, "%s", error.what());
    return 1;
  }
}
