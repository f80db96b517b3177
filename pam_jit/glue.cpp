// The module as PAM loads it: Host over a pam_handle_t, and the entry points. authenticate, setcred and chauthtok are
// not there, so that a line of theirs fails (PAM_MODULE_UNKNOWN) instead of passing.
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <syslog.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "pam_jit/logic.hpp"
#include "pam_jit/paths.hpp"
#include "pam_jit/system.hpp"
#include "pam_jit/transport.hpp"

namespace {

using namespace jit::pam;

// How long a close may hold up a logout when jitd does not even take connections.
constexpr unsigned kCloseTimeoutMs = 50;
constexpr unsigned kBeginTimeoutMs = 2000;

class PamHost final : public Host {
 public:
  explicit PamHost(pam_handle_t* handle) noexcept : handle_(handle) {}

  const char* item(Item which) noexcept override {
    const void* text = nullptr;
    return pam_get_item(handle_, number(which), &text) == PAM_SUCCESS ? static_cast<const char*>(text) : nullptr;
  }
  void tell(const char* text) noexcept override { (void)pam_error(handle_, "%s", text); }
  void log(Level level, const char* text) noexcept override {
    const int priority = level == Level::error ? LOG_ERR : level == Level::warning ? LOG_WARNING : LOG_NOTICE;
    pam_syslog(handle_, priority, "%s", text);
  }

  void inform(const char* text) noexcept override { (void)pam_info(handle_, "%s", text); }
  std::ptrdiff_t prompt(const char* text, std::span<char> into) noexcept override {
    char* answer = nullptr;
    const int code = pam_prompt(handle_, PAM_PROMPT_ECHO_ON, &answer, "%s", text);
    if (answer == nullptr) return -1;
    const std::size_t length = std::strlen(answer);
    const bool fits = code == PAM_SUCCESS && length < into.size();
    if (fits) std::memcpy(into.data(), answer, length + 1);
    // The application made it, and the module is to free it (pam_conv(3)). It may be a password, typed too soon.
    ::explicit_bzero(answer, length);
    std::free(answer);  // NOLINT(cppcoreguidelines-no-malloc)
    return fits ? static_cast<std::ptrdiff_t>(length) : -1;
  }
  bool terminal() noexcept override { return ::isatty(STDIN_FILENO) == 1; }

  std::uint32_t real_uid() noexcept override { return ::getuid(); }
  std::uint64_t started_ms() noexcept override { return process_started_ms(); }
  jit::wire::Clocks clocks() noexcept override { return read_clocks(); }

  std::ptrdiff_t read(AccountFile file, std::uint64_t offset, std::span<char> into) noexcept override {
    TrustedFile& from = file == AccountFile::passwd ? passwd_ : group_;
    return from.open(file == AccountFile::passwd ? kPasswd : kGroup, trusted_uid(), true)
               ? from.read_some(offset, into)
               : -1;
  }
  Reply ask(std::span<const std::byte> request, std::span<std::byte> reply, unsigned timeout_ms) noexcept override {
    return jit::pam::ask(kCheckSocket, trusted_uid(), request, reply, timeout_ms);
  }
  void post(std::span<const std::byte> request) noexcept override {
    jit::pam::post(kCheckSocket, trusted_uid(), request, kCloseTimeoutMs);
  }
  bool begin_talk(std::span<const std::byte> request) noexcept override {
    return jit::pam::begin(talk_, kCheckSocket, trusted_uid(), request, kBeginTimeoutMs) == nullptr;
  }
  Reply hear(std::span<std::byte> reply, unsigned timeout_ms) noexcept override {
    return talk_ ? jit::pam::hear(talk_, reply, timeout_ms) : Reply{0, "nothing was asked"};
  }
  void end_talk() noexcept override { talk_.take(-1); }
  const jit::wire::BoardSource* board() noexcept override {
    board_.close();  // another may stand there by now
    return board_.open(kBoard, trusted_uid(), false) ? &board_ : nullptr;
  }
  bool note_login(std::string_view grant) noexcept override {
    return write_login_note(kLogins, grant, static_cast<std::uint32_t>(::getpid()), process_started_ms());
  }
  void take_audit_session() noexcept override { renew_audit_session(kCommands, kLoginUid, ::getuid()); }
  std::string_view boot_id() noexcept override {
    const std::size_t size = read_small(kBootIdFile, boot_id_);
    return {boot_id_, size < sizeof boot_id_ ? 0 : size};
  }

 private:
  static int number(Item which) noexcept {
    switch (which) {
      case Item::service:
        return PAM_SERVICE;
      case Item::user:
        return PAM_USER;
      case Item::ruser:
        return PAM_RUSER;
      case Item::tty:
        return PAM_TTY;
      case Item::rhost:
        return PAM_RHOST;
    }
    return -1;
  }

  pam_handle_t* handle_;
  TrustedFile passwd_, group_, board_;
  Descriptor talk_;
  char boot_id_[36] = {};
};

Options options_of(int argc, const char** argv) noexcept {
  return parse_options({argv, argc > 0 ? static_cast<std::size_t>(argc) : 0});
}

bool silent(int flags) noexcept {
  return (static_cast<unsigned>(flags) & PAM_SILENT) != 0;
}

}  // namespace

// NOLINTBEGIN(readability-identifier-naming): PAM's names.
extern "C" {

PAM_EXTERN __attribute__((visibility("default"))) int pam_sm_acct_mgmt(pam_handle_t* pamh, int flags, int argc,
                                                                       const char** argv) {
  PamHost host(pamh);
  return account(host, options_of(argc, argv), silent(flags));
}

PAM_EXTERN __attribute__((visibility("default"))) int pam_sm_open_session(pam_handle_t* pamh, int flags, int argc,
                                                                          const char** argv) {
  PamHost host(pamh);
  return open_session(host, options_of(argc, argv), silent(flags));
}

PAM_EXTERN __attribute__((visibility("default"))) int pam_sm_close_session(pam_handle_t* pamh, int /*flags*/,
                                                                           int argc, const char** argv) {
  PamHost host(pamh);
  return close_session(host, options_of(argc, argv));
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
