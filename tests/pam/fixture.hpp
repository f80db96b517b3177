// A place for one test: a working directory with everything that the module looks for, PAM files, and a jitd of its
// own.
#pragma once

#include <security/pam_appl.h>
#include <sys/types.h>

#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "jitd/wire/board_writer.hpp"
#include "jitd/wire/check.hpp"

namespace jit::pam::test {

inline constexpr const char* kBoot = "01234567-89ab-cdef-0123-456789abcdef";

// Files of the module's test build (passwd, group, boot_id, board) in a new working directory; left and removed at
// the end.
class Place {
 public:
  Place();
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  void write(const std::string& name, const std::string& text, mode_t mode = 0600) const;
  void remove(const std::string& name) const;
  [[nodiscard]] const std::string& path() const { return path_; }

  // Stacks of `service` with one line of `module` for each of the four types. The control hands every code through as
  // it is, so that PAM_IGNORE can be told from PAM_SUCCESS.
  void service(const std::string& service, const std::string& module, const std::string& arguments) const;

 private:
  std::string path_, before_;
};

// What alice finds on the board; `login` is an enforced gate on sshd and sudo, `watch` an observed one on login.
struct Board {
  bool gated = true;    // gates cover her
  bool grant = false;   // she holds one that opens `login`
  bool ended = false;   // its word was set
  bool sudo = false;    // it has a sudo entitlement, too
  bool waited = false;  // a sudo entitlement of hers has just ended
  std::string boot = kBoot;
};
[[nodiscard]] std::string board(const Board& what);

// A jitd: answers each frame by its script on check.sock in the working directory, until destroyed. An answer of
// nullopt is none: the connection stays open.
class Daemon {
 public:
  using Script = std::function<std::optional<std::string>(const std::string& request)>;
  explicit Daemon(Script script);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  [[nodiscard]] int asked() const { return asked_; }

 private:
  void run();
  Script script_;
  int listener_ = -1, stop_ = -1;
  std::atomic<int> asked_ = 0;
  std::thread thread_;
};

// Answers every well-formed query with this verdict.
[[nodiscard]] Daemon::Script says(wire::Verdict verdict, const std::string& gate = "login",
                                  const std::string& message = "");

// A socket made and bound at check.sock; listening if `listen`.
[[nodiscard]] int bound_socket(bool listen, int backlog = 8);

struct Run {
  std::optional<std::string> user = "alice";  // PAM_USER
  std::string ruser = "alice";
  int flags = 0;
  std::deque<std::string> typed = {};  // at prompts, one after the other; then there is nobody
};

// One PAM transaction, over the files of `place`.
class Transaction {
 public:
  Transaction(const Place& place, const std::string& service, const Run& run = {});
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  [[nodiscard]] pam_handle_t* handle() const { return handle_; }
  [[nodiscard]] const std::vector<std::string>& told() const { return told_; }
  [[nodiscard]] const std::vector<std::string>& prompted() const { return prompted_; }
  int account() { return code(pam_acct_mgmt(handle_, flags_)); }
  int open() { return code(pam_open_session(handle_, flags_)); }
  int close() { return code(pam_close_session(handle_, flags_)); }

 private:
  static int code(int returned) { return returned == PAM_CONV_ERR ? PAM_IGNORE : returned; }
  static int converse(int count, const pam_message** messages, pam_response** responses, void* self) noexcept;
  pam_handle_t* handle_ = nullptr;
  int flags_ = 0;
  std::vector<std::string> told_, prompted_;
  std::deque<std::string> typed_;
};

[[nodiscard]] int open_descriptors();

}  // namespace jit::pam::test
